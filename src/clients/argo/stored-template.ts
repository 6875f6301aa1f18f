import { isRecord } from '../../base/json.ts';
import { stringOf, type WorkflowNode } from './workflow-nodes.ts';

type Json = Readonly<Record<string, unknown>>;
type Nodes = ReadonlyMap<string, WorkflowNode>;

/**
 * The template of a node as the controller stored it when the workflow began: a later edit of the WorkflowTemplate does
 * not show. Templates of the workflow's own template are in the stored spec; others are stored by their location. One without a
 * name stands in the step or task that it is for.
 */
export function templateOf(node: WorkflowNode, nodes: Nodes, status: Json): Json {
  // From the outermost template that has a name to the node.
  const inner: WorkflowNode[] = [];
  let outer: WorkflowNode | undefined = node;
  while (outer !== undefined && nameOf(outer.raw) === '' && !inner.includes(outer)) {
    inner.unshift(outer);
    outer = nodes.get(outer.boundaryId);
  }
  const named = outer === undefined ? {} : namedTemplate(outer.raw, status);
  return inner.reduce((template, { displayName }) => inlineTemplate(template, displayName), named);
}

/** All templates that the controller stored, those in steps and tasks included. */
export function storedTemplates(status: Json): readonly Json[] {
  const named = [
    ...list(record(status['storedWorkflowTemplateSpec'])['templates']),
    ...Object.values(record(status['storedTemplates'])),
  ].map(record);
  // A set iterates over elements that are added during the iteration.
  const all = new Set(named);
  for (const template of all) {
    callsOf(template).forEach(({ inline }) => isRecord(inline) && all.add(inline));
  }
  return [...all];
}

function nameOf(node: Json): string {
  return stringOf(record(node['templateRef'])['template']) || stringOf(node['templateName']);
}

function namedTemplate(node: Json, status: Json): Json {
  const reference = record(node['templateRef']);
  const name = nameOf(node);
  const other = stringOf(reference['name']);
  const scope = reference['clusterScope'] === true ? 'cluster' : 'namespaced';
  const place = `${other === '' ? stringOf(node['templateScope']) : `${scope}/${other}`}/${name}`;
  const stored = record(status['storedTemplates']);
  const elsewhere = Object.hasOwn(stored, place) ? stored[place] : undefined;
  // Its namesake in the workflow's own template is not what another template's name refers to.
  const own = other === '' ? list(record(status['storedWorkflowTemplateSpec'])['templates']) : [];
  return record(elsewhere ?? own.find((template) => record(template)['name'] === name));
}

/** Of the step or task that a node has its name from, behind which the number and the item of a loop may stand. */
function inlineTemplate(template: Json, displayName: string): Json {
  const name = /^[-\w]+/.exec(displayName)?.[0];
  return record(callsOf(template).find((call) => call['name'] === name)?.['inline']);
}

/** Steps and tasks. */
function callsOf(template: Json): readonly Json[] {
  return [...list(template['steps']).flatMap(list), ...list(record(template['dag'])['tasks'])].map(record);
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function record(value: unknown): Json {
  return isRecord(value) ? value : {};
}
