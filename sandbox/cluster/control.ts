import type { Clock } from '../../src/base/clock.ts';
import { Access, isAccessCommand, type AccessCommand } from './access.ts';
import type { WorkflowController } from './controller.ts';
import { RateGate, RequestFaults, type CreateRate, type FaultRule } from './faults.ts';
import type { Plan } from './plan.ts';
import type { Store } from './store.ts';
import type { ExpiryForm, WatchHub } from './watch-hub.ts';

/** Everything that can be changed while the simulation runs, both in process and with `POST /__sim/faults`. */
export type Command =
  /** Answers `{id}`. */
  | { readonly op: 'add'; readonly rule: FaultRule }
  | { readonly op: 'remove'; readonly id: number }
  /** Removes rules, disturbances of watches, denials, quotas and the rate; tokens and the window stay. */
  | { readonly op: 'clear' }
  | { readonly op: 'drop-watches'; readonly how: 'end' | 'reset' }
  | { readonly op: 'truncate-watches' }
  | { readonly op: 'expire-watches'; readonly form: ExpiryForm; readonly times: number }
  | { readonly op: 'disturb-watches'; readonly duplicate: boolean; readonly reorder: boolean }
  | { readonly op: 'silence-watches'; readonly ms: number }
  /** Forgets all past events: older versions and continue tokens get 410 from now on. */
  | { readonly op: 'compact' }
  /** Restores a backup of this version: watches break, and versions are assigned a second time. */
  | { readonly op: 'restore'; readonly version: number }
  | { readonly op: 'rate'; readonly rate: CreateRate | null }
  | AccessCommand
  | { readonly op: 'plan'; readonly plan: Partial<Plan> }
  | {
      readonly op: 'finish';
      readonly namespace: string;
      readonly name: string;
      readonly phase: 'Succeeded' | 'Failed' | 'Error';
      readonly message?: string;
    }
  | { readonly op: 'retry' | 'resubmit' | 'delete'; readonly namespace: string; readonly name: string };

interface ControlParts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly store: Store;
  readonly hub: WatchHub;
  readonly controller: WorkflowController;
  readonly tokens: readonly string[];
}

/** Applies commands to the simulation. */
export class Control {
  readonly #parts: ControlParts;
  readonly #requests: RequestFaults;
  readonly #gate = new RateGate();
  readonly access: Access;

  constructor(parts: ControlParts) {
    this.#parts = parts;
    this.#requests = new RequestFaults(parts.random);
    this.access = new Access(parts.tokens);
  }

  get requests(): RequestFaults {
    return this.#requests;
  }

  /** Milliseconds to delay this create, or undefined if it gets 429. */
  admitCreate(): number | undefined {
    return this.#gate.admit(this.#parts.clock.now().getTime());
  }

  /** Applies the command; the result is the answer over HTTP. */
  apply(command: Command): Readonly<Record<string, unknown>> {
    if (isWatchCommand(command)) {
      disturbWatches(this.#parts.hub, command);
      return {};
    }
    if (isAccessCommand(command)) {
      this.access.apply(command);
      return {};
    }
    return isWorkflowCommand(command) ? steerWorkflow(this.#parts, command) : this.#switch(command);
  }

  #switch(
    command: Exclude<Command, WatchCommand | WorkflowCommand | AccessCommand>,
  ): Readonly<Record<string, unknown>> {
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
      case 'restore':
        this.#parts.store.restore(command.version);
        this.#parts.hub.dropAll('reset');
        break;
      case 'rate':
        this.#gate.set(command.rate ?? undefined, this.#parts.clock.now().getTime());
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
    this.access.clear();
    this.#gate.set(undefined, 0);
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
