import type { Clock } from '../../base/clock.ts';
import type { WorkflowController } from './controller.ts';
import {
  requestMatches,
  RateGate,
  RequestFaults,
  type CreateRate,
  type FaultRule,
  type RequestFacts,
  type RequestMatch,
} from './faults.ts';
import type { Plan } from './plan.ts';
import type { Store } from './store.ts';
import type { ExpiryForm, WatchHub } from './watch-hub.ts';

/** Everything that can be switched while the simulation runs: the same in process and by `POST /__sim/faults`. */
export type Command =
  /** Answers `{id}`. */
  | { readonly op: 'add'; readonly rule: FaultRule }
  | { readonly op: 'remove'; readonly id: number }
  /** Back to normal: rules, disturbances of watches, denials and the rate go; tokens and the window stay. */
  | { readonly op: 'clear' }
  | { readonly op: 'drop-watches'; readonly how: 'end' | 'reset' }
  | { readonly op: 'truncate-watches' }
  | { readonly op: 'expire-watches'; readonly form: ExpiryForm; readonly times: number }
  | { readonly op: 'disturb-watches'; readonly duplicate: boolean; readonly reorder: boolean }
  | { readonly op: 'silence-watches'; readonly ms: number }
  /** Forget all past events: older versions and continue tokens are 410 from now on. */
  | { readonly op: 'compact' }
  | { readonly op: 'rate'; readonly rate: CreateRate | null }
  /** RBAC: these requests get 403. */
  | { readonly op: 'deny'; readonly requests: readonly RequestMatch[] }
  /** Only these bearer tokens are let in; none lets everybody in. */
  | { readonly op: 'tokens'; readonly tokens: readonly string[] }
  | { readonly op: 'plan'; readonly plan: Partial<Plan> }
  | {
      readonly op: 'finish';
      readonly namespace: string;
      readonly name: string;
      readonly phase: 'Succeeded' | 'Failed' | 'Error';
      readonly message?: string;
    }
  | { readonly op: 'retry' | 'resubmit' | 'delete'; readonly namespace: string; readonly name: string };

export interface ControlParts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly store: Store;
  readonly hub: WatchHub;
  readonly controller: WorkflowController;
  readonly tokens: readonly string[];
}

/** The switchboard of the simulation. */
export class Control {
  readonly #parts: ControlParts;
  readonly #requests: RequestFaults;
  readonly #gate = new RateGate();
  #denied: readonly RequestMatch[] = [];
  #tokens: ReadonlySet<string>;

  constructor(parts: ControlParts) {
    this.#parts = parts;
    this.#requests = new RequestFaults(parts.random);
    this.#tokens = new Set(parts.tokens);
  }

  get requests(): RequestFaults {
    return this.#requests;
  }

  isDenied(facts: RequestFacts): boolean {
    return this.#denied.some((match) => requestMatches(match, facts));
  }

  /** Whether the `Authorization` header lets the request in. */
  isAuthenticated(header: string | undefined): boolean {
    return this.#tokens.size === 0 || (header !== undefined && this.#tokens.has(header.replace(/^Bearer /, '')));
  }

  /** Milliseconds to wait before this create may go on, or undefined when it gets 429. */
  admitCreate(): number | undefined {
    return this.#gate.admit(this.#parts.clock.now().getTime());
  }

  /** Carries the command out; the result is for the answer of the HTTP path. */
  apply(command: Command): Readonly<Record<string, unknown>> {
    if (isWatchCommand(command)) {
      disturbWatches(this.#parts.hub, command);
      return {};
    }
    return isWorkflowCommand(command) ? steerWorkflow(this.#parts, command) : this.#switch(command);
  }

  #switch(command: Exclude<Command, WatchCommand | WorkflowCommand>): Readonly<Record<string, unknown>> {
    switch (command.op) {
      case 'add':
        return { id: this.#requests.add(command.rule) };
      case 'remove':
        this.#requests.remove(command.id);
        break;
      case 'clear':
        this.#clear();
        break;
      case 'compact':
        this.#parts.store.compact();
        break;
      case 'rate':
        this.#gate.set(command.rate ?? undefined, this.#parts.clock.now().getTime());
        break;
      case 'deny':
        this.#denied = command.requests;
        break;
      case 'tokens':
        this.#tokens = new Set(command.tokens);
        break;
      case 'plan':
        this.#parts.controller.setDefaults(command.plan);
        break;
    }
    return {};
  }

  #clear(): void {
    this.#requests.clear();
    this.#parts.hub.calm();
    this.#gate.set(undefined, 0);
    this.#denied = [];
  }
}

type WatchCommand = Extract<Command, { op: `${string}-watches` }>;
type WorkflowCommand = Extract<Command, { op: 'finish' | 'retry' | 'resubmit' | 'delete' }>;

function isWatchCommand(command: Command): command is WatchCommand {
  return command.op.endsWith('-watches');
}

function isWorkflowCommand(command: Command): command is WorkflowCommand {
  return ['finish', 'retry', 'resubmit', 'delete'].includes(command.op);
}

function steerWorkflow(
  { controller, store }: ControlParts,
  command: WorkflowCommand,
): Readonly<Record<string, unknown>> {
  const { namespace, name } = command;
  switch (command.op) {
    case 'finish':
      controller.finish(namespace, name, command.phase, command.message);
      return {};
    case 'retry':
      return { uid: controller.retry(namespace, name).object.metadata.uid };
    case 'resubmit':
      return { name: controller.resubmit(namespace, name).object.metadata.name };
    case 'delete':
      store.delete('workflows', store.get('workflows', namespace, name));
      return {};
  }
}

function disturbWatches(hub: WatchHub, command: WatchCommand): void {
  switch (command.op) {
    case 'drop-watches':
      hub.dropAll(command.how);
      break;
    case 'truncate-watches':
      hub.truncateNext();
      break;
    case 'expire-watches':
      hub.expireNext(command.form, command.times);
      break;
    case 'silence-watches':
      hub.silence(command.ms);
      break;
    case 'disturb-watches':
      hub.duplicate = command.duplicate;
      hub.reorder = command.reorder;
      break;
  }
}
