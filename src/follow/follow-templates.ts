import { backoffMs, type BackoffLimits } from '../base/backoff.ts';
import { errorMessage } from '../base/errors.ts';
import type { Logger } from '../base/logger.ts';
import { pause } from '../base/timer.ts';
import { ArgoError, isArgoError } from '../clients/argo/errors.ts';
import type { ArgoClient, WatchEvent, WorkflowTemplate } from '../clients/argo/workflows.ts';
import { needsList } from './namespace-follower.ts';

/** External dependencies of the template follower. */
interface TemplateFollowerDeps {
  readonly templates: Pick<ArgoClient, 'listWorkflowTemplates' | 'watchWorkflowTemplates'>;
  readonly namespaces: readonly string[];
  readonly selector: string | undefined;
  /**
   * Called with the templates of all namespaces when any have changed, including those that define no command: others may refer
   * to them.
   *
   * @param isComplete whether every namespace was read or denies access
   */
  readonly onChanged: (templates: readonly WorkflowTemplate[], isComplete: boolean) => void;
  readonly logger: Logger;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly backoff?: BackoffLimits;
}

const BACKOFF: BackoffLimits = { firstMs: 100, maxMs: 30_000 };
/** A watch that lived this long was healthy: its end is a new problem and not the previous one. */
const GOOD_WATCH_MS = 5_000;
/** Everything is listed this often even without errors, as a safety net. */
const RELIST_MS = 30 * 60_000;
/** Changes in quicker succession than this are reported together, in milliseconds. */
const GATHER_MS = 100;
/** A starting API server briefly refuses everybody; this many refusals in a row count as final. */
const BELIEVED_REFUSALS = 8;

/**
 * Keeps the templates up to date until it is stopped: lists once per namespace and watches from there. While the cluster does not
 * answer, the last known templates stay: an outage must not remove a command.
 */
export class TemplateFollower {
  readonly #deps: TemplateFollowerDeps;
  readonly #namespaces: readonly NamespaceTemplates[];
  readonly #abort = new AbortController();
  #done: Promise<unknown> = Promise.resolve();
  #toldAt = -Infinity;
  #gathering: NodeJS.Timeout | undefined;

  constructor(deps: TemplateFollowerDeps) {
    this.#deps = deps;
    this.#namespaces = deps.namespaces.map(
      (namespace) => new NamespaceTemplates(namespace, deps, () => this.#changed()),
    );
  }

  start(): void {
    this.#done = Promise.all(this.#namespaces.map((one) => one.run(this.#abort.signal)));
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    clearTimeout(this.#gathering);
    await this.#done;
  }

  /** Each call reports all templates, so a burst of events must not cause one call per event. */
  #changed(): void {
    const waitMs = this.#toldAt + GATHER_MS - performance.now();
    if (waitMs <= 0) {
      this.#tell();
    } else {
      this.#gathering ??= setTimeout(() => this.#tell(), waitMs);
    }
  }

  #tell(): void {
    clearTimeout(this.#gathering);
    this.#gathering = undefined;
    this.#toldAt = performance.now();
    this.#deps.onChanged(
      this.#namespaces.flatMap((one) => one.templates),
      this.#namespaces.every(({ isKnown }) => isKnown),
    );
  }
}

/** The templates of one namespace. */
class NamespaceTemplates {
  readonly #namespace: string;
  readonly #deps: TemplateFollowerDeps;
  readonly #onChanged: () => void;
  #templates = new Map<string, WorkflowTemplate>();
  #isKnown = false;
  #version: string | undefined;
  #listedAt = 0;
  #failures = 0;
  #isRefused = false;

  constructor(namespace: string, deps: TemplateFollowerDeps, onChanged: () => void) {
    this.#namespace = namespace;
    this.#deps = deps;
    this.#onChanged = onChanged;
  }

  get templates(): readonly WorkflowTemplate[] {
    return [...this.#templates.values()];
  }

  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** Returns after the signal has fired. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const startedAt = performance.now();
      try {
        this.#version ??= await this.#list(signal);
        await this.#watch(this.#version, signal);
        if (performance.now() - this.#listedAt > RELIST_MS) {
          this.#version = undefined;
        }
        if (performance.now() - startedAt < GOOD_WATCH_MS) {
          await this.#backOff(signal);
        }
      } catch (error) {
        await this.#afterFailure(error, startedAt, signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { templates, selector, logger } = this.#deps;
    const { listed, version } = await listAll(templates, this.#namespace, { selector, signal });
    this.#templates = new Map(listed.map((template) => [template.metadata?.name ?? '', template]));
    this.#isKnown = true;
    this.#isRefused = false;
    this.#failures = 0;
    this.#listedAt = performance.now();
    logger.info({ namespace: this.#namespace, listed: listed.length }, 'workflow templates listed');
    this.#onChanged();
    return version;
  }

  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { templates, selector } = this.#deps;
    const options = { labelSelector: selector, resourceVersion, signal };
    for await (const event of templates.watchWorkflowTemplates(this.#namespace, options)) {
      if (event.type !== 'BOOKMARK') {
        this.#take(event);
      }
      this.#version = event.resourceVersion;
      this.#failures = 0;
    }
  }

  #take({ type, object: template }: Exclude<WatchEvent<WorkflowTemplate>, { type: 'BOOKMARK' }>): void {
    const name = template.metadata?.name ?? '';
    if (type === 'DELETED') {
      this.#templates.delete(name);
    } else {
      this.#templates.set(name, template);
    }
    this.#onChanged();
  }

  async #afterFailure(error: unknown, startedAt: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) {
      return;
    }
    this.#failures = performance.now() - startedAt > GOOD_WATCH_MS ? 0 : this.#failures;
    if (isArgoError(error, 'argo.forbidden')) {
      this.#refused(error);
    } else {
      const level = this.#failures === 0 ? 'info' : 'warn';
      const fields = { namespace: this.#namespace, failures: this.#failures + 1, error: errorMessage(error) };
      this.#deps.logger[level](fields, 'watch of workflow templates interrupted');
    }
    if (needsList(error, this.#failures + 1)) {
      this.#version = undefined;
    }
    await this.#backOff(signal, error instanceof ArgoError ? error.retryAfterMs : 0);
  }

  /** Logged once: the permission may be missing on purpose, and can be granted without a restart. */
  #refused(error: unknown): void {
    if (!this.#isRefused) {
      this.#isRefused = true;
      const fields = { namespace: this.#namespace, error: errorMessage(error) };
      this.#deps.logger.warn(fields, 'may not list workflow templates, so this namespace defines no commands');
    }
    if (this.#failures + 1 >= BELIEVED_REFUSALS && !this.#isKnown) {
      this.#isKnown = true;
      this.#onChanged();
    }
  }

  async #backOff(signal: AbortSignal, atLeastMs = 0): Promise<void> {
    this.#failures += 1;
    const { backoff = BACKOFF, random } = this.#deps;
    await pause(Math.max(atLeastMs, backoffMs(this.#failures, backoff, random())), signal);
  }
}

/** Lists the current templates without following them. @throws ArgoError */
export async function listTemplates(
  deps: Pick<TemplateFollowerDeps, 'templates' | 'namespaces' | 'selector'>,
): Promise<readonly WorkflowTemplate[]> {
  const lists = deps.namespaces.map((namespace) => listAll(deps.templates, namespace, deps));
  return (await Promise.all(lists)).flatMap(({ listed }) => listed);
}

async function listAll(
  templates: Pick<ArgoClient, 'listWorkflowTemplates'>,
  namespace: string,
  { selector, signal }: Pick<TemplateFollowerDeps, 'selector'> & { readonly signal?: AbortSignal },
): Promise<{ readonly listed: readonly WorkflowTemplate[]; readonly version: string }> {
  const listed: WorkflowTemplate[] = [];
  let version = '';
  for await (const page of templates.listWorkflowTemplates(namespace, { labelSelector: selector, signal })) {
    listed.push(...page.templates);
    version = page.resourceVersion;
  }
  return { listed, version };
}
