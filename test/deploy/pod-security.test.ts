import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';
import { expect, test } from 'vitest';
import { restrictedFaults } from './pod-security.ts';

const GOOD: IPodSpec = {
  securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
  containers: [{ name: 'a', securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } }],
};

function withContext(changes: object): IPodSpec {
  const [container] = GOOD.containers;
  return { ...GOOD, containers: [{ ...container!, securityContext: { ...container!.securityContext, ...changes } }] };
}

test.each<[string, IPodSpec, string[]]>([
  ['a compliant pod', GOOD, []],
  ['the network of the host', { ...GOOD, hostNetwork: true }, ['hostNetwork']],
  ['a folder of the host', { ...GOOD, volumes: [{ name: 'v', hostPath: { path: '/' } }] }, ['volume v is a hostPath']],
  [
    'a bare pod',
    { containers: [{ name: 'a' }] },
    ['a: may gain privileges', 'a: keeps capabilities', 'a: may run as root', 'a: no seccomp profile'],
  ],
  ['a privileged container', withContext({ privileged: true }), ['a: privileged']],
  [
    'an added capability',
    withContext({ capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] } }),
    ['a: adds capabilities'],
  ],
  [
    'a container that overrides the pod and runs as root',
    withContext({ runAsNonRoot: false, runAsUser: 0 }),
    ['a: may run as root', 'a: runs as root'],
  ],
  ['an unconfined container', withContext({ seccompProfile: { type: 'Unconfined' } }), ['a: no seccomp profile']],
  [
    'an init container',
    { ...GOOD, initContainers: [{ ...withContext({ runAsUser: 0 }).containers[0]!, name: 'i' }] },
    ['i: runs as root'],
  ],
  [
    'a port of the host',
    { ...GOOD, containers: [{ ...GOOD.containers[0]!, ports: [{ containerPort: 1, hostPort: 1 }] }] },
    ['a: a port of the host'],
  ],
])('%s', (_name, pod, faults) => {
  expect(restrictedFaults(pod)).toEqual(faults);
});
