import { isRecord } from '../../src/base/json.ts';
import type { Clock } from '../../src/base/clock.ts';
import { storedBytes } from '../../src/domain/workflow-manifest.ts';
import { badRequest } from './api-failure.ts';
import { argumentFault, mergedSpec } from './arguments.ts';
import { textField, type ApiObject, type JsonObject } from './objects.ts';
import { DEFAULT_PLAN, type Plan, type PlanFunction } from './plan.ts';
import { randomSuffix } from './random.ts';
import { timestamp, type Cause, type Entry, type Store, type StoreEvent } from './store.ts';
import { isResolved, lapsedNode, waitingSteps, type Step } from './suspend.ts';
import { globalOutputs, withAnnotations } from './template-marks.ts';
import { nodesIn, stepId, workflowLabels, workflowStatus, type Phase, type Situation } from './workflow-status.ts';

interface ControllerOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: () => number;
  readonly plan: PlanFunction;
}

/** A workflow in progress. */
interface Run {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  plan: Plan;
  /** The template's steps, if one of them waits. */
  steps: readonly Step[] | undefined;
  /** The decided nodes of waiting steps, by number. */
  readonly decided: Map<number, JsonObject>;
  /** The template's spec, once the controller has read it. */
  template: JsonObject | undefined;
  done: number;
  timer: NodeJS.Timeout | undefined;
}

interface Ending {
  readonly phase: 'Succeeded' | 'Failed' | 'Error';
  readonly message: string;
  readonly stepMessage?: string;
}

/** The real controller fails workflows above this size. */
const MAX_WORKFLOW_BYTES = 1024 * 1024;
const COMPLETED = 'workflows.argoproj.io/completed';
const ARCHIVING = 'workflows.argoproj.io/workflow-archiving-status';
/** Labels that a resubmission does not copy. */
const OWN_LABELS = [COMPLETED, ARCHIVING, 'workflows.argoproj.io/phase', 'workflows.argoproj.io/creator'];

/** Argo's workflow controller as seen from outside: moves workflows along their plan, one timer each. */
export class WorkflowController {
  readonly #options: ControllerOptions;
  readonly #runs = new Map<string, Run>();
  /** Retries so far by uid, for the plan. */
  readonly #attempts = new Map<string, number>();
  readonly #completions = new Map<string, string[]>();
  /** Finished workflows that had a waiting step: a retry continues where they ended. */
  readonly #ended = new Map<string, Run>();
  #defaults: Plan = DEFAULT_PLAN;

  constructor(options: ControllerOptions) {
    this.#options = options;
    options.store.onCommit((event) => {
      this.#onEvent(event);
    });
  }

  /** How many workflows are not finished. */
  get live(): number {
    return this.#runs.size;
  }

  /** Changes the defaults of the plan for workflows that are created from now on. */
  setDefaults(plan: Partial<Plan>): void {
    this.#defaults = { ...this.#defaults, ...plan };
  }

  /** The steps that succeeded, in order, of a workflow with a waiting step. A duplicate ran twice. */
  completionsOf(namespace: string, name: string): readonly string[] {
    return this.#completions.get(this.#options.store.get('workflows', namespace, name).object.metadata.uid) ?? [];
  }

  /** Ends a workflow immediately, regardless of its plan. */
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
    const { store } = this.#options;
    const entry = store.get('workflows', namespace, name);
    const phase = textField(entry.object.status, 'phase');
    if (phase !== 'Failed' && phase !== 'Error') {
      throw badRequest(`Cannot retry a workflow in phase ${phase}`);
    }
    return store.update('workflows', entry, 'retry', (object) => {
      const { [COMPLETED]: _completed, [ARCHIVING]: _archiving, ...labels } = object.metadata.labels ?? {};
      const { shutdown: _shutdown, ...spec } = object.spec;
      // The phase label keeps its old value until the controller processes the workflow, as in Argo.
      return { ...object, metadata: { ...object.metadata, labels }, spec, status: this.#retriedStatus(object) };
    });
  }

  /** A waiting step keeps its decision, and steps before it are not repeated. */
  #retriedStatus({ metadata, status = {} }: ApiObject): JsonObject {
    const startedAt = timestamp(this.#options.clock);
    const run = this.#ended.get(metadata.uid);
    if (run === undefined) {
      return { startedAt, finishedAt: null, nodes: {} };
    }
    const { storedWorkflowTemplateSpec } = status;
    return { ...workflowStatus(run, situation('Running', run.done, startedAt)), storedWorkflowTemplateSpec };
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
      this.#completions.delete(uid);
      this.#ended.delete(uid);
    } else if (cause === 'create' || cause === 'retry') {
      // The controller ignores workflows with the label for completed ones.
      if (entry.labels[COMPLETED] !== 'true') {
        this.#begin(entry.object);
      }
    } else if (cause === 'patch' && run !== undefined) {
      this.#onPatch(run, entry.object, previous?.object.spec['suspend'] === true);
    }
  }

  #begin(workflow: ApiObject): void {
    const { name, namespace, uid } = workflow.metadata;
    const attempt = this.#attempts.get(uid) ?? 0;
    this.#attempts.set(uid, attempt + 1);
    const plan = { ...this.#defaults, ...this.#options.plan(workflow, attempt) };
    const ended = this.#ended.get(uid);
    const decided = new Map<number, JsonObject>();
    const begun = { template: undefined, steps: undefined, decided, done: 0, timer: undefined };
    const run: Run = ended ?? { name, namespace, uid, plan, ...begun };
    this.#runs.set(uid, run);
    if (ended === undefined) {
      this.#after(plan.pendingMs, run);
    } else {
      run.plan = { ...plan, steps: run.plan.steps };
      this.#next(run);
    }
  }

  /** Only a shutdown, a change of `suspend` or a decision matters; any other patch must not hasten the plan. */
  #onPatch(run: Run, { spec, status = {} }: ApiObject, wasSuspended: boolean): void {
    const decided = this.#readNodes(run, status);
    if (spec['suspend'] === true) {
      return;
    }
    if (textField(spec, 'shutdown') !== '') {
      this.#after(0, run);
    } else if (wasSuspended || decided) {
      this.#next(run);
    }
  }

  /** Whether the nodes now have a decision for the current waiting step. */
  #readNodes(run: Run, status: JsonObject): boolean {
    const { nodes, compressedNodes } = status;
    if (compressedNodes !== undefined && isRecord(nodes) && Object.keys(nodes).length > 0) {
      // The controller treats plain nodes as the complete set: it forgets the packed ones and starts over.
      run.done = 0;
      run.decided.clear();
      return run.steps !== undefined;
    }
    const found = nodesIn(status);
    for (const [index, { suspend }] of (run.steps ?? []).entries()) {
      const node = suspend === undefined ? undefined : found[stepId(run, index + 1)];
      if (node !== undefined && /^(Succeeded|Failed|Error)$/.test(textField(node, 'phase'))) {
        run.decided.set(index + 1, node);
      }
    }
    return run.decided.has(run.done + 1);
  }

  /** Schedules the end of the current step, unless it waits. */
  #next(run: Run): void {
    const lastsMs = run.decided.has(run.done + 1) ? undefined : run.steps?.[run.done]?.lastsMs;
    this.#after(lastsMs ?? run.plan.stepMs, run);
  }

  #after(ms: number, run: Run): void {
    clearTimeout(run.timer);
    run.timer = setTimeout(() => {
      this.#advance(run);
    }, ms).unref();
  }

  /** One pass over one workflow: its current state decides the next step. */
  #advance(run: Run): void {
    const entry = this.#options.store.find('workflows', run.namespace, run.name);
    if (entry === undefined || entry.object.metadata.uid !== run.uid) {
      return;
    }
    const { spec, status } = entry.object;
    const shutdown = textField(spec, 'shutdown');
    // The controller skips a suspended workflow before it checks anything else.
    if (shutdown !== '' && spec['suspend'] !== true) {
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
        this.#next(run);
        return;
      default:
        // While suspended nothing is due; resuming sets the timer again.
        if (spec['suspend'] !== true) {
          this.#step(run, entry);
        }
    }
  }

  #accept(run: Run, entry: Entry): void {
    const reference = entry.object.spec['workflowTemplateRef'];
    const name = isRecord(reference) ? textField(reference, 'name') : '';
    const template = this.#options.store.find('workflowtemplates', run.namespace, name);
    if (name !== '' && template === undefined) {
      this.#end(run, entry, { phase: 'Error', message: `workflowtemplates.argoproj.io "${name}" not found` });
      return;
    }
    run.template = template?.object.spec;
    run.steps = run.template === undefined ? undefined : waitingSteps(run.template);
    run.plan = run.steps === undefined ? run.plan : { ...run.plan, steps: run.steps.length };
    const fault = argumentFault(mergedSpec(run.template ?? {}, entry.object.spec));
    if (fault !== undefined) {
      this.#end(run, entry, { phase: 'Failed', message: fault });
      return;
    }
    const accepted = this.#write(run, entry, 'state', situation('Pending', 0, null));
    if (isTooLarge(accepted.json)) {
      const why = `compressed size ${storedBytes(accepted.json)} > maxSize ${MAX_WORKFLOW_BYTES}`;
      this.#end(run, accepted, { phase: 'Error', message: `workflow is longer than maximum allowed size. ${why}` });
      return;
    }
    this.#after(run.plan.startMs, run);
  }

  #step(run: Run, entry: Entry): void {
    const step = run.steps?.[run.done];
    if (step?.suspend === undefined) {
      this.#carryOn(run, entry);
      return;
    }
    if (step.lastsMs !== undefined && !run.decided.has(run.done + 1)) {
      run.decided.set(run.done + 1, lapsedNode(step, timestamp(this.#options.clock)));
    }
    const node = run.decided.get(run.done + 1);
    if (node !== undefined && textField(node, 'phase') !== 'Succeeded') {
      const message = `child '${stepId(run, run.done + 1)}' failed`;
      this.#end(run, entry, { phase: 'Failed', message, stepMessage: textField(node, 'message') });
    } else if (node !== undefined && isResolved(node)) {
      // A node without its outputs never finishes: references to them cannot be resolved.
      this.#finishStep(run, entry);
    }
  }

  #carryOn(run: Run, entry: Entry): void {
    const { outcome, steps, at = steps, message } = run.plan;
    if (outcome !== 'succeed' && run.done + 1 >= Math.min(at, steps)) {
      if (outcome !== 'hang') {
        const child = stepId(run, run.done + 1);
        const phase = outcome === 'fail' ? 'Failed' : 'Error';
        this.#end(run, entry, { phase, message: `child '${child}' failed`, stepMessage: message });
      }
      return;
    }
    this.#finishStep(run, entry);
  }

  #finishStep(run: Run, entry: Entry): void {
    const step = run.steps?.[run.done];
    if (step !== undefined) {
      this.#completions.set(run.uid, [...(this.#completions.get(run.uid) ?? []), step.name]);
    }
    run.done += 1;
    if (run.done >= run.plan.steps) {
      this.#end(run, entry, { phase: 'Succeeded', message: '' });
      return;
    }
    this.#write(run, entry, 'progress', situation('Running', run.done, startOf(entry)));
    this.#next(run);
  }

  #end(run: Run, entry: Entry, { phase, message, stepMessage = '' }: Ending): void {
    clearTimeout(run.timer);
    this.#runs.delete(run.uid);
    if (run.steps !== undefined) {
      this.#ended.set(run.uid, run);
    }
    const now = timestamp(this.#options.clock);
    const done = phase === 'Succeeded' ? run.plan.steps : run.done;
    const begun = startOf(entry);
    const last = { ...situation(phase, done, begun ?? now), begun: begun !== null };
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

  #write(run: Run, entry: Entry, cause: Cause, now: Situation): Entry {
    return this.#options.store.update('workflows', entry, cause, (object) => {
      const written = withStatus(object, run, now);
      // Like the controller, compresses the nodes of an object that is too large.
      return run.plan.nodes === 'plain' && isTooLarge(JSON.stringify(written))
        ? withStatus(object, { ...run, plan: { ...run.plan, nodes: 'gzip' } }, now)
        : written;
    });
  }
}

function isTooLarge(json: string): boolean {
  // Exact counting is slow, and Go writes at most six bytes per character.
  return json.length * 6 > MAX_WORKFLOW_BYTES && storedBytes(json) > MAX_WORKFLOW_BYTES;
}

function withStatus(object: ApiObject, run: Run, now: Situation): ApiObject {
  const { template } = run;
  return {
    ...object,
    metadata: {
      ...withAnnotations(object.metadata, template),
      labels: { ...object.metadata.labels, ...workflowLabels(now.phase) },
    },
    status: {
      ...workflowStatus(run, now),
      ...(now.phase === 'Succeeded' ? globalOutputs(template) : {}),
      // The workflow's arguments are in the object twice.
      ...(template === undefined ? {} : { storedWorkflowTemplateSpec: mergedSpec(template, object.spec) }),
    },
  };
}

function situation(phase: Phase, done: number, startedAt: string | null): Situation {
  return { phase, begun: phase !== 'Pending', done, startedAt, finishedAt: null, message: '', stepMessage: '' };
}

function startOf(entry: Entry): string | null {
  const started = textField(entry.object.status, 'startedAt');
  return started === '' ? null : started;
}
