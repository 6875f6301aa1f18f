import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { apiDocument } from '../../src/entry/api/document.ts';
import { API_ROUTES } from '../../src/entry/api/routes.ts';
import type { Json } from './cluster.ts';

/** One answer of `/v1`. */
export interface ApiAnswer {
  readonly status: number;
  readonly body: Json;
  readonly headers: Headers;
}

export interface ApiCall {
  readonly token?: string;
  readonly body?: unknown;
  /** Sent unchanged, instead of `body`. */
  readonly bytes?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
}

const DOCUMENT = apiDocument(API_ROUTES) as Json;
// The name under which the schemas refer to each other.
const ajv = new Ajv2020({ strict: false, validateFormats: false, allErrors: true }).addSchema(DOCUMENT, 'api');
const validators = new Map<string, ValidateFunction>();

/**
 * Calls `METHOD /v1/…` and validates the answer against the document: an answer that the document does not describe, or
 * describes differently, fails the test.
 */
export async function callApi(url: string, request: string, call: ApiCall = {}): Promise<ApiAnswer> {
  const [method = '', path = ''] = request.split(' ');
  const payload = call.bytes ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
      ...(call.token === undefined ? {} : { authorization: `Bearer ${call.token}` }),
      ...call.headers,
    },
    ...(payload === undefined ? {} : { body: payload }),
  });
  const text = await textOf(response);
  const body: Json = text === '' ? undefined : JSON.parse(text);
  checkAnswer(method, path, response, body);
  return { status: response.status, body, headers: response.headers };
}

/** The body of an answer; empty for an endless stream. */
async function textOf(response: Response): Promise<string> {
  if (response.headers.get('content-type') === 'text/event-stream') {
    await response.body?.cancel();
    return '';
  }
  return response.text();
}

function checkAnswer(method: string, path: string, { status, headers }: Response, body: Json): void {
  const template = templateOf(method, path.split('?', 1)[0] ?? '');
  if (template === undefined) {
    return;
  }
  const described = DOCUMENT.paths[template][method.toLowerCase()].responses[status];
  if (described === undefined && status !== 304) {
    throw new Error(`${method} ${template} answered ${status}, which the document does not have`);
  }
  if (body === undefined) {
    return;
  }
  const type = headers.get('content-type') ?? '';
  const place = ['paths', template, method.toLowerCase(), 'responses', String(status), 'content', type, 'schema'];
  const pointer = place.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
  const validate = validators.get(pointer) ?? ajv.compile({ $ref: `api#/${pointer}` });
  validators.set(pointer, validate);
  if (!validate(body)) {
    throw new Error(`${method} ${template} answered ${status}: ${ajv.errorsText(validate.errors)}`);
  }
}

/** The most literal of the matching paths. */
function templateOf(method: string, path: string): string | undefined {
  return Object.keys(DOCUMENT.paths)
    .filter((template) => DOCUMENT.paths[template][method.toLowerCase()] !== undefined)
    .filter((template) => new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path))
    .toSorted((one, other) => one.split('{').length - other.split('{').length)[0];
}
