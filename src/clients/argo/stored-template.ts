import { fieldsOf, isRecord, listOf } from '../../base/json.ts';
import { stringOf, type WorkflowNode } from './workflow-nodes.ts';

type Json = Readonly<Record<string, unknown>>;
type Nodes = ReadonlyMap<string, WorkflowNode>;

/**
 * Finds the template of a node as the controller stored it when the workflow began: later edits of the WorkflowTemplate have no
 * effect. Templates of the workflow's own template are in the stored spec; others are stored by their location. A template
 * without a name is inline in its step or task. Users who can write a workflow can forge its nodes, so no node is visited twice.
 */
export function createTemplates(nodes: Nodes, status: Json): (node: WorkflowNode) => Json {
  const known = new Map<WorkflowNode, Json>();
  const own = byName(listOf(fieldsOf(status['storedWorkflowTemplateSpec'])['templates']).map(fieldsOf));
  const calls = new Map<Json, ReadonlyMap<unknown, Json>>();
  const callsIn = (template: Json): ReadonlyMap<unknown, Json> => {
    const found = calls.get(template) ?? byName(callsOf(template));
    calls.set(template, found);
    return found;
  };
  return (node) => {
    // From the node outwards to the first one that is known, or whose template has a name.
    const inner = new Set<WorkflowNode>();
    let outer: WorkflowNode | undefined = node;
    while (outer !== undefined && !known.has(outer) && templateName(outer.raw) === '' && !inner.has(outer)) {
      inner.add(outer);
      outer = nodes.get(outer.boundaryId);
    }
    let template = outer === undefined ? {} : (known.get(outer) ?? namedTemplate(outer.raw, status, own));
    for (const one of [...inner].toReversed()) {
      template = inlineTemplate(callsIn(template), one.displayName);
      known.set(one, template);
    }
    return template;
  };
}

/** All templates that the controller stored, including inline ones in steps and tasks. */
export function storedTemplates(status: Json): readonly Json[] {
  const named = [
    ...listOf(fieldsOf(status['storedWorkflowTemplateSpec'])['templates']),
    ...Object.values(fieldsOf(status['storedTemplates'])),
  ].map(fieldsOf);
  // A set iterates over elements that are added during the iteration.
  const all = new Set(named);
  for (const template of all) {
    callsOf(template).forEach(({ inline }) => isRecord(inline) && all.add(inline));
  }
  return [...all];
}

/** The name of a node's template; empty if it is inline in its step or task. */
export function templateName(node: Json): string {
  return stringOf(fieldsOf(node['templateRef'])['template']) || stringOf(node['templateName']);
}

function namedTemplate(node: Json, status: Json, own: ReadonlyMap<unknown, Json>): Json {
  const reference = fieldsOf(node['templateRef']);
  const name = templateName(node);
  const other = stringOf(reference['name']);
  const scope = reference['clusterScope'] === true ? 'cluster' : 'namespaced';
  const place = `${other === '' ? stringOf(node['templateScope']) : `${scope}/${other}`}/${name}`;
  const stored = fieldsOf(status['storedTemplates']);
  const elsewhere = Object.hasOwn(stored, place) ? stored[place] : undefined;
  // A reference to another template never means the template of the same name in the workflow's own one.
  return fieldsOf(elsewhere ?? (other === '' ? own.get(name) : undefined));
}

/** The inline template of the step or task that named a node; in the node's name, a loop's number and item may follow. */
function inlineTemplate(calls: ReadonlyMap<unknown, Json>, displayName: string): Json {
  const name = /^[-\w]+/.exec(displayName)?.[0];
  return fieldsOf(calls.get(name)?.['inline']);
}

/** The templates by name; the first of each name counts. */
function byName(all: readonly Json[]): ReadonlyMap<unknown, Json> {
  return new Map(all.toReversed().map((one) => [one['name'], one]));
}

/** Steps and tasks. */
function callsOf(template: Json): readonly Json[] {
  return [...listOf(template['steps']).flatMap(listOf), ...listOf(fieldsOf(template['dag'])['tasks'])].map(fieldsOf);
}
