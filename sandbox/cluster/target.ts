import type { IncomingMessage } from 'node:http';
import { ApiFailure } from './api-failure.ts';
import type { Verb } from './faults.ts';
import { API_VERSION, type Resource } from './objects.ts';
import { isTrue } from './watch-hub.ts';

/** The object or collection that a path refers to. */
export interface Target {
  readonly resource: Resource;
  readonly namespace: string | undefined;
  readonly name: string;
}

const PREFIX = `/apis/${API_VERSION}/`;
const OBJECT_PATH = /^(?:namespaces\/([^/]+)\/)?(workflows|workflowtemplates)(?:\/([^/]+))?$/;

/** Undefined if the path is not a workflow or template. */
export function parseTarget(path: string): Target | undefined {
  const match = path.startsWith(PREFIX) ? OBJECT_PATH.exec(path.slice(PREFIX.length)) : null;
  if (match === null) {
    return undefined;
  }
  const [, namespace, resource, name] = match;
  return {
    resource: resource as Resource,
    namespace: namespace === undefined ? undefined : decodeURIComponent(namespace),
    name: name === undefined ? '' : decodeURIComponent(name),
  };
}

/** Throws 405 for an unsupported method. */
export function verbOf(request: IncomingMessage, { name }: Target, query: URLSearchParams): Verb {
  const verb = name === '' ? collectionVerb(request.method, query) : objectVerb(request.method);
  if (verb === undefined) {
    throw new ApiFailure(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource');
  }
  return verb;
}

function collectionVerb(method: string | undefined, query: URLSearchParams): Verb | undefined {
  if (method === 'GET') {
    return isTrue(query.get('watch')) ? 'watch' : 'list';
  }
  return method === 'POST' ? 'create' : undefined;
}

function objectVerb(method: string | undefined): Verb | undefined {
  const verbs: Readonly<Record<string, Verb>> = { GET: 'get', PATCH: 'patch', DELETE: 'delete' };
  return verbs[method ?? ''];
}
