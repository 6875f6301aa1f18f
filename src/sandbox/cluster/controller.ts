import { isRecord } from '../../base/json.ts';
import type { Clock } from '../../base/clock.ts';
import { badRequest } from './api-failure.ts';
import { textField, type ApiObject } from './objects.ts';
import { DEFAULT_PLAN, type Plan, type PlanFunction } from './plan.ts';
import { randomSuffix } from './random.ts';
import { timestamp, type Cause, type Entry, type Store, type StoreEvent } from './store.ts';
import { nodeId, workflowLabels, workflowStatus, type Phase, type Situation } from './workflow-status.ts';

export interface ControllerOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: () => number;
  readonly plan: PlanFunction;
}

/** A workflow on its way. */
interface Run {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly plan: Plan;
  done: number;
  timer: NodeJS.Timeout | undefined;
}

interface Ending {
  readonly phase: 'Succeeded' | 'Failed' | 'Error';
  readonly message: string;
  readonly stepMessage?: string;
}

const COMPLETED = 'workflows.argoproj.io/completed';
const ARCHIVING = 'workflows.argoproj.io/workflow-archiving-status';
/** What a resubmission does not copy. */
const OWN_LABELS = [COMPLETED, ARCHIVING, 'workflows.argoproj.io/phase', 'workflows.argoproj.io/creator'];

/** Argo's workflow controller as seen from outside: moves workflows along their plan, one timer each. */
export class WorkflowController {
  readonly #options: ControllerOptions;
  readonly #runs = new Map<string, Run>();
  /** Retries so far by uid, for the plan. */
  readonly #attempts = new Map<string, number>();
  #defaults: Plan = DEFAULT_PLAN;

  constructor(options: ControllerOptions) {
    this.#options = options;
    options.store.onCommit((event) => {
      this.#onEvent(event);
    });
  }

  /** How many workflows are not over. */
  get live(): number {
    return this.#runs.size;
  }

  /** Changes what workflows do that are created from now on, as far as the plan function leaves it open. */
  setDefaults(plan: Partial<Plan>): void {
    this.#defaults = { ...this.#defaults, ...plan };
  }

  /** Ends a workflow at once, whatever its plan says. */
  finish(namespace: string, name: string, phase: 'Succeeded' | 'Failed' | 'Error', message = ''): void {
    const entry = this.#options.store.get('workflows', namespace, name);
    const run = this.#runs.get(entry.object.metadata.uid);
    if (run === undefined) {
      throw badRequest(`workflow ${name} is over`);
    }
    this.#end(run, entry, { phase, message });
  }

  /** `argo retry`: the same object runs again, with the same uid. */
  retry(namespace: string, name: string): Entry {
    const { store, clock } = this.#options;
    const entry = store.get('workflows', namespace, name);
    const phase = textField(entry.object.status, 'phase');
    if (phase !== 'Failed' && phase !== 'Error') {
      throw badRequest(`Cannot retry a workflow in phase ${phase}`);
    }
    return store.update('workflows', entry, 'retry', (object) => {
      const { [COMPLETED]: _completed, [ARCHIVING]: _archiving, ...labels } = object.metadata.labels ?? {};
      const { shutdown: _shutdown, ...spec } = object.spec;
      // The phase label keeps its old value until the controller has looked, exactly as in Argo.
      const status = { startedAt: timestamp(clock), finishedAt: null, nodes: {} };
      return { ...object, metadata: { ...object.metadata, labels }, spec, status };
    });
  }

  /** `argo resubmit`: another object with the same spec, labels and annotations. */
  resubmit(namespace: string, name: string): Entry {
    const { store, random } = this.#options;
    const { metadata, spec, apiVersion, kind } = store.get('workflows', namespace, name).object;
    const labels = Object.entries(metadata.labels ?? {}).filter(([key]) => !OWN_LABELS.includes(key));
    const { shutdown: _shutdown, ...rest } = spec;
    const generateName = metadata.generateName ?? `${metadata.name}-`;
    return store.create('workflows', {
      apiVersion,
      kind,
      metadata: {
        name: generateName + randomSuffix(random),
        namespace,
        generateName,
        labels: { ...Object.fromEntries(labels), 'workflows.argoproj.io/resubmitted-from-workflow': metadata.name },
        ...(metadata.annotations === undefined ? {} : { annotations: metadata.annotations }),
      },
      spec: rest,
    });
  }

  close(): void {
    for (const run of this.#runs.values()) {
      clearTimeout(run.timer);
    }
    this.#runs.clear();
  }

  #onEvent({ resource, type, cause, entry, previous }: StoreEvent): void {
    if (resource !== 'workflows') {
      return;
    }
    const { uid } = entry.object.metadata;
    const run = this.#runs.get(uid);
    if (type === 'DELETED') {
      clearTimeout(run?.timer);
      this.#runs.delete(uid);
      this.#attempts.delete(uid);
    } else if (cause === 'create' || cause === 'retry') {
      this.#begin(entry.object);
    } else if (cause === 'patch' && run !== undefined) {
      this.#onPatch(run, entry.object, previous?.object.spec['suspend'] === true);
    }
  }

  #begin(workflow: ApiObject): void {
    const { name, namespace, uid } = workflow.metadata;
    const attempt = this.#attempts.get(uid) ?? 0;
    this.#attempts.set(uid, attempt + 1);
    const plan = { ...this.#defaults, ...this.#options.plan(workflow, attempt) };
    const run: Run = { name, namespace, uid, plan, done: 0, timer: undefined };
    this.#runs.set(uid, run);
    this.#after(plan.pendingMs, run);
  }

  /** Only a shutdown or a change of `suspend` matters; any other patch must not hasten the plan. */
  #onPatch(run: Run, { spec }: ApiObject, wasSuspended: boolean): void {
    if (textField(spec, 'shutdown') !== '') {
      this.#after(0, run);
    } else if (wasSuspended && spec['suspend'] !== true) {
      this.#after(run.plan.stepMs, run);
    }
  }

  #after(ms: number, run: Run): void {
    clearTimeout(run.timer);
    run.timer = setTimeout(() => {
      this.#advance(run);
    }, ms).unref();
  }

  /** One look at one workflow: what it is now decides what comes next. */
  #advance(run: Run): void {
    const entry = this.#options.store.find('workflows', run.namespace, run.name);
    if (entry === undefined || entry.object.metadata.uid !== run.uid) {
      return;
    }
    const { spec, status } = entry.object;
    const shutdown = textField(spec, 'shutdown');
    if (shutdown !== '') {
      const stepMessage = `workflow shutdown with strategy:  ${shutdown}`;
      this.#end(run, entry, { phase: 'Failed', message: `Stopped with strategy '${shutdown}'`, stepMessage });
      return;
    }
    switch (textField(status, 'phase')) {
      case '':
        this.#accept(run, entry);
        return;
      case 'Pending':
        this.#write(run, entry, 'state', situation('Running', 0, timestamp(this.#options.clock)));
        this.#after(run.plan.stepMs, run);
        return;
      default:
        // While suspended nothing is due; taking it back sets the timer again.
        if (spec['suspend'] !== true) {
          this.#step(run, entry);
        }
    }
  }

  #accept(run: Run, entry: Entry): void {
    const reference = entry.object.spec['workflowTemplateRef'];
    const template = isRecord(reference) ? textField(reference, 'name') : '';
    if (template !== '' && this.#options.store.find('workflowtemplates', run.namespace, template) === undefined) {
      this.#end(run, entry, { phase: 'Error', message: `workflowtemplates.argoproj.io "${template}" not found` });
      return;
    }
    this.#write(run, entry, 'state', situation('Pending', 0, null));
    this.#after(run.plan.startMs, run);
  }

  #step(run: Run, entry: Entry): void {
    const { outcome, steps, at = steps, message } = run.plan;
    if (outcome !== 'succeed' && run.done + 1 >= Math.min(at, steps)) {
      if (outcome !== 'hang') {
        const child = nodeId(run.name, `${run.name}[${run.done}].step-${run.done + 1}`);
        const phase = outcome === 'fail' ? 'Failed' : 'Error';
        this.#end(run, entry, { phase, message: `child '${child}' failed`, stepMessage: message });
      }
      return;
    }
    run.done += 1;
    if (run.done >= steps) {
      this.#end(run, entry, { phase: 'Succeeded', message: '' });
      return;
    }
    this.#write(run, entry, 'progress', situation('Running', run.done, startOf(entry)));
    this.#after(run.plan.stepMs, run);
  }

  #end(run: Run, entry: Entry, { phase, message, stepMessage = '' }: Ending): void {
    clearTimeout(run.timer);
    this.#runs.delete(run.uid);
    const now = timestamp(this.#options.clock);
    const done = phase === 'Succeeded' ? run.plan.steps : run.done;
    const last = situation(phase, done, startOf(entry) ?? now);
    this.#write(run, entry, 'state', { ...last, finishedAt: now, message, stepMessage });
    if (run.plan.ttlMs !== undefined) {
      setTimeout(() => {
        this.#collect(run);
      }, run.plan.ttlMs).unref();
    }
  }

  #collect({ namespace, name, uid }: Run): void {
    const present = this.#options.store.find('workflows', namespace, name);
    if (present?.object.metadata.uid === uid) {
      this.#options.store.delete('workflows', present);
    }
  }

  #write(run: Run, entry: Entry, cause: Cause, now: Situation): void {
    this.#options.store.update('workflows', entry, cause, (object) => ({
      ...object,
      metadata: { ...object.metadata, labels: { ...object.metadata.labels, ...workflowLabels(now.phase) } },
      status: workflowStatus(run.name, run.plan, now),
    }));
  }
}

function situation(phase: Phase, done: number, startedAt: string | null): Situation {
  return { phase, done, startedAt, finishedAt: null, message: '', stepMessage: '' };
}

function startOf(entry: Entry): string | null {
  const started = textField(entry.object.status, 'startedAt');
  return started === '' ? null : started;
}
