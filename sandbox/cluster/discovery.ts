import { API_VERSION, GROUP, KINDS, VERSION, type JsonObject } from './objects.ts';

const VERBS = ['create', 'delete', 'get', 'list', 'patch', 'watch'];
const group = {
  name: GROUP,
  versions: [{ groupVersion: API_VERSION, version: VERSION }],
  preferredVersion: { groupVersion: API_VERSION, version: VERSION },
};

/** The answer of `/readyz` while the server is starting. */
export const NOT_READY =
  '[+]ping ok\n[+]etcd ok\n[-]poststarthook/start-apiextensions-controllers failed: reason withheld\nreadyz check failed\n';

/** Other paths: health, version and just enough discovery for `kubectl get workflows`. */
export const FIXED_PATHS: Readonly<Record<string, string | JsonObject>> = {
  '/healthz': 'ok',
  '/livez': 'ok',
  '/readyz': 'ok',
  '/version': { major: '1', minor: '34', gitVersion: 'v1.34.0', platform: 'linux/amd64', goVersion: 'simulated' },
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/api/v1': { kind: 'APIResourceList', groupVersion: 'v1', resources: [] },
  '/apis': { kind: 'APIGroupList', apiVersion: 'v1', groups: [group] },
  [`/apis/${GROUP}`]: { kind: 'APIGroup', apiVersion: 'v1', ...group },
  [`/apis/${API_VERSION}`]: {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: API_VERSION,
    resources: Object.entries(KINDS).map(([name, kind]) => ({
      name,
      singularName: kind.toLowerCase(),
      namespaced: true,
      kind,
      verbs: VERBS,
    })),
  },
};
