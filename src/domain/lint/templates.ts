import { fieldsOf, isRecord, listOf } from '../../base/json.ts';
import { isHarmlessChoice, textOf, type Fields } from './json-fields.ts';
import type { RuleId } from './rules.ts';
import { shellFaults } from './shell.ts';
import { callSink, expansions, shellScript, templateSink, type Leaf, type Path } from './sinks.ts';
import { tagsOf, type Source, type Tag } from './tags.ts';

/** A WorkflowTemplate, ClusterWorkflowTemplate, Workflow or CronWorkflow. */
export interface TemplateObject {
  /** Its index among the manifests. */
  readonly index: number;
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly annotations: Fields;
  /** The object as it was given. */
  readonly manifest: unknown;
  readonly spec: Fields;
  readonly specPath: Path;
}

/** Sources in one place, with the loop that `item` belongs to. */
export interface Origin {
  readonly sources: readonly Source[];
  readonly loop: Call | undefined;
}

/** A tag in a place where user text is dangerous. */
export interface Use extends Origin {
  readonly rule: RuleId;
  readonly path: Path;
  /** The tag or the shell variable. */
  readonly text: string;
  /** The line within the text, from 1; 0 if the text has only one. */
  readonly line: number;
}

export interface Template {
  readonly key: string;
  readonly object: TemplateObject;
  readonly name: string;
  readonly path: Path;
  /** The template around an inline one: Argo also replaces its variables in the inline one. */
  readonly outer: { readonly template: Template; readonly call: Call } | undefined;
  /** Inputs with their own values, which may contain tags. */
  readonly inputs: readonly (Origin & { readonly name: string })[];
  readonly calls: Call[];
  readonly uses: Use[];
  /** Everything that it mentions: its outputs may contain it. */
  readonly mentions: Origin[];
  /** Outputs that a person supplies when a suspend step is resumed, and whether an enum limits the values. */
  readonly supplied: readonly { readonly name: string; readonly limited: boolean }[];
  /** Outputs that are copies of other texts. */
  readonly copies: readonly (Origin & { readonly name: string })[];
  /** Names of its outputs that are visible in the whole workflow. */
  readonly globals: readonly string[];
}

/** A step, a task, a hook, or the start of a workflow. */
export interface Call {
  readonly key: string;
  readonly name: string;
  readonly path: Path;
  readonly callee:
    | { readonly kind: 'local'; readonly name: string }
    | { readonly kind: 'reference'; readonly object: string; readonly name: string; readonly cluster: boolean }
    | { readonly kind: 'inline'; readonly template: Template }
    | { readonly kind: 'unknown' };
  readonly arguments: readonly (Origin & { readonly name: string })[];
  /** It passes the workflow's own arguments on. */
  readonly passesAll: boolean;
  /** The contents of the loop's items, by field; `?` is any field. */
  readonly items: readonly { readonly field: string; readonly sources: readonly Source[] }[];
}

/** Deeper values are not read. */
const MAX_DEPTH = 64;

/** A manifest that contains templates; undefined for everything else. */
export function readObject(manifest: unknown, index: number): TemplateObject | undefined {
  const { kind, metadata, spec } = fieldsOf(manifest);
  const nested = kind === 'CronWorkflow';
  if (
    typeof kind !== 'string' ||
    !/^(?:(?:Cluster)?WorkflowTemplate|(?:Cron)?Workflow)$/.test(kind) ||
    !isRecord(spec)
  ) {
    return undefined;
  }
  const { name, generateName, namespace, annotations } = fieldsOf(metadata);
  return {
    index,
    kind,
    namespace: kind === 'ClusterWorkflowTemplate' ? undefined : textOf(namespace),
    name: textOf(name) ?? textOf(generateName) ?? '',
    annotations: fieldsOf(annotations),
    manifest,
    spec: nested ? fieldsOf(spec['workflowSpec']) : spec,
    specPath: nested ? ['spec', 'workflowSpec'] : ['spec'],
  };
}

/** The templates of an object by name, and a root for everything outside of them, which calls the first. */
export function readTemplates(object: TemplateObject): { readonly root: Template; readonly templates: Template[] } {
  const { spec, specPath, index } = object;
  const { templates, arguments: given, hooks, entrypoint, onExit, templateDefaults, ...rest } = spec;
  const root = new TemplateReader(object, { path: specPath, key: `${index}` }, {});
  root.sinks(rest, specPath);
  root.sinks(fieldsOf(given)['artifacts'] === undefined ? {} : { arguments: given }, specPath);
  root.sinks(fieldsOf(templateDefaults), [...specPath, 'templateDefaults']);
  const start = { passesAll: true };
  root.call({ template: entrypoint }, [...specPath, 'entrypoint'], start);
  root.call({ template: onExit }, [...specPath, 'onExit'], start);
  for (const [name, hook] of Object.entries(fieldsOf(hooks))) {
    root.call(fieldsOf(hook), [...specPath, 'hooks', name], { passesAll: fieldsOf(hook)['arguments'] === undefined });
  }
  return {
    root: root.template,
    templates: listOf(templates).map((one, nth) => {
      const path = [...specPath, 'templates', nth];
      const reader = new TemplateReader(object, { path, key: `${index}.${nth}` }, fieldsOf(one));
      reader.read();
      return reader.template;
    }),
  };
}

interface Position {
  readonly path: Path;
  readonly key: string;
  readonly outer?: Template['outer'];
}

/** Collects how one template uses text. */
class TemplateReader {
  readonly template: Template;
  readonly #source: Fields;

  constructor(object: TemplateObject, { path, key, outer }: Position, source: Fields) {
    const outputs = listOf(fieldsOf(source['outputs'])['parameters']).map(fieldsOf);
    this.#source = source;
    this.template = {
      key,
      object,
      name: textOf(source['name']) ?? '',
      path,
      outer,
      inputs: named(fieldsOf(source['inputs'])['parameters']),
      calls: [],
      uses: [],
      mentions: [],
      supplied: 'suspend' in source ? suppliedBy(source) : [],
      copies: named(fieldsOf(source['outputs'])['parameters']),
      globals: outputs.flatMap(({ globalName }) => textOf(globalName) ?? []),
    };
  }

  read(): void {
    const { steps, dag, ...rest } = this.#source;
    const { tasks, ...dagRest } = fieldsOf(dag);
    const { path } = this.template;
    this.sinks({ ...rest, dag: dagRest }, path);
    for (const [nth, group] of listOf(steps).entries()) {
      for (const [place, step] of listOf(group).entries()) {
        this.call(fieldsOf(step), [...path, 'steps', nth, place]);
      }
    }
    for (const [nth, task] of listOf(tasks).entries()) {
      this.call(fieldsOf(task), [...path, 'dag', 'tasks', nth]);
    }
  }

  /** Records every tag in a template's own fields. */
  sinks(template: Fields, path: Path): void {
    this.#leaves(template, path, { rule: (leaf) => templateSink(leaf, template), loop: undefined });
    const { script, container, containerSet } = template;
    this.#shell(script, [...path, 'script']);
    this.#shell(container, [...path, 'container']);
    const lists: Fields = { ...template, containers: fieldsOf(containerSet)['containers'] };
    for (const key of ['sidecars', 'initContainers', 'containers'] as const) {
      const at = key === 'containers' ? [...path, 'containerSet', key] : [...path, key];
      for (const [nth, one] of listOf(lists[key]).entries()) {
        this.#shell(one, [...at, nth]);
      }
    }
  }

  /** A step, task or hook with its own hooks. `within` is the step that a hook belongs to. */
  call(fieldsOfCall: Fields, path: Path, how: { readonly within?: Call; readonly passesAll?: boolean } = {}): void {
    const { inline, hooks, onExit, withItems, ...rest } = fieldsOfCall;
    const { within, passesAll = false } = how;
    if ([inline, rest['template'], rest['templateRef']].every((one) => one === undefined)) {
      return;
    }
    const call: { -readonly [key in keyof Call]: Call[key] } = {
      key: `${this.template.key}/${this.template.calls.length}`,
      name: textOf(fieldsOfCall['name']) ?? '',
      path,
      callee: calleeOf(rest),
      arguments: [],
      passesAll,
      items: [
        ...itemFields(withItems),
        ...sourcesAt('?', rest['withParam']),
        ...sourcesAt('?', fieldsOf(rest['withSequence'])['format']),
      ],
    };
    const loop = within ?? call;
    call.arguments = named(fieldsOf(rest['arguments'])['parameters']).map((one) => ({ ...one, loop }));
    this.template.calls.push(call);
    this.#leaves(rest, path, { rule: (leaf) => callSink(leaf, rest), loop });
    if (isRecord(inline)) {
      this.#inline(inline, [...path, 'inline'], call);
    }
    for (const [name, hook] of Object.entries(fieldsOf(hooks))) {
      this.call(fieldsOf(hook), [...path, 'hooks', name], { within: loop });
    }
    this.call({ template: onExit }, [...path, 'onExit'], { within: loop });
  }

  #inline(inline: Fields, path: Path, call: { -readonly [key in keyof Call]: Call[key] }): void {
    if (path.length > MAX_DEPTH) {
      this.#unreadable(path);
      return;
    }
    const position = { path, key: `${call.key}i`, outer: { template: this.template, call } };
    const reader = new TemplateReader(this.template.object, position, inline);
    call.callee = { kind: 'inline', template: reader.template };
    reader.read();
  }

  #leaves(
    value: Fields,
    path: Path,
    how: { readonly rule: (leaf: Leaf) => RuleId | undefined; readonly loop: Call | undefined },
  ): void {
    const { rule, loop } = how;
    const visit = (leaf: Leaf, line: number): void => {
      const { sources } = leaf.tag;
      const broken = sources.length === 0 ? undefined : rule(leaf);
      if (sources.length > 0) {
        this.template.mentions.push({ sources, loop });
      }
      if (broken !== undefined) {
        this.template.uses.push({
          rule: broken,
          path: [...path, ...leaf.path],
          text: leaf.tag.text,
          line,
          sources,
          loop,
        });
      }
    };
    walk(value, [], { visit, tooDeep: (at) => this.#unreadable([...path, ...at]) });
  }

  #shell(container: unknown, path: Path): void {
    const loop = this.template.outer?.call;
    const pod = [fieldsOf(this.#source['metadata']), fieldsOf(this.template.object.spec['podMetadata'])];
    for (const { texts, rule, text, path: at } of isRecord(container) ? expansions(container, pod) : []) {
      const sources = texts.flatMap((one) => tagsOf(one).flatMap((tag) => tag.sources));
      this.template.uses.push({ rule, path: [...path, ...at], text, line: 0, sources, loop });
      this.template.mentions.push({ sources, loop });
    }
    const script = isRecord(container) ? shellScript(container, pod) : undefined;
    if (script === undefined) {
      return;
    }
    const sources = new Map(
      [...script.variables].map(([name, texts]) => [
        name,
        texts.flatMap((one) => tagsOf(one)).flatMap((tag) => tag.sources),
      ]),
    );
    this.template.mentions.push({ sources: [...sources.values()].flat(), loop });
    const tainted = new Set([...sources].filter(([, found]) => found.length > 0).map(([name]) => name));
    const lines = lineCounter(script.text);
    for (const { rule, text: written, offset, origins } of shellFaults(script.text, tainted)) {
      this.template.uses.push({
        rule,
        path: [...path, ...script.path],
        text: written,
        line: lines(offset),
        sources: origins.flatMap((name) => sources.get(name) ?? []),
        loop,
      });
    }
  }

  #unreadable(path: Path): void {
    this.template.uses.push({ rule: 'unreadable', path, text: '', line: 0, sources: [], loop: undefined });
  }
}

function calleeOf({ template, templateRef }: Fields): Call['callee'] {
  const { name, template: referenced, clusterScope } = fieldsOf(templateRef);
  if (typeof name === 'string' && typeof referenced === 'string' && !`${name}${referenced}`.includes('{{')) {
    return { kind: 'reference', object: name, name: referenced, cluster: clusterScope === true };
  }
  return typeof template === 'string' && template !== '' && !template.includes('{{')
    ? { kind: 'local', name: template }
    : { kind: 'unknown' };
}

/** Parameters with their own values, and the sources that those mention. */
function named(parameters: unknown): (Origin & { readonly name: string })[] {
  return listOf(parameters).flatMap((parameter) => {
    const { name, value, default: otherwise, valueFrom } = fieldsOf(parameter);
    const { expression, parameter: copied, default: last } = fieldsOf(valueFrom);
    const texts = [value, otherwise, last, copied, typeof expression === 'string' ? `{{=${expression}}}` : ''];
    const sources = texts.flatMap((one) => (typeof one === 'string' ? tagsOf(one).flatMap((tag) => tag.sources) : []));
    return typeof name === 'string' ? [{ name, sources, loop: undefined }] : [];
  });
}

/** facteur lets a person supply only values from the enum of the input with the same name. */
function suppliedBy({ inputs, outputs }: Fields): Template['supplied'] {
  const choices = new Map(
    listOf(fieldsOf(inputs)['parameters'])
      .map(fieldsOf)
      .map((input) => [input['name'], input['enum']]),
  );
  return listOf(fieldsOf(outputs)['parameters'])
    .map(fieldsOf)
    .flatMap(({ name, valueFrom }) =>
      typeof name === 'string' && 'supplied' in fieldsOf(valueFrom)
        ? [{ name, limited: isHarmlessChoice(choices.get(name)) }]
        : [],
    );
}

function itemFields(items: unknown): Call['items'] {
  return listOf(items).flatMap((item) =>
    isRecord(item) ? Object.entries(item).flatMap(([field, value]) => sourcesAt(field, value)) : sourcesAt('?', item),
  );
}

function sourcesAt(field: string, value: unknown): Call['items'] {
  const sources: Source[] = [];
  walk({ value }, [], { visit: ({ tag }) => sources.push(...tag.sources), tooDeep: () => undefined });
  return sources.length === 0 ? [] : [{ field, sources }];
}

interface Visitor {
  readonly visit: (leaf: Leaf, line: number) => unknown;
  readonly tooDeep: (path: Path) => unknown;
}

/** Visits each tag of each text once: repetitions in the same text do not count. */
function walk(value: unknown, path: Path, visitor: Visitor): void {
  if (path.length > MAX_DEPTH) {
    visitor.tooDeep(path);
  } else if (typeof value === 'string') {
    visitText(value, path, visitor);
  } else if (Array.isArray(value)) {
    for (const [index, one] of value.entries()) {
      walk(one, [...path, index], visitor);
    }
  } else if (isRecord(value)) {
    for (const [key, one] of Object.entries(value)) {
      // Argo replaces tags in keys, too.
      visitText(key, [...path, key], visitor);
      walk(one, [...path, key], visitor);
    }
  }
}

function visitText(value: string, path: Path, { visit }: Visitor): void {
  const seen = new Map<string, Tag>();
  const lines = lineCounter(value);
  for (const tag of tagsOf(value)) {
    if (!seen.has(tag.text)) {
      seen.set(tag.text, tag);
      visit({ path, text: value, tag }, lines(tag.offset));
    }
  }
}

/** Returns the line of each offset, from 1, if the offsets only grow; always 0 if there is only one line. */
function lineCounter(value: string): (offset: number) => number {
  const single = !value.trimEnd().includes('\n');
  let line = 1;
  let newline = value.indexOf('\n');
  return (offset) => {
    while (newline !== -1 && newline < offset) {
      line += 1;
      newline = value.indexOf('\n', newline + 1);
    }
    return single ? 0 : line;
  };
}
