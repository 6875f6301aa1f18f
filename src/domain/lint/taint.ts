import type { Directory } from './directory.ts';
import type { Source } from './tags.ts';
import type { Call, Origin, Template, Use } from './templates.ts';

/** Whether user text arrives: 2 directly, 1 possibly (for example through the output of a step), 0 not. */
export type Taint = 0 | 1 | 2;

interface Edge {
  readonly to: string;
  /** The template that passes the text on: edges of templates that do not run do not count. */
  readonly by: Template;
  /** The step's output depends on its input, but need not contain it. */
  readonly indirect: boolean;
}

/** A call to a template that is not there. */
export interface DeadEnd {
  readonly call: Call;
  readonly reason: 'absent' | 'unseen';
}

/** How text flows between all templates. Nodes are texts: a kind, the key of a template or call, and a name. */
export interface TextFlow {
  readonly edges: ReadonlyMap<string, readonly Edge[]>;
  readonly callees: ReadonlyMap<Template, readonly Template[]>;
  readonly deadEnds: ReadonlyMap<Template, readonly DeadEnd[]>;
  /** The workflow parameters that a template mentions. */
  readonly parameters: ReadonlyMap<Template, readonly string[]>;
  /** The nodes whose text appears in a use. */
  readonly uses: ReadonlyMap<Template, readonly { readonly use: Use; readonly nodes: readonly string[] }[]>;
}

/** Follows every parameter through all templates once. */
export function textFlow(directory: Directory): TextFlow {
  const edges = new Map<string, Edge[]>();
  const callees = new Map<Template, Template[]>();
  const deadEnds = new Map<Template, DeadEnd[]>();
  const uses = new Map<Template, { readonly use: Use; readonly nodes: readonly string[] }[]>();
  const parameters = new Map<Template, readonly string[]>();
  const nodes = nodeFinder(directory);
  const connect: Connect = (from, to, { by, indirect = false }) => {
    for (const node of from) {
      const known = edges.get(node) ?? [];
      known.push(...to.map((one) => ({ to: one, by, indirect })));
      edges.set(node, known);
    }
  };
  for (const template of directory.templates) {
    const found: Template[] = [];
    const missing: DeadEnd[] = [];
    for (const call of template.calls) {
      const callee = directory.find(template, call);
      if (typeof callee === 'string') {
        missing.push({ call, reason: callee });
      } else if (callee !== undefined) {
        found.push(callee);
      }
      connectCall({ template, call, callee: typeof callee === 'string' ? undefined : callee }, connect, nodes);
    }
    callees.set(template, found);
    deadEnds.set(template, missing);
    connectInside(template, connect, nodes);
    parameters.set(template, parametersOf(template));
    uses.set(
      template,
      template.uses.map((use) => ({ use, nodes: nodes(use, template) })),
    );
  }
  return { edges, callees, deadEnds, parameters, uses };
}

type Connect = (
  from: readonly string[],
  to: readonly string[],
  how: { readonly by: Template; readonly indirect?: boolean },
) => void;
type FindNodes = (origin: Origin, template: Template) => readonly string[];

interface Link {
  readonly template: Template;
  readonly call: Call;
  readonly callee: Template | undefined;
}

function connectCall({ template, call, callee }: Link, connect: Connect, nodes: FindNodes): void {
  const by = template;
  const output = outputOf(callee ?? call);
  for (const argument of call.arguments) {
    const from = nodes(argument, template);
    if (callee === undefined) {
      connect(from, [output], { by, indirect: true });
    } else {
      connect(from, inputs(callee, argument.name), { by });
    }
  }
  for (const { name } of call.passesAll && callee !== undefined ? callee.inputs : []) {
    connect([`workflow:${template.key}:${name}`], callee === undefined ? [] : inputs(callee, name), { by });
  }
  connectItems({ template, call, callee }, connect, nodes);
  const results = callee === undefined ? [] : [`supplied:${callee.key}:*`];
  connect([output, ...results], [`steps:${template.key}`], { by });
}

/** A node is named after its parent and the items of its loop. */
function connectItems({ template, call, callee }: Link, connect: Connect, nodes: FindNodes): void {
  const by = template;
  const named = callee === undefined ? [] : [nodeOf(callee)];
  for (const { field, sources } of call.items) {
    const from = nodes({ sources, loop: undefined }, template);
    connect(from, [`item:${call.key}:${field}`, `item:${call.key}:`, ...named], { by });
  }
  connect([nodeOf(template)], named, { by });
}

function parametersOf({ mentions, inputs: own, copies, calls }: Template): readonly string[] {
  const origins = [...mentions, ...own, ...copies, ...calls.flatMap((call) => [...call.arguments, ...call.items])];
  const named = origins.flatMap(({ sources }) => sources.flatMap((one) => (one.from === 'workflow' ? one.name : [])));
  return [...new Set(named)];
}

function inputs({ key }: Template, name: string): readonly string[] {
  return [`input:${key}:${name}`, `input:${key}:*`];
}

function nodeOf({ key }: Template): string {
  return `node:${key}`;
}

function outputOf({ key }: { readonly key: string }): string {
  return `output:${key}`;
}

/** Connects defaults to inputs, and everything that a template mentions to its outputs. */
function connectInside(template: Template, connect: Connect, nodes: FindNodes): void {
  const by = template;
  for (const input of template.inputs) {
    connect(nodes(input, template), inputs(template, input.name), { by });
  }
  const named = new Set([`input:${template.key}:*`, ...template.mentions.flatMap((one) => nodes(one, template))]);
  connect([...named], [outputOf(template)], { by, indirect: true });
  for (const copy of template.copies) {
    connect(nodes(copy, template), [`supplied:${template.key}:${copy.name}`], { by });
  }
  const results = [...template.supplied, ...template.copies].map(({ name }) => `supplied:${template.key}:${name}`);
  connect(results, [`supplied:${template.key}:*`], { by });
  const globals = template.globals.length === 0 ? [] : [...template.globals, '*'].map((name) => `global:${name}`);
  connect([outputOf(template), ...results], globals, { by });
}

function nodeFinder(directory: Directory): FindNodes {
  const steps = new Map(
    directory.templates.map((template) => [template, new Map(template.calls.map((call) => [call.name, call]))]),
  );
  const results = (template: Template, name: string, field: string): readonly string[] => {
    const call = steps.get(template)?.get(name);
    if (name === '*' || call === undefined) {
      return name === '*' ? [`steps:${template.key}`] : [];
    }
    const callee = directory.find(template, call);
    return typeof callee === 'object' ? [outputOf(callee), `supplied:${callee.key}:${field}`] : [outputOf(call)];
  };
  const nodesOf = (source: Source, template: Template, loop: Call | undefined): readonly string[] => {
    switch (source.from) {
      case 'global':
        return [`global:${source.name}`];
      case 'node':
        return [nodeOf(template)];
      case 'surroundings':
        return [`surroundings:${template.key}`];
      case 'workflow':
      case 'input':
        return [`${source.from}:${template.key}:${source.name}`];
      case 'item':
        return loop === undefined ? [] : [`item:${loop.key}:?`, `item:${loop.key}:${source.name}`];
      case 'output':
        return results(template, source.name, source.field);
    }
  };
  return ({ sources, loop }, template) => {
    const found: string[] = [];
    let scope: { readonly template: Template; readonly call: Call | undefined } | undefined = { template, call: loop };
    while (scope !== undefined) {
      const within: Template = scope.template;
      const { call } = scope;
      found.push(...sources.flatMap((source) => nodesOf(source, within, call)));
      scope = within.outer;
    }
    return found;
  };
}

/** The templates that run when these do. */
export function reachable({ callees }: TextFlow, from: readonly Template[]): ReadonlySet<Template> {
  // Iterating over a set includes items that are added during the loop: templates may call each other in circles.
  const reached = new Set(from);
  for (const template of reached) {
    for (const callee of callees.get(template) ?? []) {
      reached.add(callee);
    }
  }
  return reached;
}

/** How certainly each node contains user text, starting at the seeds, if only these templates run. */
export function spread(
  { edges }: TextFlow,
  seeds: ReadonlyMap<string, Taint>,
  running: ReadonlySet<Template>,
): ReadonlyMap<string, Taint> {
  const taints = new Map<string, Taint>();
  const follow = (from: readonly string[], level: Taint, isFollowed: (edge: Edge) => boolean): void => {
    const fresh = new Set(from);
    for (const node of fresh) {
      taints.set(node, taints.get(node) ?? level);
      for (const edge of (edges.get(node) ?? []).filter(isFollowed)) {
        fresh.add(edge.to);
      }
    }
  };
  const seeded = (level: Taint): string[] => [...seeds].filter(([, taint]) => taint === level).map(([node]) => node);
  follow(seeded(2), 2, ({ by, indirect }) => running.has(by) && !indirect);
  follow([...taints.keys(), ...seeded(1)], 1, ({ by }) => running.has(by));
  return taints;
}
