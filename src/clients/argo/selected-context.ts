import { FacteurError } from '../../base/errors.ts';
import { isRecord } from '../../base/json.ts';

type Body = Readonly<Record<string, unknown>>;

/** `clusters`, `users` and `contexts` of a kubeconfig have this form; all paths are absolute by now. */
export interface NamedEntry {
  readonly name: string;
  readonly cluster?: Body;
  readonly user?: Body;
  readonly context?: Body;
}

export interface RawKubeconfig {
  readonly clusters: readonly NamedEntry[];
  readonly users: readonly NamedEntry[];
  readonly contexts: readonly NamedEntry[];
  readonly currentContext: string;
}

/** The contents of the current context, before any credential is read. */
export interface SelectedContext {
  readonly cluster: Body;
  readonly user: Body;
  readonly namespace: string | undefined;
  /** The impersonation headers: requests are made as this user instead of the one who logs in. */
  readonly impersonation: Readonly<Record<string, readonly string[]>>;
}

/**
 * The current context of a kubeconfig, validated like kubectl does: a context that would lead to an identity other
 * than the
 * intended one is refused.
 *
 * @param source where the kubeconfig comes from, for the message
 * @throws FacteurError `argo.kubeconfig_invalid`
 */
export function selectContext(config: RawKubeconfig, source: string): SelectedContext {
  const context = config.contexts.find(({ name }) => name === config.currentContext)?.context;
  if (context === undefined) {
    throw kubeconfigInvalid(source, `the current context ${JSON.stringify(config.currentContext)} is not defined`);
  }
  const user = userOf(config, context['user'] ?? '', source);
  return {
    cluster: clusterOf(config, context['cluster'], source),
    user,
    namespace: textOf(context['namespace']) || undefined,
    impersonation: impersonationOf(user, source),
  };
}

function clusterOf({ clusters }: RawKubeconfig, wanted: unknown, source: string): Body {
  const cluster = clusters.find(({ name }) => name === wanted)?.cluster ?? {};
  const server = URL.parse(textOf(cluster['server']));
  if (server === null || !/^https?:$/.test(server.protocol)) {
    throw kubeconfigInvalid(source, "the current context's cluster has no valid server");
  }
  if (!/^(?:https?:.*)?$/.test(textOf(cluster['proxy-url']))) {
    throw kubeconfigInvalid(source, 'proxy-url: only http and https proxies are supported');
  }
  return cluster;
}

function userOf({ users }: RawKubeconfig, wanted: unknown, source: string): Body {
  const user = wanted === '' ? {} : users.find(({ name }) => name === wanted)?.user;
  if (user === undefined) {
    throw kubeconfigInvalid(source, `the user ${JSON.stringify(wanted)} is not defined`);
  }
  return user;
}

/** The error for a kubeconfig that no retry can fix. */
export function kubeconfigInvalid(source: string, why: string): FacteurError {
  return new FacteurError('argo.kubeconfig_invalid', `kubeconfig ${source}: ${why}`, { retryable: false });
}

/** The text, or undefined for any other value. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The headers that client-go sends for `as`, `as-uid`, `as-groups` and `as-user-extra`. */
function impersonationOf(user: Body, source: string): Record<string, readonly string[]> {
  const { as: name = '', 'as-uid': uid = '', 'as-groups': groups, 'as-user-extra': extra } = user;
  const given = { user: name, uid, groups: groups ?? [], extra: extra ?? {} };
  if (!isImpersonation(given)) {
    throw kubeconfigInvalid(source, 'as and as-uid must be text, as-groups a list and as-user-extra a map of lists');
  }
  const headers = [
    ['impersonate-uid', given.uid === '' ? [] : [given.uid]] as const,
    ['impersonate-group', given.groups] as const,
    ...Object.entries(given.extra).map(([key, values]) => [`impersonate-extra-${escapedName(key)}`, values] as const),
  ].filter(([, values]) => values.length > 0);
  if (given.user === '') {
    if (headers.length > 0) {
      throw kubeconfigInvalid(source, 'as-uid, as-groups and as-user-extra need as, the name to act under');
    }
    return {};
  }
  const all = [['impersonate-user', [given.user]] as const, ...headers];
  return Object.fromEntries(all.map(([header, values]) => [header, values.map((value) => asLatin1(value))]));
}

interface Impersonation {
  readonly user: string;
  readonly uid: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

function isImpersonation(given: Readonly<Record<keyof Impersonation, unknown>>): given is Impersonation {
  const { user, uid, groups, extra } = given;
  return isHeaderText(user) && isHeaderText(uid) && isTextList(groups) && isRecord(extra) && isMapOfLists(extra);
}

function isMapOfLists(map: Body): boolean {
  return Object.values(map).every(isTextList);
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(isHeaderText);
}

/** Whether the text can be a header value: it has no control characters. */
function isHeaderText(value: unknown): value is string {
  return typeof value === 'string' && !/\p{Cc}/u.test(value);
}

/** Header names allow few characters; others are escaped byte by byte, as in client-go. */
function escapedName(key: string): string {
  const bytes = Array.from(Buffer.from(key.toLowerCase()));
  return bytes.map((byte) => (isToken(byte) ? String.fromCodePoint(byte) : percent(byte))).join('');
}

function isToken(byte: number): boolean {
  return /^[!#$&'*+\-.^_`|~0-9A-Za-z]$/.test(String.fromCodePoint(byte));
}

function percent(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** The UTF-8 bytes of the text, one character each, as the HTTP client expects headers. */
function asLatin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}
