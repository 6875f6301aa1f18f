import type { ListenerDoor } from '../../src/config/listeners.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/config.ts';
import type { Manifest } from './manifests.ts';

interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly { readonly key: string; readonly values?: readonly string[] }[];
}

interface Peer {
  readonly namespaceSelector?: LabelSelector;
  readonly podSelector?: LabelSelector;
}

/** The NetworkPolicy fields that these tests read. */
export interface Policy {
  readonly podSelector: LabelSelector;
  readonly policyTypes: readonly string[];
  readonly ingress?: readonly {
    readonly from?: readonly Peer[];
    readonly ports?: readonly { readonly port: number }[];
  }[];
}

/** Required settings that come from a Secret. */
const FROM_SECRETS = {
  FACTEUR_SERVER_RUN_TOKEN_KEYS: JSON.stringify([{ id: 'test', secret: 'a-secret-of-32-characters-or-more' }]),
};

/** The configuration that the server reads. */
export async function shippedConfig(
  manifests: readonly Manifest[],
): Promise<Pick<Config, 'server' | 'argo' | 'codex'>> {
  const text = manifests.find(({ metadata }) => /^facteur-config(-|$)/.test(metadata.name))?.['data']['config.yaml'];
  const { config } = await loadConfig({ path: 'f', env: FROM_SECRETS, readFile: async () => text, require: ['argo'] });
  return config;
}

/** The ports and doors of the server in that configuration. */
export async function servedAt(
  manifests: readonly Manifest[],
): Promise<Readonly<Record<number, readonly ListenerDoor[]>>> {
  const { server } = await shippedConfig(manifests);
  return Object.fromEntries(server.listeners.map(({ port, doors }) => [port, doors]));
}

export function policiesOf(manifests: readonly Manifest[]): readonly Policy[] {
  return manifests.filter(({ kind }) => kind === 'NetworkPolicy').map(({ spec }) => spec as Policy);
}

/** A rule without ports allows every port: 0 here. */
function all(ports: readonly { readonly port: number }[]): readonly { readonly port: number }[] {
  return ports.length === 0 ? [{ port: 0 }] : ports;
}

/** The ports that may be reached on pods with these labels, by sender: a namespace, or its pods with a label. */
export function reaching(policies: readonly Policy[], labels: Readonly<Record<string, string>>): object {
  const rules = policies
    .filter(({ podSelector }) => selects(podSelector, labels))
    .flatMap(({ ingress = [] }) => ingress);
  const pairs = rules.flatMap(({ from = [], ports = [] }) =>
    from.flatMap((peer) => sendersOf(peer).flatMap((sender) => all(ports).map(({ port }) => [sender, port] as const))),
  );
  const senders = [...new Set(rules.flatMap(({ from = [] }) => from.flatMap(sendersOf)))];
  const portsOf = (sender: string): readonly number[] =>
    pairs.filter(([who]) => who === sender).map(([, port]) => port);
  return Object.fromEntries(senders.map((sender) => [sender, portsOf(sender).toSorted((one, other) => one - other)]));
}

/** The namespaces of a peer, with the required labels of its pods. A peer without a namespace is returned as JSON. */
function sendersOf(peer: Peer): readonly string[] {
  const name = 'kubernetes.io/metadata.name';
  const { matchLabels = {}, matchExpressions = [] } = peer.namespaceSelector ?? {};
  const named = matchLabels[name] ?? [];
  const listed = matchExpressions.filter(({ key }) => key === name).flatMap(({ values = [] }) => values);
  const { matchLabels: wanted = {}, matchExpressions: present = [] } = peer.podSelector ?? {};
  const labels = [...present.map(({ key }) => key), ...Object.entries(wanted).map((pair) => pair.join('='))]
    .map((label) => `/${label}`)
    .join('');
  const namespaces = [named, listed].flat().map((namespace) => `${namespace}${labels}`);
  return namespaces.length === 0 ? [JSON.stringify(peer)] : namespaces;
}

export function selects(
  { matchLabels = {} }: Policy['podSelector'],
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(matchLabels).every(([name, value]) => labels[name] === value);
}
