import { isRecord } from '../../src/base/json.ts';
import { textField, type ApiObject } from './objects.ts';

type Outcome = 'succeed' | 'fail' | 'error' | 'hang';

/** What happens to a workflow, set by the user of the simulation. */
export interface Plan {
  readonly outcome: Outcome;
  /** Total number of steps, at least 1. */
  readonly steps: number;
  /** The step (from 1) that fails, errs or never ends; the last one by default. */
  readonly at?: number;
  /** The failing step's message. */
  readonly message: string;
  /** Time from creation to `Pending`, from there to `Running`, and per step. */
  readonly pendingMs: number;
  readonly startMs: number;
  readonly stepMs: number;
  /** How the controller stores `status.nodes`. Plain ones become `gzip` if they make the workflow too large. */
  readonly nodes: 'plain' | 'gzip' | 'zstd' | 'brotli' | 'offloaded';
  /** Deleted this long after its end; unset keeps it. */
  readonly ttlMs?: number;
}

export const DEFAULT_PLAN: Plan = {
  outcome: 'succeed',
  steps: 3,
  message: 'main: Error (exit code 1)',
  pendingMs: 20,
  startMs: 20,
  stepMs: 50,
  nodes: 'plain',
};

/** Decides per workflow and attempt (0, then 1 more for each retry); omitted fields have their default. */
export type PlanFunction = (workflow: ApiObject, attempt: number) => Partial<Plan>;

const SIMULATE = /^(succeed|fail|error|hang)(?:@(\d{1,3}))?(?:\/(\d{1,3}))?$/;

/**
 * Reads the workflow parameter `simulate`: `fail`, `hang@2` (the second step) or `error@2/5` (of five). It applies to the first
 * attempt only, so a retry can succeed.
 */
export const planFromParameter: PlanFunction = (workflow, attempt) => {
  const match = SIMULATE.exec(parameterOf(workflow, 'simulate'));
  if (match === null || attempt > 0) {
    return {};
  }
  const [, outcome, at, steps] = match;
  return {
    outcome: outcome as Outcome,
    ...(steps === undefined ? {} : { steps: Math.max(1, Number(steps)) }),
    ...(at === undefined ? {} : { at: Math.max(1, Number(at)) }),
  };
};

/** The value of a workflow parameter, or empty. */
export function parameterOf(workflow: ApiObject, name: string): string {
  const given = workflow.spec['arguments'];
  const parameters = isRecord(given) ? given['parameters'] : undefined;
  const found: unknown = Array.isArray(parameters)
    ? parameters.find((parameter) => isRecord(parameter) && parameter['name'] === name)
    : undefined;
  return isRecord(found) ? textField(found, 'value') : '';
}
