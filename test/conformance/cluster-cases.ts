/** Requests to the API for workflows, and the answers of a real API server. Texts are compared only where both agree. */

/** The answer that both clusters must give. */
export interface Expected {
  readonly status: number;
  readonly reason?: string;
  /** A pattern for the message of the Status. */
  readonly says?: RegExp;
}

export interface ConformanceCase {
  readonly name: string;
  readonly method?: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** The path after the collection: `/NAME?QUERY`. */
  readonly path?: string;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly expected: Expected;
  /** The different answer of the simulated cluster, and why it stays. */
  readonly simulated?: Expected & { readonly because: string };
}

/** The object that exists before the cases run. */
export const BASE = 'base';

type Metadata = Readonly<Record<string, unknown>>;

export function workflow(metadata: Metadata, spec: unknown = { workflowTemplateRef: { name: 'as-told' } }): object {
  return { apiVersion: 'argoproj.io/v1alpha1', kind: 'Workflow', metadata, spec };
}

function creating(
  name: string,
  body: unknown,
  expected: Expected,
  rest: Partial<ConformanceCase> = {},
): ConformanceCase {
  // A dry run keeps nothing: each case finds the same collection.
  return { name: `create: ${name}`, method: 'POST', path: '?dryRun=All', body, expected, ...rest };
}

const CREATED: Expected = { status: 201 };
const INVALID: Expected = { status: 422, reason: 'Invalid' };
const BAD: Expected = { status: 400, reason: 'BadRequest' };
const OK: Expected = { status: 200 };

const parameter = (value: unknown): object => ({
  workflowTemplateRef: { name: 'as-told' },
  arguments: { parameters: [value] },
});

const CREATE: readonly ConformanceCase[] = [
  creating('a valid workflow', workflow({ name: 'good' }), CREATED),
  creating('by generateName', workflow({ generateName: 'good-' }), CREATED),
  creating('no name', workflow({}), {
    ...INVALID,
    says: /metadata\.name: Required value: name or generateName is required/,
  }),
  creating('an empty name', workflow({ name: '' }), { ...INVALID, says: /metadata\.name: Required value/ }),
  creating('an uppercase name', workflow({ name: 'Bad' }), { ...INVALID, says: /lowercase RFC 1123 subdomain/ }),
  creating('a name of 254 letters', workflow({ name: 'x'.repeat(254) }), {
    ...INVALID,
    says: /must be no more than 253/,
  }),
  creating('no metadata', { apiVersion: 'argoproj.io/v1alpha1', kind: 'Workflow', spec: {} }, INVALID),
  creating('no spec', { ...workflow({ name: 'a' }), spec: undefined }, { ...INVALID, says: /spec: Required value/ }),
  creating('a spec that is text', workflow({ name: 'a' }, 'text'), { ...INVALID, says: /spec/ }),
  creating('an entrypoint that is a number', workflow({ name: 'a' }, { entrypoint: 5 }), {
    ...INVALID,
    says: /spec\.entrypoint in body must be of type string: "integer"/,
  }),
  creating('parameters that are not a list', workflow({ name: 'a' }, { arguments: { parameters: {} } }), {
    ...INVALID,
    says: /spec\.arguments\.parameters in body must be of type array: "object"/,
  }),
  creating('a parameter that is a number', workflow({ name: 'a' }, parameter({ name: 'n', value: 5 })), {
    ...INVALID,
    says: /spec\.arguments\.parameters\[0\]\.value in body must be of type string: "integer"/,
  }),
  creating('a parameter without a name', workflow({ name: 'a' }, parameter({ value: 'v' })), {
    ...INVALID,
    says: /spec\.arguments\.parameters\[0\]\.name: Required value/,
  }),
  creating('a label of 63 letters', workflow({ name: 'a', labels: { l: 'x'.repeat(63) } }), CREATED),
  creating('a label of 64 letters', workflow({ name: 'a', labels: { l: 'x'.repeat(64) } }), {
    ...INVALID,
    says: /metadata\.labels: Invalid value: .* must be no more than 63 (bytes|characters)/,
  }),
  creating('a label with a space', workflow({ name: 'a', labels: { l: 'x y' } }), {
    ...INVALID,
    says: /a valid label must be/,
  }),
  creating('a label key of 64 letters', workflow({ name: 'a', labels: { ['k'.repeat(64)]: '' } }), {
    ...INVALID,
    says: /name part must be no more than 63 (bytes|characters)/,
  }),
  creating('a label that is a number', workflow({ name: 'a', labels: { l: 5 } }), { ...BAD, says: /cannot unmarshal/ }),
  creating('a label that is null', workflow({ name: 'a', labels: { l: null } }), CREATED),
  creating('annotations of 257 KiB', workflow({ name: 'a', annotations: { a: 'x'.repeat(257 * 1024) } }), {
    ...INVALID,
    says: /metadata\.annotations: Too long: may not be more than 262144 bytes/,
  }),
  creating('annotations that are a list', workflow({ name: 'a', annotations: [] }), {
    ...BAD,
    says: /cannot unmarshal/,
  }),
  creating(
    'another kind',
    { ...workflow({ name: 'a' }), kind: 'Pod' },
    { ...INVALID, says: /kind: Invalid value: "Pod": must be Workflow/ },
  ),
  creating(
    'another version',
    { ...workflow({ name: 'a' }), apiVersion: 'argoproj.io/v1' },
    {
      ...BAD,
      says: /the API version in the data \(argoproj\.io\/v1\) .*does not match the expected/,
    },
  ),
  creating('no kind', { ...workflow({ name: 'a' }), kind: undefined }, { ...BAD, says: /kind/i }),
  creating('another namespace', workflow({ name: 'a', namespace: 'elsewhere' }), {
    ...BAD,
    says: /the namespace of the provided object does not match the namespace sent on the request/,
  }),
  creating('invalid JSON', '{nope', BAD),
  creating('a JSON list', '[]', BAD),
  creating('null', 'null', BAD),
  creating(
    'text/plain',
    workflow({ name: 'a' }),
    { status: 415, reason: 'UnsupportedMediaType' },
    { contentType: 'text/plain' },
  ),
  creating('YAML', JSON.stringify(workflow({ name: 'a' })), CREATED, {
    contentType: 'application/yaml',
    simulated: { status: 415, reason: 'UnsupportedMediaType', because: 'facteur sends JSON' },
  }),
  creating('an unknown field', { ...workflow({ name: 'a' }), spec: { nonsense: 1 } }, CREATED),
  creating('more than 3 MiB', workflow({ name: 'a' }, parameter({ name: 'n', value: 'x'.repeat(3.2 * 1024 * 1024) })), {
    status: 413,
    reason: 'RequestEntityTooLarge',
  }),
  {
    name: 'create: a resourceVersion',
    method: 'POST',
    body: workflow({ name: 'versioned', resourceVersion: '5' }),
    expected: { status: 500, says: /resourceVersion should not be set on objects to be created/ },
  },
  {
    name: 'create: an existing workflow',
    method: 'POST',
    body: workflow({ name: BASE }),
    expected: { status: 409, reason: 'AlreadyExists', says: /workflows\.argoproj\.io "base" already exists/ },
  },
  {
    name: 'create: more than etcd accepts',
    method: 'POST',
    body: workflow({ name: 'large' }, parameter({ name: 'n', value: 'x'.repeat(2.5 * 1024 * 1024) })),
    expected: { status: 500, says: /etcdserver: request is too large|trying to send message larger than max/ },
  },
];

const GET: readonly ConformanceCase[] = [
  { name: 'get: an existing workflow', path: `/${BASE}`, expected: OK },
  {
    name: 'get: a missing workflow',
    path: '/nobody',
    expected: { status: 404, reason: 'NotFound', says: /workflows\.argoproj\.io "nobody" not found/ },
  },
  {
    name: 'get: after a dry run',
    path: '/good',
    expected: { status: 404, reason: 'NotFound' },
  },
  {
    name: 'get: without credentials',
    path: `/${BASE}`,
    headers: { authorization: '' },
    expected: {
      status: 403,
      reason: 'Forbidden',
      says: /User "system:anonymous" cannot get resource "workflows"/,
    },
  },
  {
    name: 'get: with an unknown token',
    path: `/${BASE}`,
    headers: { authorization: 'Bearer nobody' },
    expected: {
      status: 401,
      reason: 'Unauthorized',
    },
  },
];

const LIST: readonly ConformanceCase[] = [
  { name: 'list', expected: OK },
  { name: 'list: a limit', path: '?limit=1', expected: OK },
  { name: 'list: a negative limit', path: '?limit=-1', expected: OK },
  { name: 'list: a limit that is text', path: '?limit=x', expected: BAD },
  {
    name: 'list: an invalid continue token',
    path: '?limit=1&continue=%21',
    expected: { ...BAD, says: /continue key is not valid/ },
  },
  { name: 'list: from the cache', path: '?resourceVersion=0', expected: OK },
  {
    name: 'list: a future version',
    path: '?resourceVersion=99999999',
    expected: {
      status: 504,
      reason: 'Timeout',
      says: /Too large resource version: 99999999/,
    },
  },
  { name: 'list: a version that is text', path: '?resourceVersion=abc', expected: { ...BAD, says: /invalid syntax/ } },
  {
    name: 'list: exactly version 0',
    path: '?resourceVersion=0&resourceVersionMatch=Exact',
    expected: {
      ...INVALID,
      says: /is forbidden for resourceVersion "0"/,
    },
  },
  {
    name: 'list: a match without a version',
    path: '?resourceVersionMatch=Exact',
    expected: {
      ...INVALID,
      says: /resourceVersionMatch is forbidden unless resourceVersion is provided/,
    },
  },
  {
    name: 'list: an unknown match',
    path: '?resourceVersion=1&resourceVersionMatch=Junk',
    expected: {
      ...INVALID,
      says: /Unsupported value: "Junk"/,
    },
  },
  { name: 'list: a selector', path: '?labelSelector=a%3Db%2Cc%21%3Dd%2Ce%20in%20%28f%2Cg%29%2C%21h', expected: OK },
  { name: 'list: an invalid selector', path: '?labelSelector=a%3D%3Db%3D%3Dc', expected: BAD },
  { name: 'list: a selector with an invalid value', path: '?labelSelector=a%3Dx%20y', expected: BAD },
  { name: 'list: by name', path: `?fieldSelector=metadata.name%3D${BASE}`, expected: OK },
  {
    name: 'list: by a field without an index',
    path: '?fieldSelector=status.phase%3DRunning',
    expected: {
      ...BAD,
      says: /field label not supported: status\.phase/,
    },
  },
];

const MERGE = 'application/merge-patch+json';

function patching(
  name: string,
  body: unknown,
  expected: Expected,
  rest: Partial<ConformanceCase> = {},
): ConformanceCase {
  return { name: `patch: ${name}`, method: 'PATCH', path: `/${BASE}`, contentType: MERGE, body, expected, ...rest };
}

const PATCH: readonly ConformanceCase[] = [
  patching('a label', { metadata: { labels: { patched: 'yes' } } }, OK),
  patching('nothing', {}, OK),
  patching('a missing workflow', {}, { status: 404, reason: 'NotFound' }, { path: '/nobody' }),
  patching(
    'another uid',
    { metadata: { uid: 'other' } },
    { ...INVALID, says: /metadata\.uid: Invalid value: .*field is immutable/ },
  ),
  patching(
    'another version',
    { metadata: { resourceVersion: '1' } },
    {
      status: 409,
      reason: 'Conflict',
      says: /the object has been modified/,
    },
  ),
  patching('another name', { metadata: { name: 'other' } }, BAD),
  patching(
    'another namespace',
    { metadata: { namespace: 'other' } },
    {
      ...BAD,
      says: /the namespace of the provided object does not match the namespace sent on the request/,
    },
  ),
  patching('another kind', { kind: 'Pod' }, { ...INVALID, says: /kind: Invalid value: "Pod": must be Workflow/ }),
  patching(
    'a shutdown that is a number',
    { spec: { shutdown: 5 } },
    {
      ...INVALID,
      says: /spec\.shutdown in body must be of type string: "integer"/,
    },
  ),
  patching('an invalid label', { metadata: { labels: { l: 'x y' } } }, { ...INVALID, says: /a valid label must be/ }),
  patching('no spec', { spec: null }, { ...INVALID, says: /spec: Required value/ }),
  patching('invalid JSON', '{nope', BAD),
  patching('a list', '[]', BAD),
  patching(
    'a type that is not a patch',
    {},
    { status: 415, reason: 'UnsupportedMediaType' },
    { contentType: 'application/json' },
  ),
  patching('no type', {}, { status: 415, reason: 'UnsupportedMediaType' }, { contentType: '' }),
  patching(
    'strategic',
    {},
    { status: 415, reason: 'UnsupportedMediaType' },
    {
      contentType: 'application/strategic-merge-patch+json',
    },
  ),
  patching('JSON patch with a test that passes', [{ op: 'test', path: '/kind', value: 'Workflow' }], OK, {
    contentType: 'application/json-patch+json',
  }),
  patching('JSON patch with a test that fails', [{ op: 'test', path: '/kind', value: 'Pod' }], INVALID, {
    contentType: 'application/json-patch+json',
  }),
];

const REST: readonly ConformanceCase[] = [
  {
    name: 'watch: a version that is text',
    path: '?watch=1&resourceVersion=abc',
    expected: { status: 500, says: /invalid syntax/ },
  },
  {
    name: 'watch: a timeout that is text',
    path: '?watch=1&timeoutSeconds=abc',
    expected: { ...BAD, says: /invalid syntax/ },
  },
  {
    name: 'delete: another uid',
    method: 'DELETE',
    path: `/${BASE}`,
    body: { preconditions: { uid: 'other' } },
    expected: {
      status: 409,
      reason: 'Conflict',
      says: /the UID in the precondition \(other\) does not match the UID in record/,
    },
  },
  {
    name: 'delete: a missing workflow',
    method: 'DELETE',
    path: '/nobody',
    expected: { status: 404, reason: 'NotFound' },
  },
  {
    name: 'put: no version',
    method: 'PUT',
    path: `/${BASE}`,
    body: workflow({ name: BASE }),
    expected: INVALID,
    simulated: { status: 405, reason: 'MethodNotAllowed', because: 'facteur never puts, and its Role does not let it' },
  },
  {
    name: 'post to a name',
    method: 'POST',
    path: `/${BASE}`,
    body: workflow({ name: BASE }),
    expected: { status: 409, reason: 'AlreadyExists' },
    simulated: { status: 405, reason: 'MethodNotAllowed', because: 'nobody posts to a name' },
  },
  {
    name: 'patch the collection',
    method: 'PATCH',
    body: {},
    contentType: MERGE,
    expected: BAD,
    simulated: { status: 405, reason: 'MethodNotAllowed', because: 'nobody patches a collection' },
  },
];

export const CASES: readonly ConformanceCase[] = [...CREATE, ...GET, ...LIST, ...PATCH, ...REST];
