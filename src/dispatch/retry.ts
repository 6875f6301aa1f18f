import { FacteurError } from '../base/errors.ts';
import type { ArgoConfig } from '../config/config.ts';
import { ANONYMOUS, type Command, type CommandDefinition, type Door } from '../domain/command.ts';
import { definitionOf, type CommandRules } from '../domain/command-rules.ts';
import { Refusal } from '../domain/refusal.ts';
import { isFinished } from '../domain/run-state.ts';
import type { NewRun } from '../domain/run.ts';
import { ANNOTATIONS, isOfCommand, type WorkflowPlan } from '../domain/workflow-plan.ts';
import type { RecordedRun } from '../ledger/cancel-and-retry.ts';
import type { Moment } from './new-run.ts';
import { planCommand } from './plan-command.ts';

/** Who retries a run from the chat: a person, and the interaction that follows the new run. */
interface Asker {
  readonly userId: string;
  readonly message: NonNullable<NewRun['message']>;
}

/** How a retry was requested. */
export interface RetryRequest {
  readonly door: Door;
  /** The requester, for the history, if the door knows it. */
  readonly actor?: string;
  /** The requester, if it is not the first run's; the new run's messages go to them. */
  readonly asker?: Asker;
  /** Allows running a run again that succeeded. */
  readonly again?: boolean;
}

/**
 * The run that retries a finished one: the same plan with its own delivery id, linked to the first. The id is derived from the
 * run that is retried, so two requests (two people, two clicks) make one new run; to retry again, retry the second run. A
 * withdrawn retry keeps its id, and does not count.
 *
 * @throws FacteurError `run.not_retryable` if the run is live, or succeeded and `again` was not requested
 */
export function retryOf(run: RecordedRun, moment: Moment, { door, actor, asker, again = false }: RetryRequest): NewRun {
  requireEnded(run, again);
  const { runId, message: first, withdrawnRetries, ...recorded } = run;
  const message = messageOf(first, asker);
  const deliveryId = withdrawnRetries === 0 ? `retry:${runId}` : `retry:${runId}:${withdrawnRetries + 1}`;
  return {
    ...recorded,
    ...moment,
    door,
    ...(actor === undefined ? {} : { actor }),
    userId: asker?.userId ?? recorded.userId,
    deliveryId,
    family: 'derived',
    retryOf: runId,
    runMetadata: { ...(recorded.runMetadata as object), deliveryId, retryOf: runId },
    ...(message === null ? {} : { message }),
  };
}

/**
 * The plan of a retry. A workflow runs the current version of its template, so the request is checked against the current
 * definition, not the one that accepted it: a value may have left its enum, or now go where only fixed text is allowed.
 *
 * @throws Refusal `command_changed` if the command is gone or another's, or no longer accepts the request
 * @throws FacteurError `commands.unread`
 */
export function renewedPlan(
  { plan, command }: Pick<RecordedRun, 'plan' | 'command'>,
  rules: CommandRules,
  argo: ArgoConfig,
): WorkflowPlan {
  if (plan.annotations[ANNOTATIONS.templateUid] === undefined) {
    return plan;
  }
  const definition = definitionOf(rules, command);
  if (definition === undefined || !isOfCommand(plan, definition)) {
    const message = `${plan.namespace}/${plan.workflowTemplate} no longer makes this command`;
    throw new Refusal('command_changed', message);
  }
  if (plan.annotations[ANNOTATIONS.templateVersion] === definition.template?.resourceVersion) {
    return plan;
  }
  const asked: Command = {
    door: 'cli',
    deliveryId: '',
    interactionId: '',
    name: command,
    options: optionsOfPlan(plan, definition),
    principal: ANONYMOUS,
    correlationId: '',
    traceparent: '',
    traceId: '',
  };
  try {
    return planCommand(asked, definition, argo);
  } catch (error) {
    throw error instanceof Refusal
      ? new Refusal('command_changed', error.details ?? '', { faults: error.faults })
      : error;
  }
}

/** The recorded values for the options that the command has now, in the form in which they would be sent now. */
function optionsOfPlan({ parameters }: WorkflowPlan, { options, parameters: fixed }: CommandDefinition) {
  const given = options.flatMap(({ name, parameter = name, meanings = {} }) => {
    const value = Object.hasOwn(parameters, parameter) ? (parameters[parameter] ?? '') : '';
    const [sent = value] = Object.entries(meanings).find(([, meant]) => meant === value) ?? [];
    return value === (fixed[parameter] ?? '') ? [] : [[name, sent] as const];
  });
  return Object.fromEntries(given);
}

/** Another interaction, but the same preferences. */
function messageOf(first: RecordedRun['message'], asker: Asker | undefined): RecordedRun['message'] {
  return first === null ? (asker?.message ?? null) : { ...first, ...asker?.message };
}

function requireEnded({ state }: RecordedRun, again: boolean): void {
  if (!isFinished(state)) {
    throw new FacteurError('run.not_retryable', `the run is ${state}: cancel it first`, { retryable: false });
  }
  if (state === 'succeeded' && !again) {
    throw new FacteurError('run.not_retryable', 'the run succeeded: there is nothing to retry', { retryable: false });
  }
}
