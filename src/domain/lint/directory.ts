import { isRecord } from '../../base/json.ts';
import { readTemplates, type Call, type Template, type TemplateObject } from './templates.ts';

/** Why a template was not found: its object exists without it, or the object itself is not there. */
type Absence = 'absent' | 'unseen';

/** Finds the template of a call. */
export interface Directory {
  /** For each object, everything outside of its templates. */
  readonly roots: readonly Template[];
  /** All templates, roots and inline ones included. */
  readonly templates: readonly Template[];
  /** Undefined for a call that names no template, or uses a tag as the name. */
  find(caller: Template, call: Call): Template | Absence | undefined;
}

export function templateDirectory(objects: readonly TemplateObject[]): Directory {
  const roots: Template[] = [];
  const all: Template[] = [];
  const own = new Map<TemplateObject, ReadonlyMap<string, Template>>();
  const byName = new Map<string, TemplateObject[]>();
  for (const object of objects) {
    const { root, templates } = readTemplates(object);
    roots.push(root);
    all.push(root, ...templates);
    // If two templates have the same name, Argo takes the first.
    own.set(object, new Map(templates.toReversed().map((template) => [template.name, template])));
    const same = byName.get(object.name) ?? [];
    same.push(object);
    byName.set(object.name, same);
  }
  // The list grows during the loop: inline templates may contain others.
  for (const { calls } of all) {
    all.push(...calls.flatMap(({ callee }) => (callee.kind === 'inline' ? [callee.template] : [])));
  }

  const elsewhere = (from: TemplateObject, reference: Reference, name: string): Template | Absence => {
    const object = byName.get(reference.name)?.find((one) => isMeant(one, from, reference.cluster));
    return object === undefined ? 'unseen' : (own.get(object)?.get(name) ?? 'absent');
  };
  const find = (caller: Template, { callee }: Call): Template | Absence | undefined => {
    switch (callee.kind) {
      case 'inline':
        return callee.template;
      case 'reference':
        return elsewhere(caller.object, { name: callee.object, cluster: callee.cluster }, callee.name);
      case 'local': {
        const found = own.get(caller.object)?.get(callee.name);
        const base = found === undefined ? baseOf(caller.object) : undefined;
        return found ?? (base === undefined ? 'absent' : elsewhere(caller.object, base, callee.name));
      }
      case 'unknown':
        return undefined;
    }
  };
  return { roots, templates: all, find };
}

interface Reference {
  readonly name: string;
  readonly cluster: boolean;
}

/** The object from which a workflow takes its templates. */
function baseOf({ spec }: TemplateObject): Reference | undefined {
  const reference = spec['workflowTemplateRef'];
  if (!isRecord(reference) || typeof reference['name'] !== 'string') {
    return undefined;
  }
  return { name: reference['name'], cluster: reference['clusterScope'] === true };
}

/** A manifest without a namespace may belong to any: it gets one when it is applied. */
function isMeant(one: TemplateObject, { namespace }: TemplateObject, cluster: boolean): boolean {
  if (cluster) {
    return one.kind === 'ClusterWorkflowTemplate';
  }
  const near = one.namespace === namespace || one.namespace === undefined || namespace === undefined;
  return one.kind === 'WorkflowTemplate' && near;
}
