import { isRecord } from '../../base/json.ts';

type Json = Readonly<Record<string, unknown>>;

/** The location of a step's log. */
interface LogPlace {
  readonly pod: string;
  readonly container: string;
}

/** Kubernetes' limit on a name, minus the dash and number at the end; the controller counts the same. */
const MAX_PREFIX = 253 - 10 - 1;
const FORMAT = 'workflows.argoproj.io/pod-name-format';

/**
 * The pod that a step ran in: the workflow's name, the template's, and an FNV-1a hash of the node's name; for workflows of
 * older controllers the node's id. Containers of a set share the pod of the node above them.
 *
 * @param metadata the workflow's
 * @returns undefined for a step that runs in no pod
 */
export function logPlaceOf(metadata: Json, node: Json): LogPlace | undefined {
  const isContainer = node['type'] === 'Container';
  if (node['type'] !== 'Pod' && !isContainer) {
    return undefined;
  }
  const name = text(node['name']);
  const owner = isContainer ? name.replace(/\.[^./]+$/, '') : name;
  const container = isContainer ? name.slice(owner.length + 1) : 'main';
  const annotations = isRecord(metadata['annotations']) ? metadata['annotations'] : {};
  if (annotations[FORMAT] === 'v1') {
    return { pod: text(node['id']), container };
  }
  const workflow = text(metadata['name']);
  return { pod: owner === workflow ? workflow : `${prefix(workflow, node)}-${fnv1a(owner)}`, container };
}

function prefix(workflow: string, node: Json): string {
  const reference = isRecord(node['templateRef']) ? text(node['templateRef']['template']) : '';
  const template = text(node['templateName']) || reference;
  return (template === '' ? workflow : `${workflow}-${template}`).slice(0, MAX_PREFIX);
}

/** http://www.isthe.com/chongo/tech/comp/fnv/ with 32 bits. */
function fnv1a(name: string): number {
  let hash = 0x81_1c_9d_c5;
  for (const byte of Buffer.from(name)) {
    hash = Math.imul(hash ^ byte, 0x01_00_01_93) >>> 0;
  }
  return hash;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
