import { systemClock, type Clock } from '../../src/base/clock.ts';
import { answerAdmin, type AdminDeps } from './admin.ts';
import { Control } from './control.ts';
import { WorkflowController } from './controller.ts';
import { answer, type ExchangeDeps } from './exchange.ts';
import type { Verb } from './faults.ts';
import { History } from './history.ts';
import { API_VERSION, KINDS, textField, type JsonObject } from './objects.ts';
import { planFromParameter, type Plan, type PlanFunction } from './plan.ts';
import { seededRandom } from './random.ts';
import { createSimulationServer, listen, stopListening } from '../simulation-server.ts';
import { Store } from './store.ts';
import { WatchHub } from './watch-hub.ts';

export interface SimulatedClusterOptions {
  /** Port on 127.0.0.1; a free one if 0 or unset. */
  readonly port?: number;
  /** Defaults to `argo-workflows` and `default`. The kubeconfig uses the first one. */
  readonly namespaces?: readonly string[];
  readonly templates?: readonly { readonly namespace: string; readonly name: string; readonly spec?: JsonObject }[];
  /** The accepted bearer tokens; without any, everyone is accepted. */
  readonly tokens?: readonly string[];
  /** Decides what happens to each workflow; by default its parameter `simulate` does. */
  readonly plan?: PlanFunction;
  /** Defaults for what a plan leaves out. */
  readonly defaults?: Partial<Plan>;
  readonly clock?: Clock;
  /** Seed of names, uids and fault probabilities. */
  readonly seed?: number;
  /** Events remembered for watches and paged lists: at least this many, at most twice as many. */
  readonly eventWindow?: number;
  readonly bookmarkIntervalMs?: number;
  /** How long each stage of a start takes (`startup.ts`). */
  readonly startupMs?: number;
  /** etcd's limit for one object. */
  readonly maxObjectBytes?: number;
}

/** A simulated Kubernetes apiserver with Argo Workflows, over real HTTP. */
export interface SimulatedCluster {
  readonly url: string;
  readonly port: number;
  readonly store: Store;
  readonly faults: Control;
  readonly history: History;
  readonly controller: WorkflowController;
  /** Counters and sizes, the same as `GET /__sim/state`. */
  state(): Readonly<Record<string, unknown>>;
  /** A kubeconfig for this cluster, as YAML. */
  kubeconfig(): string;
  /** Stops the API server: connections break and new ones are refused. Workflows continue. */
  disconnect(): Promise<void>;
  /** Restarts it on the same port: it goes through the stages of a start, and has forgotten all past events. */
  reconnect(): Promise<void>;
  close(): Promise<void>;
}

const DEFAULTS = {
  port: 0,
  namespaces: ['argo-workflows', 'default'],
  templates: [],
  tokens: [],
  plan: planFromParameter,
  defaults: {},
  clock: systemClock,
  seed: 1,
  eventWindow: 10_000,
  bookmarkIntervalMs: 60_000,
  startupMs: 50,
  maxObjectBytes: 1_572_864,
} satisfies Required<SimulatedClusterOptions>;

/** Starts a simulated cluster, entirely in memory. */
export async function startSimulatedCluster(options: SimulatedClusterOptions = {}): Promise<SimulatedCluster> {
  const settings: Required<SimulatedClusterOptions> = { ...DEFAULTS, ...options };
  const parts = assemble(settings);
  const { store, hub, history, controller, control } = parts;
  const counters = new Counters();
  const state = (): Readonly<Record<string, unknown>> => ({
    version: store.version,
    workflows: store.count('workflows'),
    live: controller.live,
    phases: countPhases(store),
    watchers: hub.size,
    connections: counters.connections,
    requests: Object.fromEntries(counters.requests),
    rules: control.requests.list(),
  });
  const deps = { ...parts, state, count: counters.request };
  const server = createSimulationServer(
    (request, response) => answerAdmin(request, response, deps),
    (request, response) => answer(request, response, deps),
  );
  server.on('connection', counters.connection);
  const port = await listen(server, settings.port);
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    port,
    store,
    faults: control,
    history,
    controller,
    state,
    kubeconfig: () => kubeconfig(url, settings.namespaces[0] ?? 'default', settings.tokens[0]),
    disconnect: async () => stopListening(server),
    reconnect: async () => {
      store.compact();
      control.access.startUp(settings.startupMs);
      await listen(server, port);
    },
    close: async () => {
      hub.close();
      controller.close();
      await stopListening(server);
    },
  };
}

function assemble(settings: Required<SimulatedClusterOptions>): Omit<ExchangeDeps & AdminDeps, 'state' | 'count'> & {
  readonly controller: WorkflowController;
} {
  const { clock, tokens, plan, eventWindow, maxObjectBytes } = settings;
  const random = seededRandom(settings.seed);
  const namespaces = new Set([...settings.namespaces, ...settings.templates.map(({ namespace }) => namespace)]);
  const store = new Store({ clock, random, eventWindow, maxObjectBytes });
  const history = new History(clock);
  store.onCommit((event) => {
    history.record(event);
  });
  const hub = new WatchHub(store, settings.bookmarkIntervalMs);
  const controller = new WorkflowController({ store, clock, random, plan });
  controller.setDefaults(settings.defaults);
  for (const { name, namespace, spec = {} } of settings.templates) {
    const kind = KINDS.workflowtemplates;
    store.create('workflowtemplates', { apiVersion: API_VERSION, kind, metadata: { name, namespace }, spec });
  }
  const control = new Control({ clock, random, store, hub, controller, tokens });
  return { store, namespaces, random, hub, history, controller, control };
}

class Counters {
  readonly requests = new Map<Verb, number>();
  connections = 0;

  readonly request = (verb: Verb): void => {
    this.requests.set(verb, (this.requests.get(verb) ?? 0) + 1);
  };

  readonly connection = (): void => {
    this.connections += 1;
  };
}

function countPhases(store: Store): Readonly<Record<string, number>> {
  const phases: Record<string, number> = {};
  for (const { object } of store.all('workflows')) {
    const phase = textField(object.status, 'phase');
    phases[phase] = (phases[phase] ?? 0) + 1;
  }
  return phases;
}

function kubeconfig(url: string, namespace: string, token: string | undefined): string {
  return `apiVersion: v1
kind: Config
current-context: simulated
clusters:
  - name: simulated
    cluster:
      server: ${url}
      insecure-skip-tls-verify: true
contexts:
  - name: simulated
    context:
      cluster: simulated
      user: facteur
      namespace: ${namespace}
users:
  - name: facteur
    user: ${token === undefined ? '{}' : `{token: ${JSON.stringify(token)}}`}
`;
}
