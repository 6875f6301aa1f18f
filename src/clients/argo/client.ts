import { isRecord } from '../../base/json.ts';
import type { ClusterAccess } from './connection.ts';
import { startDeadline } from './deadline.ts';
import { ArgoError, isArgoError } from './errors.ts';
import { readPage, readWorkflow, readWorkflowTemplate, type Page, type ReadObject } from './read.ts';
import { ANSWER_TOO_LARGE, ClusterTransport } from './transport.ts';
import type { ClusterRequest } from './transport.ts';
import { lines, parseWatchLine } from './watch.ts';
import type {
  CallOptions,
  ListOptions,
  WatchEvent,
  WatchOptions,
  Workflow,
  ArgoClient,
  WorkflowPage,
  WorkflowTemplate,
  TemplatePage,
} from './workflows.ts';

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_PAGE = 250;
/** Lines may be long; more than this is never read. */
const MAX_LOG_BYTES = 65_536;
const DEFAULT_WATCH_SECONDS = 300;
/** The API server sends a bookmark about once a minute, so 90 seconds of silence mean a dead connection. */
const DEFAULT_IDLE_MS = 90_000;

/** Only the workflow's metadata, if the server supports that: a created workflow can be 450 KiB. */
const METADATA_ONLY = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json';

/** A client for this cluster; opens no connection before the first call. */
export function createArgoClient(access: ClusterAccess): ArgoClient {
  const transport = new ClusterTransport(access);
  const call = async (wanted: ClusterRequest, options: CallOptions = {}): Promise<unknown> =>
    transport.call(wanted, options.timeoutMs ?? DEFAULT_TIMEOUT_MS, options.signal);

  const patchAs = async (
    body: NonNullable<ClusterRequest['body']>,
    path: string,
    options?: CallOptions,
  ): Promise<Workflow> => {
    const operation = { name: 'change the workflow', write: true };
    return readWorkflow(await call({ operation, method: 'PATCH', path, body }, options), operation);
  };

  return {
    async createWorkflow(namespace, manifest, options): Promise<Pick<Workflow, 'metadata'>> {
      const operation = { name: 'create the workflow', write: true };
      const body = { contentType: 'application/json', json: manifest };
      const wanted = { operation, method: 'POST', path: pathOf(namespace), body, accept: METADATA_ONLY } as const;
      return readWorkflow(await call(wanted, options), operation);
    },

    async getWorkflow(namespace, name, options): Promise<Workflow> {
      const operation = { name: 'get the workflow', write: false };
      return readWorkflow(await call({ operation, method: 'GET', path: pathOf(namespace, name) }, options), operation);
    },

    patchWorkflow: (namespace, name, json, options) =>
      patchAs({ contentType: 'application/merge-patch+json', json }, pathOf(namespace, name), options),

    patchWorkflowIf: (namespace, name, json, options) =>
      patchAs({ contentType: 'application/json-patch+json', json }, pathOf(namespace, name), options),

    async getWorkflowTemplate(namespace, name, options): Promise<WorkflowTemplate> {
      const operation = { name: 'get the workflow template', write: false };
      const path = `${templatesOf(namespace).path}/${encodeURIComponent(name)}`;
      return readWorkflowTemplate(await call({ operation, method: 'GET', path }, options), operation);
    },

    async podLog(namespace, pod, options): Promise<string> {
      const { container, tailLines, timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
      const wanted: ClusterRequest = {
        operation: { name: "read the pod's log", write: false },
        method: 'GET',
        path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/log`,
        query: { container, tailLines, limitBytes: MAX_LOG_BYTES },
        accept: '*/*',
      };
      return (await transport.text(wanted, timeoutMs, signal)).body;
    },

    async isReady({ timeoutMs = DEFAULT_TIMEOUT_MS, signal } = {}): Promise<boolean> {
      const operation = { name: 'ask whether the cluster is ready', write: false };
      const wanted: ClusterRequest = { operation, method: 'GET', path: '/readyz', accept: '*/*' };
      // A proxy's page is a 200, too.
      const ask = async (as: Partial<ClusterRequest>): Promise<boolean> =>
        (await transport.text({ ...wanted, ...as }, timeoutMs, signal)).body.trim() === 'ok';
      // The server rejects invalid credentials here, but answers anonymous requests.
      return ask({}).catch(async (error: unknown) => {
        return isArgoError(error, 'argo.unauthorized') ? ask({ anonymous: true }).catch(() => false) : false;
      });
    },

    async tokenKeys(options): Promise<unknown> {
      const operation = { name: "read the cluster's keys for tokens", write: false };
      return call({ operation, method: 'GET', path: '/openid/v1/jwks', accept: 'application/jwk-set+json' }, options);
    },

    async serverVersion(options): Promise<string> {
      const operation = { name: "read the cluster's version", write: false };
      const value = await call({ operation, method: 'GET', path: '/version' }, options);
      return isRecord(value) && typeof value['gitVersion'] === 'string' ? value['gitVersion'] : 'unknown';
    },

    async *listWorkflows(namespace, options = {}): AsyncGenerator<WorkflowPage, void, undefined> {
      for await (const { objects: workflows, ...place } of pages(call, workflowsOf(namespace), options)) {
        yield { workflows, ...place };
      }
    },
    watchWorkflows: (namespace, options = {}) => watch(transport, workflowsOf(namespace), options),
    async *listWorkflowTemplates(namespace, options = {}): AsyncGenerator<TemplatePage, void, undefined> {
      for await (const { objects: templates, ...place } of pages(call, templatesOf(namespace), options)) {
        yield { templates, ...place };
      }
    },
    watchWorkflowTemplates: (namespace, options = {}) => watch(transport, templatesOf(namespace), options),
    close: async () => {
      await transport.close();
    },
  };
}

type Call = (wanted: ClusterRequest, options?: CallOptions) => Promise<unknown>;

/** A kind that can be listed and watched. */
interface Collection<T> {
  readonly path: string;
  /** As in «cannot list the …». */
  readonly name: string;
  readonly read: ReadObject<T>;
}

function workflowsOf(namespace: string): Collection<Workflow> {
  return { path: pathOf(namespace), name: 'workflows', read: readWorkflow };
}

function templatesOf(namespace: string): Collection<WorkflowTemplate> {
  const path = `${groupPath(namespace)}/workflowtemplates`;
  return { path, name: 'workflow templates', read: readWorkflowTemplate };
}

async function* pages<T>(
  call: Call,
  collection: Collection<T>,
  options: ListOptions,
): AsyncGenerator<Page<T>, void, undefined> {
  const operation = { name: `list the ${collection.name}`, write: false };
  let limit = options.limit ?? DEFAULT_PAGE;
  let token = options.continue ?? '';
  for (;;) {
    const query = {
      labelSelector: options.labelSelector,
      limit,
      // A continued list has its version in the token; the API rejects both together.
      ...(token === ''
        ? { resourceVersion: options.resourceVersion, resourceVersionMatch: options.resourceVersionMatch }
        : { continue: token }),
    };
    let page: Page<T>;
    try {
      const answer = await call({ operation, method: 'GET', path: collection.path, query }, options);
      page = readPage(answer, operation, collection.read);
    } catch (error) {
      if (!(error instanceof ArgoError && error.reason === ANSWER_TOO_LARGE && limit > 1)) {
        throw error;
      }
      limit = Math.floor(limit / 2);
      continue;
    }
    yield page;
    token = page.continue;
    if (token === '') {
      return;
    }
  }
}

async function* watch<T>(
  transport: ClusterTransport,
  collection: Collection<T>,
  options: WatchOptions,
): AsyncGenerator<WatchEvent<T>, void, undefined> {
  const operation = { name: `watch the ${collection.name}`, write: false };
  const query = {
    watch: true,
    allowWatchBookmarks: true,
    timeoutSeconds: options.timeoutSeconds ?? DEFAULT_WATCH_SECONDS,
    labelSelector: options.labelSelector,
    resourceVersion: options.resourceVersion,
  };
  const idle = startDeadline(options.idleTimeoutMs ?? DEFAULT_IDLE_MS, options.signal);
  try {
    const body = await transport.open({ operation, method: 'GET', path: collection.path, query }, idle);
    for await (const whole of lines(body, operation)) {
      // The time that the caller takes for events does not count as server silence.
      idle.pause();
      for (const line of whole) {
        yield parseWatchLine(line, operation, collection.read);
      }
      idle.restart();
    }
  } catch (error) {
    if (idle.aborted) {
      return;
    }
    throw transport.translate(error, operation, idle);
  } finally {
    idle.stop();
  }
}

function groupPath(namespace: string): string {
  return `/apis/argoproj.io/v1alpha1/namespaces/${encodeURIComponent(namespace)}`;
}

function pathOf(namespace: string, name?: string): string {
  const collection = `${groupPath(namespace)}/workflows`;
  return name === undefined ? collection : `${collection}/${encodeURIComponent(name)}`;
}
