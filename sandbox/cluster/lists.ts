import { isRecord } from '../../src/base/json.ts';
import { ApiFailure, badRequest, invalidListOptions, listType } from './api-failure.ts';
import { textField, type Resource } from './objects.ts';
import { matches, matchesFields, parseFieldSelector, parseSelector } from './selector.ts';
import { firstBehind } from './sorted.ts';
import type { Entry, Store } from './store.ts';

export interface ListQuery {
  readonly resource: Resource;
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined;
  readonly query: URLSearchParams;
}

/** Where a page continues: after `after` in the snapshot of `version`. */
interface ContinueToken {
  readonly version: number;
  readonly after: string;
}

/** One page as JSON text, built from the JSON of each object. */
export function listPage(store: Store, { resource, namespace, query }: ListQuery): string {
  const limit = limitOf(query);
  const requirements = parseSelector(query.get('labelSelector') ?? '');
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '');
  const token = parseToken(query);
  const version = token?.version ?? versionOf(query, store);
  const snapshot = snapshotOf(store, resource, version, token);

  const wanted = (entry: Entry): boolean =>
    (namespace === undefined || entry.object.metadata.namespace === namespace) &&
    matches(requirements, entry.labels) &&
    matchesFields(fields, entry.object.metadata);
  const from = token === undefined ? 0 : firstBehind(snapshot, (entry) => keyOf(entry) > token.after);
  const { page, left } = cut(snapshot.slice(from), limit, wanted);
  const last = page.at(-1);
  const more = last !== undefined && left.some(wanted);
  const metadata = {
    resourceVersion: String(version),
    ...(more ? { continue: encodeToken({ version, after: keyOf(last) }) } : {}),
    // With a selector, counting the rest requires a scan, so the real server omits the number.
    ...(more && requirements.length + fields.length === 0 ? { remainingItemCount: left.filter(wanted).length } : {}),
  };
  const { apiVersion, kind } = listType(resource);
  return `{"apiVersion":"${apiVersion}","kind":"${kind}","metadata":${JSON.stringify(metadata)},"items":[${page.map(({ json }) => json).join(',')}]}`;
}

/** The first `limit` matching entries (0: all), and all entries after them. */
function cut(
  entries: readonly Entry[],
  limit: number,
  wanted: (entry: Entry) => boolean,
): { readonly page: readonly Entry[]; readonly left: readonly Entry[] } {
  const page: Entry[] = [];
  for (const [index, entry] of entries.entries()) {
    if (limit > 0 && page.length === limit) {
      return { page, left: entries.slice(index) };
    }
    if (wanted(entry)) {
      page.push(entry);
    }
  }
  return { page, left: [] };
}

function snapshotOf(
  store: Store,
  resource: Resource,
  version: number,
  token: ContinueToken | undefined,
): readonly Entry[] {
  if (token !== undefined && version < store.forgotten) {
    throw new ApiFailure(
      410,
      'Expired',
      'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.',
    );
  }
  return store.snapshot(resource, version);
}

/** The version to read. Unset means the newest; `0` and `NotOlderThan` accept any newer one, so they get the newest too. */
function versionOf(query: URLSearchParams, store: Store): number {
  const asked = parseVersion(query.get('resourceVersion'));
  const match = query.get('resourceVersionMatch') ?? '';
  checkMatch(match, asked);
  if (match === 'Exact' && asked !== undefined) {
    return asked;
  }
  // The store refuses a version in the future.
  return asked !== undefined && asked > store.version ? asked : store.version;
}

function checkMatch(match: string, asked: number | undefined): void {
  if (match !== '' && asked === undefined) {
    throw invalidListOptions('Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided');
  }
  if (!['', 'Exact', 'NotOlderThan'].includes(match)) {
    const known = 'supported values: "Exact", "NotOlderThan", ""';
    throw invalidListOptions(`Unsupported value: ${JSON.stringify(match)}: ${known}`);
  }
  if (match === 'Exact' && asked === 0) {
    throw invalidListOptions('Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"');
  }
}

/** Parses a resource version from a query; undefined if unset or empty. */
export function parseVersion(text: string | null): number | undefined {
  if (text === null || text === '') {
    return undefined;
  }
  if (!/^\d{1,15}$/.test(text)) {
    throw badRequest(`Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing: invalid syntax`);
  }
  return Number(text);
}

/** The size of a page; 0 for all. Answers from the cache are not paged. */
function limitOf(query: URLSearchParams): number {
  const limit = parseLimit(query.get('limit'));
  const isFromCache = query.get('resourceVersion') === '0' && (query.get('continue') ?? '') === '';
  return isFromCache ? 0 : limit;
}

function parseLimit(text: string | null): number {
  if (text === null || text === '') {
    return 0;
  }
  // A negative value counts as missing.
  return Math.max(0, parseInteger(text));
}

/** Parses a whole number from a query like Go's `strconv.ParseInt`. */
export function parseInteger(text: string): number {
  if (!/^-?\d{1,9}$/.test(text)) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  return Number(text);
}

function parseToken(query: URLSearchParams): ContinueToken | undefined {
  const text = query.get('continue') ?? '';
  if (text === '') {
    return undefined;
  }
  const version = query.get('resourceVersion') ?? '';
  if (version !== '' && version !== '0') {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
  return decodeToken(text);
}

function encodeToken(token: ContinueToken): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: token.version, start: token.after })).toString(
    'base64url',
  );
}

function decodeToken(text: string): ContinueToken {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    value = undefined;
  }
  const version = isRecord(value) ? value['rv'] : undefined;
  if (!isRecord(value) || typeof version !== 'number') {
    throw badRequest('continue key is not valid: decoding failed');
  }
  return { version, after: textField(value, 'start') };
}

function keyOf(entry: Entry): string {
  return `${entry.object.metadata.namespace}/${entry.object.metadata.name}`;
}
