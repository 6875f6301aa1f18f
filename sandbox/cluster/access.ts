import type { Asker } from './api-failure.ts';
import { requestMatches, type RequestFacts, type RequestMatch } from './faults.ts';
import type { Quota } from './quota.ts';
import { STARTUP, type Stage } from './startup.ts';

/** Commands that change permissions. */
export type AccessCommand =
  /** RBAC: these requests get 403. */
  | { readonly op: 'deny'; readonly requests: readonly RequestMatch[] }
  /** The quota of a namespace; unset removes it. */
  | { readonly op: 'quota'; readonly namespace: string; readonly quota?: Quota }
  /** The stage of a starting API server; it stays there. */
  | { readonly op: 'startup'; readonly stage: Stage }
  /** The accepted bearer tokens; without any, everyone is accepted. */
  | { readonly op: 'tokens'; readonly tokens: readonly string[] };

const OPS: ReadonlySet<string> = new Set<AccessCommand['op']>(['deny', 'quota', 'startup', 'tokens']);

export function isAccessCommand(command: { readonly op: string }): command is AccessCommand {
  return OPS.has(command.op);
}

/** The permissions of the simulated API server. */
export class Access {
  readonly #quotas = new Map<string, Quota>();
  #denied: readonly RequestMatch[] = [];
  #tokens: ReadonlySet<string>;
  #stage: Stage = 'ready';
  #startup: NodeJS.Timeout | undefined;

  constructor(tokens: readonly string[]) {
    this.#tokens = new Set(tokens);
  }

  get stage(): Stage {
    return this.#stage;
  }

  /** Goes through all stages of a start, each for `ms`. */
  startUp(ms: number, stages: readonly Stage[] = STARTUP): void {
    const [stage = 'ready', ...later] = ms > 0 ? stages : [];
    this.#enter(stage);
    if (later.length > 0) {
      this.#startup = setTimeout(() => {
        this.startUp(ms, later);
      }, ms).unref();
    }
  }

  isDenied(facts: RequestFacts): boolean {
    return this.#denied.some((match) => requestMatches(match, facts));
  }

  quotaOf(namespace: string): Quota | undefined {
    return this.#quotas.get(namespace);
  }

  /** The requester, from the `Authorization` header: anonymous without one, undefined for an invalid token. */
  identify(header: string | undefined): Asker | undefined {
    if (this.#tokens.size === 0) {
      return 'facteur';
    }
    if (header === undefined || header === '') {
      return 'anonymous';
    }
    return this.#tokens.has(header.replace(/^Bearer /, '')) ? 'facteur' : undefined;
  }

  apply(command: AccessCommand): void {
    switch (command.op) {
      case 'deny':
        this.#denied = command.requests;
        break;
      case 'quota':
        if (command.quota === undefined) {
          this.#quotas.delete(command.namespace);
        } else {
          this.#quotas.set(command.namespace, command.quota);
        }
        break;
      case 'startup':
        this.#enter(command.stage);
        break;
      case 'tokens':
        this.#tokens = new Set(command.tokens);
        break;
    }
  }

  /** Resets everything except tokens. */
  clear(): void {
    this.#denied = [];
    this.#quotas.clear();
    this.#enter('ready');
  }

  #enter(stage: Stage): void {
    clearTimeout(this.#startup);
    this.#stage = stage;
  }
}
