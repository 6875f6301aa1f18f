import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IPodSecurityContext } from 'kubernetes-models/v1/PodSecurityContext';
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec';

/** Kinds of volumes that the level "restricted" allows. */
const VOLUMES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
];

/** The violations of the Pod Security Standards' level "restricted"; empty if there are none. */
export function restrictedFaults(spec: IPodSpec): readonly string[] {
  const shared = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((field) => spec[field] === true);
  const volumes = (spec.volumes ?? []).flatMap(({ name, ...source }) =>
    Object.keys(source)
      .filter((kind) => !VOLUMES.includes(kind))
      .map((kind) => `volume ${name} is a ${kind}`),
  );
  const containers = [...(spec.initContainers ?? []), ...spec.containers];
  return [
    ...shared,
    ...volumes,
    ...containers.flatMap((container) =>
      containerFaults(container, spec.securityContext ?? {}).map((fault) => `${container.name}: ${fault}`),
    ),
  ];
}

type Context = Pick<IPodSecurityContext, 'runAsNonRoot' | 'runAsUser' | 'seccompProfile'>;

function containerFaults({ securityContext: own = {}, ports = [] }: IContainer, pod: Context): readonly string[] {
  // The settings of a container override those of its pod.
  const { runAsNonRoot, runAsUser, seccompProfile } = { ...pod, ...own };
  const { drop = [], add = [] } = own.capabilities ?? {};
  const rules: readonly (readonly [string, boolean])[] = [
    ['privileged', own.privileged !== true],
    ['may gain privileges', own.allowPrivilegeEscalation === false],
    ['keeps capabilities', drop.includes('ALL')],
    ['adds capabilities', add.length === 0],
    ['may run as root', runAsNonRoot === true],
    ['runs as root', runAsUser !== 0],
    ['no seccomp profile', ['RuntimeDefault', 'Localhost'].includes(seccompProfile?.type ?? '')],
    ['a port of the host', ports.every(({ hostPort = 0 }) => hostPort === 0)],
  ];
  return rules.filter(([, holds]) => !holds).map(([fault]) => fault);
}
