import { isRecord } from '../../base/json.ts';
import type { ClusterAccess } from './connection.ts';
import { startDeadline } from './deadline.ts';
import { ArgoError } from './errors.ts';
import { readPage, readWorkflow, readWorkflowTemplate } from './read.ts';
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
} from './workflows.ts';

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_PAGE = 250;
/** Lines may be long; nobody reads more of them than this. */
const MAX_LOG_BYTES = 65_536;
const DEFAULT_WATCH_SECONDS = 300;
/** The apiserver sends a bookmark about once a minute, so half as long again without a word means a dead connection. */
const DEFAULT_IDLE_MS = 90_000;

/** A client for this cluster; opens no connection before the first call. */
export function createArgoClient(access: ClusterAccess): ArgoClient {
  const transport = new ClusterTransport(access);
  const call = async (wanted: ClusterRequest, options: CallOptions = {}): Promise<unknown> =>
    transport.call(wanted, options.timeoutMs ?? DEFAULT_TIMEOUT_MS, options.signal);

  return {
    async createWorkflow(namespace, manifest, options): Promise<Workflow> {
      const operation = { name: 'create the workflow', write: true };
      const body = { contentType: 'application/json', json: manifest };
      return readWorkflow(await call({ operation, method: 'POST', path: pathOf(namespace), body }, options), operation);
    },

    async getWorkflow(namespace, name, options): Promise<Workflow> {
      const operation = { name: 'get the workflow', write: false };
      return readWorkflow(await call({ operation, method: 'GET', path: pathOf(namespace, name) }, options), operation);
    },

    async patchWorkflow(namespace, name, patch, options): Promise<Workflow> {
      const operation = { name: 'change the workflow', write: true };
      const body = { contentType: 'application/merge-patch+json', json: patch };
      const path = pathOf(namespace, name);
      return readWorkflow(await call({ operation, method: 'PATCH', path, body }, options), operation);
    },

    async getWorkflowTemplate(namespace, name, options): Promise<WorkflowTemplate> {
      const operation = { name: 'get the workflow template', write: false };
      const path = `${groupPath(namespace)}/workflowtemplates/${encodeURIComponent(name)}`;
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

    async serverVersion(options): Promise<string> {
      const operation = { name: "read the cluster's version", write: false };
      const value = await call({ operation, method: 'GET', path: '/version' }, options);
      return isRecord(value) && typeof value['gitVersion'] === 'string' ? value['gitVersion'] : 'unknown';
    },

    listWorkflows: (namespace, options = {}) => pages(call, namespace, options),
    watchWorkflows: (namespace, options = {}) => watch(transport, namespace, options),
    close: async () => {
      await transport.close();
    },
  };
}

type Call = (wanted: ClusterRequest, options?: CallOptions) => Promise<unknown>;

async function* pages(
  call: Call,
  namespace: string,
  options: ListOptions,
): AsyncGenerator<WorkflowPage, void, undefined> {
  const operation = { name: 'list the workflows', write: false };
  let limit = options.limit ?? DEFAULT_PAGE;
  let token = options.continue ?? '';
  for (;;) {
    const query = {
      labelSelector: options.labelSelector,
      limit,
      // A continued list has its version in the token, and the API refuses both together.
      ...(token === ''
        ? { resourceVersion: options.resourceVersion, resourceVersionMatch: options.resourceVersionMatch }
        : { continue: token }),
    };
    let page: WorkflowPage;
    try {
      page = readPage(await call({ operation, method: 'GET', path: pathOf(namespace), query }, options), operation);
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

async function* watch(
  transport: ClusterTransport,
  namespace: string,
  options: WatchOptions,
): AsyncGenerator<WatchEvent, void, undefined> {
  const operation = { name: 'watch the workflows', write: false };
  const query = {
    watch: true,
    allowWatchBookmarks: true,
    timeoutSeconds: options.timeoutSeconds ?? DEFAULT_WATCH_SECONDS,
    labelSelector: options.labelSelector,
    resourceVersion: options.resourceVersion,
  };
  const idle = startDeadline(options.idleTimeoutMs ?? DEFAULT_IDLE_MS, options.signal);
  try {
    const body = await transport.open({ operation, method: 'GET', path: pathOf(namespace), query }, idle);
    for await (const line of lines(body, operation)) {
      // However long the caller takes over an event: that is no silence of the server.
      idle.pause();
      yield parseWatchLine(line, operation);
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
