import { hash } from 'node:crypto';
import { fieldsOf, isRecord, listOf } from '../base/json.ts';
import { whyLapsed } from '../clients/argo/node-decision.ts';
import { createTemplates, storedTemplates, templateName } from '../clients/argo/stored-template.ts';
import { areUnseen, createIsOnExit, readNodes, stringOf, type WorkflowNode } from '../clients/argo/workflow-nodes.ts';
import {
  askingOf,
  isSuppliable,
  outputsOf,
  readApprovalRules,
  type ApprovalField,
  type ApprovalRules,
} from '../domain/approval-rules.ts';
import type { StoredRules, Waiting } from '../domain/approval.ts';

type Json = Readonly<Record<string, unknown>>;
type Nodes = ReadonlyMap<string, WorkflowNode>;

/** More questions than this are of no use to people. */
const MAX_WAITING = 20;
const MAX_NAME = 255;
const MAX_MESSAGE = 1000;
const MAX_DESCRIPTION = 300;
const MAX_CHOICES = 200;

const NO_RULES: StoredRules = { ...readApprovalRules({}), timeoutOutputs: {} };

/**
 * What a running workflow waits for: its active suspend nodes, plain or packed. Two cases are reported as such: a suspended
 * workflow, which does nothing, and nodes that cannot be seen because Argo keeps them in its own database or they are too large.
 * In a stopped workflow only exit handlers wait; in a terminated one nothing does.
 */
export function waitingOf(spec: Json, status: Json, nodes: Nodes = readNodes(status)): readonly Waiting[] {
  if (status['phase'] !== 'Running' || !mayWait(spec, status)) {
    return [];
  }
  switch (stringOf(spec['shutdown'])) {
    case '':
      return [...(spec['suspend'] === true ? [mark('suspended')] : []), ...askingSteps(status, nodes)];
    case 'Stop':
      return askingSteps(status, nodes).filter(({ onExit }) => onExit);
    default:
      return [];
  }
}

function askingSteps(status: Json, nodes: Nodes): readonly Waiting[] {
  if (areUnseen(nodes, status)) {
    return hasSuspendTemplates(status) ? [mark('offloaded')] : [];
  }
  const [templateOf, isOnExit] = [createTemplates(nodes, status), createIsOnExit(nodes)];
  return [...nodes.values()]
    .filter(({ type, phase }) => type === 'Suspend' && phase === 'Running')
    .map((node) => ({ node, template: templateOf(node), onExit: isOnExit(node) }))
    .filter(asks)
    .toSorted((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1))
    .slice(0, MAX_WAITING)
    .map(waiting);
}

/** A cheap check first: nodes are searched only if a template of the workflow suspends. */
function mayWait(spec: Json, status: Json): boolean {
  return spec['suspend'] === true || hasSuspendTemplates(status);
}

/** Whether a step of the workflow may ask people and stop asking after some time. */
export function mayLapse(status: Json): boolean {
  return storedTemplates(status).some((template) => sleeps(template) && mayAsk(template));
}

/** Why steps that asked no longer wait, by key: Argo resumed them after their duration. */
export function lapsesOf(status: Json, nodes: Nodes): Readonly<Record<string, string>> {
  if (!mayLapse(status)) {
    return {};
  }
  const templateOf = createTemplates(nodes, status);
  const lapses = [...nodes.values()]
    .filter(({ type }) => type === 'Suspend')
    .map((node) => ({ node, template: templateOf(node) }))
    .filter(({ template }) => mayAsk(template))
    .map(({ node, template }): [string, string] => [keyOf(node), whyLapsed(node, template)]);
  return Object.fromEntries(lapses.filter(([, why]) => why !== ''));
}

function hasSuspendTemplates(status: Json): boolean {
  return storedTemplates(status).some(({ suspend }) => isRecord(suspend));
}

function mark(kind: 'suspended' | 'offloaded'): Waiting {
  return {
    key: kind,
    kind,
    nodeId: '',
    node: '',
    template: '',
    startedAt: '',
    onExit: false,
    fields: [],
    rules: NO_RULES,
  };
}

/** A suspend node that is active. */
interface Step {
  readonly node: WorkflowNode;
  readonly template: Json;
  readonly onExit: boolean;
}

/** Sorts by start time: if not all are shown, a new node must not displace an old one, which would then look decided. */
function placeOf({ node }: Step): string {
  return `${stringOf(node.raw['startedAt'])} ${node.name}`;
}

/** A node with a duration only sleeps, unless it has approvers or supplies outputs. */
function asks({ template }: Step): boolean {
  return !sleeps(template) || mayAsk(template);
}

function sleeps(template: Json): boolean {
  return fieldsOf(template['suspend'])['duration'] !== undefined;
}

function mayAsk(template: Json): boolean {
  const hasRules = Object.keys(annotationsOf(template)).some((key) => key.startsWith('facteur.proompteng.ai/'));
  return hasRules || suppliedOf(template).length > 0;
}

function waiting({ node, template, onExit }: Step): Waiting {
  const startedAt = stringOf(node.raw['startedAt']);
  const fields = askedFields(node.raw);
  return {
    key: keyOf(node),
    kind: 'node',
    nodeId: node.id,
    node: cut(node.displayName, MAX_NAME),
    template: cut(templateName(node.raw), MAX_NAME),
    startedAt,
    onExit,
    fields,
    rules: boundRules(rulesOf(template, fields), fields),
  };
}

function keyOf({ id, raw }: WorkflowNode): string {
  return hash('sha256', `${id} ${stringOf(raw['startedAt'])}`).slice(0, 16);
}

/** The rules, with a problem if they are unknown or a value cannot be supplied: then nobody can decide. */
function rulesOf(template: Json, fields: readonly ApprovalField[]): ApprovalRules {
  const rules = readApprovalRules(annotationsOf(template));
  const unusable = fields.filter(({ choices }) => choices?.length === 0).map(({ name }) => name);
  const problems = [
    rules.problem,
    isRecord(template['suspend']) ? '' : 'unknown template',
    unusable.length === 0 ? '' : `no usable value for ${unusable.join(', ')}`,
  ];
  return { ...rules, problem: cut(problems.filter((problem) => problem !== '').join('; '), MAX_MESSAGE) };
}

/** Argo 3.6 keeps annotations in a template's metadata, later versions next to it. */
function annotationsOf(template: Json): Json {
  return { ...fieldsOf(fieldsOf(template['metadata'])['annotations']), ...fieldsOf(template['annotations']) };
}

function boundRules(rules: ApprovalRules, fields: readonly ApprovalField[]): StoredRules {
  const asking = askingOf(fields);
  const { values, faults } = outputsOf(fields, asking.kind === 'pair' ? { [asking.field]: asking.yes } : {});
  // Nobody can approve without a value for each output, and a timeout must not approve what no person may approve.
  const approves = rules.onTimeout === 'approve' && faults.length === 0 && rules.problem === '';
  const rejection = asking.kind === 'pair' ? { [asking.field]: asking.no } : {};
  return {
    ...rules,
    message: cut(rules.message, MAX_MESSAGE),
    onTimeout: rules.onTimeout === 'approve' && !approves ? 'reject' : rules.onTimeout,
    timeoutOutputs: approves ? values : rejection,
  };
}

function askedFields(node: Json): ApprovalField[] {
  const inputs = parametersOf(node['inputs']);
  return suppliedOf(node).map((output) => {
    const name = stringOf(output['name']);
    const input = inputs.find((one) => one['name'] === name) ?? {};
    const preset = [fieldsOf(output['valueFrom'])['default'], output['default'], input['default']].find(isText);
    return {
      name: cut(name, MAX_NAME),
      description: cut(stringOf(input['description']) || stringOf(output['description']), MAX_DESCRIPTION),
      // Text that Postgres cannot store would also keep the questions of other workflows out of the ledger.
      preset: preset !== undefined && preset.isWellFormed() && !preset.includes('\0') ? preset : null,
      choices: choicesOf(output['enum']) ?? choicesOf(input['enum']) ?? dynamicChoices(input['value']) ?? null,
    };
  });
}

/** The supplied outputs of a node or of its template. */
function suppliedOf(one: Json): readonly Json[] {
  return parametersOf(one['outputs']).filter((output) => isRecord(fieldsOf(output['valueFrom'])['supplied']));
}

/** Argo interprets a value such as `{"enum": ["a", "b"]}` as the choices. */
function dynamicChoices(value: unknown): readonly string[] | undefined {
  try {
    const parsed: unknown = JSON.parse(stringOf(value));
    return isRecord(parsed) ? choicesOf(parsed['enum']) : undefined;
  } catch {
    return undefined;
  }
}

function choicesOf(value: unknown): readonly string[] | undefined {
  const choices = listOf(value).filter(isText);
  return choices.length === 0 ? undefined : choices.filter(isSuppliable).slice(0, MAX_CHOICES);
}

function parametersOf(container: unknown): readonly Json[] {
  return listOf(fieldsOf(container)['parameters']).filter(isRecord);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function cut(text: string, max: number): string {
  return text.toWellFormed().replaceAll('\0', '').slice(0, max).toWellFormed();
}
