import { isRecord } from '../../base/json.ts';
import { stringOf } from './workflow-nodes.ts';

type Json = Readonly<Record<string, unknown>>;

/**
 * The template of a node as the controller stored it when the workflow began: a later edit of the WorkflowTemplate does
 * not show. Templates of the workflow's own template are in the stored spec; others are stored by their location.
 */
export function templateOf(node: Json, status: Json): Json {
  const reference = record(node['templateRef']);
  const name = stringOf(reference['template']) || stringOf(node['templateName']);
  const other = stringOf(reference['name']);
  const scope = reference['clusterScope'] === true ? 'cluster' : 'namespaced';
  const place = `${other === '' ? stringOf(node['templateScope']) : `${scope}/${other}`}/${name}`;
  const stored = record(status['storedTemplates']);
  const elsewhere = Object.hasOwn(stored, place) ? stored[place] : undefined;
  // Its namesake in the workflow's own template is not what another template's name refers to.
  const own = other === '' ? record(status['storedWorkflowTemplateSpec'])['templates'] : undefined;
  const here = Array.isArray(own)
    ? (own as unknown[]).find((template) => record(template)['name'] === name)
    : undefined;
  return record(elsewhere ?? here);
}

function record(value: unknown): Json {
  return isRecord(value) ? value : {};
}
