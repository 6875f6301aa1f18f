import { limitedParameters, objectFaults, type Freedom } from './checks.ts';
import { templateDirectory } from './directory.ts';
import { reviewOf } from './review.ts';
import { RULES, type Level, type RuleId } from './rules.ts';
import type { Path } from './sinks.ts';
import { reachable, spread, textFlow, type DeadEnd, type Taint, type TextFlow } from './taint.ts';
import { readObject, type Call, type Template, type TemplateObject } from './templates.ts';

/** A fault in a template, with its place and how to fix it. */
export interface Finding {
  readonly rule: RuleId;
  readonly level: Level;
  /** The index of the manifest, from 0. */
  readonly manifest: number;
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string;
  /** The path from the manifest to the value. */
  readonly path: Path;
  /** The line within the value, from 1; 0 if it has only one. */
  readonly line: number;
  /** The faulty part of the value: a tag or a variable. May be empty. */
  readonly text: string;
  /** `templates[2] "build" script.source line 4` */
  readonly place: string;
  readonly message: string;
  readonly fix: string;
}

interface LintOptions {
  /** The manifests include every WorkflowTemplate of the namespaces: a missing one does not exist. */
  readonly complete?: boolean;
  /** The Discord server where commands are registered. */
  readonly guildId?: string | undefined;
}

/** Whether a template may become a command. */
interface Verdict {
  /** The index of the manifest, from 0. */
  readonly manifest: number;
  /** Empty if it may. */
  readonly blocking: readonly Finding[];
}

/**
 * All faults of the Argo manifests, sorted: where user text can become code, and what facteur and Argo need. Ignores other kinds
 * of manifests. Never throws, whatever the manifests contain.
 */
export function lintTemplates(manifests: readonly unknown[], options: LintOptions = {}): readonly Finding[] {
  const world = readWorld(manifests, options);
  const all = new Findings();
  const seen = new Set<Template>();
  judgeRoots(world, (_, running, found) => {
    all.merge(found);
    for (const template of running) {
      seen.add(template);
    }
  });
  const others = [...world.flow.callees.keys()].filter((template) => !seen.has(template));
  judgeOthers(world, others, all);
  for (const object of world.objects) {
    addFaults(object, options.guildId, all);
  }
  return all.sorted();
}

/**
 * Whether each template may become a command. It is blocked by an error in any template that it runs, unless that template has a
 * valid review, and by a template that cannot be seen.
 */
export function judgeTemplates(manifests: readonly unknown[], options: LintOptions = {}): readonly Verdict[] {
  const world = readWorld(manifests, options);
  const verdicts: Verdict[] = [];
  judgeRoots(world, (root, running, found) => {
    for (const object of new Set([root.object, ...[...running].map((template) => template.object)])) {
      addFaults(object, options.guildId, found);
    }
    verdicts.push({ manifest: root.object.index, blocking: found.sorted().filter(isBlocking) });
  });
  return verdicts;
}

/** The effect of a template that cannot be seen is unknown. */
function isBlocking({ level, rule }: Finding): boolean {
  return level === 'error' || (level === 'warning' && rule === 'unseen-template');
}

interface World {
  readonly objects: readonly TemplateObject[];
  readonly flow: TextFlow;
  /** For each object, the part outside of its templates that starts the first one. */
  readonly roots: readonly Template[];
  readonly complete: boolean;
}

function readWorld(manifests: readonly unknown[], { complete = false }: LintOptions): World {
  const objects = manifests.flatMap((manifest, index) => readObject(manifest, index) ?? []);
  const directory = templateDirectory(objects);
  const flow = textFlow(directory);
  return { objects, flow, roots: directory.roots, complete };
}

/** For objects that call each other in circles, judging each one could take too long. */
const MAX_VISITS = 200_000;

/**
 * Judges what each object does when it is started with arguments from users.
 *
 * @param judge receives the findings of one object and the templates that it runs
 */
function judgeRoots(
  world: World,
  judge: (root: Template, running: ReadonlySet<Template>, found: Findings) => void,
): void {
  let visits = 0;
  for (const root of world.roots) {
    const found = new Findings();
    const running =
      visits > MAX_VISITS || root.calls.length === 0 ? new Set<Template>() : reachable(world.flow, [root]);
    if (visits > MAX_VISITS) {
      found.add(root, { rule: 'unreadable', path: root.path, text: '', line: 0 });
    }
    visits += running.size;
    const taints = spread(world.flow, seeds(world.flow, root.object, running), running);
    addUses({ world, running, taints, assumed: false }, found);
    judge(root, running, found);
  }
}

const FREEDOM = { free: 2, unchecked: 1, fixed: 0 } as const satisfies Record<Freedom, Taint>;

function seeds(flow: TextFlow, object: TemplateObject, running: ReadonlySet<Template>): Map<string, Taint> {
  const limited = limitedParameters(object);
  const found = new Map<string, Taint>();
  for (const template of running) {
    const { key, supplied, calls } = template;
    const passed = calls.some(({ passesAll }) => passesAll) ? passedOn(flow, template) : [];
    for (const name of [...(flow.parameters.get(template) ?? []), ...passed]) {
      found.set(`workflow:${key}:${name}`, FREEDOM[limited.get(name) ?? 'free']);
    }
    for (const { name, limited: isLimited } of supplied) {
      found.set(`supplied:${key}:${name}`, isLimited ? 1 : 2);
    }
    for (const name of isRoot(template) ? inputsNamed(template) : []) {
      found.set(`input:${key}:${name}`, 2);
    }
    found.set(`surroundings:${key}`, 1);
  }
  return found;
}

/** Outside of templates only their defaults name inputs, which may be those of any template. */
function inputsNamed({ mentions }: Template): readonly string[] {
  return mentions.flatMap(({ sources }) => sources.flatMap((one) => (one.from === 'input' ? one.name : [])));
}

function isRoot({ path, object, outer }: Template): boolean {
  return outer === undefined && path === object.specPath;
}

/** The inputs that the first template takes from the workflow's arguments. */
function passedOn({ callees }: TextFlow, root: Template): readonly string[] {
  return (callees.get(root) ?? []).flatMap(({ inputs }) => inputs.map(({ name }) => name));
}

/** Judges templates that nothing here starts or calls: a library, whose callers may pass user text. */
function judgeOthers(world: World, others: readonly Template[], found: Findings): void {
  const { flow } = world;
  const running = new Set(others);
  const keys = new Set(others.map(({ key }) => key));
  const nodes = new Set([
    ...flow.edges.keys(),
    ...others.flatMap((one) => (flow.uses.get(one) ?? []).flatMap((use) => use.nodes)),
  ]);
  const assumed = [...nodes].filter((node) => {
    const [kind, key = ''] = node.split(':');
    return (
      kind === 'workflow' || kind === 'surroundings' || ((kind === 'input' || kind === 'supplied') && keys.has(key))
    );
  });
  const taints = spread(flow, new Map(assumed.map((node) => [node, 1])), running);
  addUses({ world, running, taints, assumed: true }, found);
}

interface Judgement {
  readonly world: World;
  readonly running: ReadonlySet<Template>;
  readonly taints: ReadonlyMap<string, Taint>;
  /** Nothing here calls these templates. */
  readonly assumed: boolean;
}

function addUses({ world, running, taints, assumed }: Judgement, found: Findings): void {
  const lowered = assumed ? 'if a caller passes user text' : 'if user text reaches it indirectly';
  for (const template of running) {
    for (const { use, nodes } of world.flow.uses.get(template) ?? []) {
      const taint = use.rule === 'unreadable' ? 2 : highest(nodes, taints);
      if (taint > 0) {
        found.add(template, taint === 2 ? use : { ...use, lowered });
      }
    }
    addDeadEnds(world, template, found);
  }
}

function addDeadEnds(world: World, template: Template, found: Findings): void {
  for (const deadEnd of world.flow.deadEnds.get(template) ?? []) {
    const rule = isMissing(deadEnd, world) ? 'missing-template' : 'unseen-template';
    found.add(template, { rule, path: deadEnd.call.path, text: calleeName(deadEnd.call), line: 0 });
  }
}

function highest(nodes: readonly string[], taints: ReadonlyMap<string, Taint>): Taint {
  const all = nodes.map((node) => taints.get(node));
  return ([2, 1] as const).find((taint) => all.includes(taint)) ?? 0;
}

function isMissing({ call, reason }: DeadEnd, { complete }: World): boolean {
  return reason === 'absent' || (complete && call.callee.kind === 'reference' && !call.callee.cluster);
}

/** `other/build`, or `build` in the same object. */
function calleeName({ callee }: Call): string {
  const object = callee.kind === 'reference' ? `${callee.object}/` : '';
  return callee.kind === 'reference' || callee.kind === 'local' ? `${object}${callee.name}` : '';
}

function addFaults(object: TemplateObject, guildId: string | undefined, found: Findings): void {
  for (const { rule, path, subject } of objectFaults(object, guildId)) {
    found.add({ object, name: '', path: [] }, { rule, path, text: '', line: 0, subject });
  }
}

interface Fault {
  readonly rule: RuleId;
  readonly path: Path;
  readonly text: string;
  readonly line: number;
  /** Shown instead of the text. */
  readonly subject?: string;
  /** The condition under which this is a fault; its level is then one lower. */
  readonly lowered?: string;
}

const LEVELS: readonly Level[] = ['info', 'warning', 'error'];

/** Keeps each fault once, at its highest level. */
class Findings {
  readonly #found = new Map<string, Finding>();
  readonly #reviews = new Map<TemplateObject, boolean>();

  add({ object, name, path }: Pick<Template, 'object' | 'name' | 'path'>, fault: Fault): void {
    const { rule, text, line, lowered } = fault;
    const key = [object.index, rule, text, ...fault.path].join('\n');
    const level = this.#level(object, fault);
    const { problem, fix } = RULES[rule];
    const condition = lowered === undefined ? '' : ` (${lowered})`;
    this.#keep(key, {
      rule,
      level,
      manifest: object.index,
      kind: object.kind,
      namespace: object.namespace,
      name: object.name,
      path: fault.path,
      line,
      text,
      place: placeOf({ path, name }, fault),
      message: `${fault.subject ?? (text || object.name)} ${problem}${condition}`,
      fix,
    });
  }

  #level(object: TemplateObject, { rule, lowered }: Fault): Level {
    const { level } = RULES[rule];
    if (rule !== 'unreadable' && rule !== 'review-outdated' && this.#isReviewed(object)) {
      return 'info';
    }
    return lowered === undefined ? level : (LEVELS[LEVELS.indexOf(level) - 1] ?? 'info');
  }

  #isReviewed(object: TemplateObject): boolean {
    const reviewed = this.#reviews.get(object) ?? reviewOf(object) === 'valid';
    this.#reviews.set(object, reviewed);
    return reviewed;
  }

  merge(others: Findings): void {
    for (const [key, finding] of others.#found) {
      this.#keep(key, finding);
    }
  }

  #keep(key: string, finding: Finding): void {
    const known = this.#found.get(key);
    if (known === undefined || LEVELS.indexOf(known.level) < LEVELS.indexOf(finding.level)) {
      this.#found.set(key, finding);
    }
  }

  sorted(): readonly Finding[] {
    return [...this.#found.values()].toSorted((a, b) => a.manifest - b.manifest);
  }
}

/** The path in words: the template's path and name, then the path from there. */
function placeOf({ path, name }: Pick<Template, 'path' | 'name'>, fault: Fault): string {
  const inTemplate = path.at(-2) === 'templates';
  const within = inTemplate ? fault.path.slice(path.length) : fault.path;
  const steps = within.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('');
  return [
    ...(inTemplate ? [`templates[${path.at(-1)}] ${JSON.stringify(name)}`] : []),
    steps.replace(/^\./, ''),
    ...(fault.line > 0 ? [`line ${fault.line}`] : []),
  ].join(' ');
}
