/** Finds every regular expression in the sources, and generates texts that are likely slow for it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RegExpParser, visitRegExpAST } from '@eslint-community/regexpp';
import type { AST } from '@eslint-community/regexpp';
import { parseSync, Visitor } from 'rolldown/utils';

/** A regular expression in a source file. */
export interface FoundExpression {
  readonly path: string;
  readonly line: number;
  readonly pattern: string;
  readonly flags: string;
}

/** The literals in a text, and the places where an expression is built at run time. */
export function expressionsOf(path: string, text: string): { literals: FoundExpression[]; constructed: string[] } {
  const parsed = parseSync(path, text);
  const lineOf = (start: number): number => text.slice(0, start).split('\n').length;
  const literals: FoundExpression[] = [];
  const constructed: string[] = [];
  const addConstructed = (node: { readonly callee: { readonly type: string }; readonly start: number }): void => {
    if (node.callee.type === 'Identifier' && (node.callee as { name?: string }).name === 'RegExp') {
      constructed.push(`${path}:${lineOf(node.start)}`);
    }
  };
  new Visitor({
    Literal: (node) => {
      if ('regex' in node && node.regex !== null) {
        literals.push({ path, line: lineOf(node.start), ...node.regex });
      }
    },
    NewExpression: addConstructed,
    CallExpression: addConstructed,
  }).visit(parsed.program);
  return { literals, constructed };
}

/** Like {@link expressionsOf}, for files. */
export function expressionsIn(root: string, paths: readonly string[]) {
  const found = paths.map((path) => expressionsOf(path, readFileSync(join(root, path), 'utf8')));
  return {
    literals: found.flatMap(({ literals }) => literals),
    constructed: found.flatMap(({ constructed }) => constructed),
  };
}

/** Characters by kind, as expressions distinguish them; one of each kind is tried. */
const KINDS: readonly (readonly string[])[] = [
  'azAZFSPMNOT',
  '0987',
  '-_.',
  ':/@=;,"\'`[]{}()<>|\\^$*+?!#%&~',
  ' \t',
  '\n\r',
  '\u0000\u001b\u0007\u009b\u0085\u00a0\u00e9\u0301\u0e01\u200b\u202e\u2028\ufeff\ue000🚀',
  String.fromCharCode(...Array(128).keys()),
].map((characters) => Array.from(characters));

/** Ends of a text that may make an apparent match fail. */
const ENDS: readonly string[] = ['', '\u0000', 'a', '0', ' ', '\n', '!', '/', '"'];

/** Generates a text of about this length. */
export type Recipe = (length: number) => string;

/**
 * Texts that make a backtracking engine try the most: each repeatable part of the expression many times, alone, after its
 * required prefix, in pairs, and with ends that do not match.
 */
export function* adversaries({ pattern, flags }: Pick<FoundExpression, 'pattern' | 'flags'>): Generator<Recipe> {
  const tree = new RegExpParser().parsePattern(pattern, 0, pattern.length, {
    unicode: flags.includes('u'),
    unicodeSets: flags.includes('v'),
  });
  const pumps = pumpsOf(tree, new Sampler(flags));
  for (const { before, unit } of pumps) {
    for (const end of ENDS) {
      yield (length) => fill(unit, length) + end;
      yield (length) => `\u0000${fill(unit, length)}${end}`;
      if (before !== '') {
        yield (length) => before + fill(unit, length) + end;
        yield (length) => fill(before + unit, length) + end;
      }
    }
  }
  const units = [...new Set(pumps.flatMap(({ before, unit }) => [unit, before + unit]))];
  for (const [first, second] of units.flatMap((one) => units.map((other) => [one, other] as const))) {
    for (const end of ['', '\u0000']) {
      yield (length) => fill(first, length / 2) + fill(second, length / 2) + end;
      yield (length) => fill(first + second, length) + end;
    }
  }
}

function fill(unit: string, length: number): string {
  return unit.repeat(Math.ceil(length / unit.length));
}

/** A part that a text may repeat, and the shortest text that leads to it. */
interface Pump {
  readonly before: string;
  readonly unit: string;
}

function pumpsOf(tree: AST.Pattern, sampler: Sampler): Pump[] {
  const pumps = new Map<string, Pump>();
  const add = (before: string, unit: string): void => {
    if (unit !== '') {
      pumps.set(JSON.stringify([before, unit]), { before, unit });
    }
  };
  visitRegExpAST(tree, {
    onQuantifierEnter: (node) => sampler.samples(node.element).forEach((unit) => add(sampler.before(node), unit)),
    onCharacterClassEnter: (node) => sampler.samples(node).forEach((unit) => add('', unit)),
    onAlternativeEnter: (node) => add('', sampler.sequence(node.elements)),
  });
  return [...pumps.values()];
}

/** Finds texts that parts of an expression match. */
class Sampler {
  readonly #flags: string;

  constructor(flags: string) {
    this.#flags = flags.replaceAll(/[gy]/g, '');
  }

  /** A few texts for one element. */
  samples(node: AST.Element): string[] {
    switch (node.type) {
      case 'Character':
        return [String.fromCodePoint(node.value)];
      case 'CharacterClass':
      case 'CharacterSet':
      case 'ExpressionCharacterClass':
        return this.#charactersOf(node.raw);
      case 'Group':
      case 'CapturingGroup':
        return node.alternatives.slice(0, 3).map(({ elements }) => this.sequence(elements));
      case 'Quantifier':
        return this.samples(node.element).map((text) => text.repeat(Math.min(node.min, 64)));
      case 'Assertion':
      case 'Backreference':
        return [''];
    }
  }

  /** One text for a sequence of elements. */
  sequence(elements: readonly AST.Element[]): string {
    return elements.map((element) => this.samples(element)[0] ?? '').join('');
  }

  /** One text for everything that must precede an element. */
  before(node: AST.Element | AST.Alternative | AST.Pattern): string {
    const { parent } = node;
    if (parent === null || parent.type === 'RegExpLiteral') {
      return '';
    }
    const here =
      parent.type === 'Alternative'
        ? this.sequence(parent.elements.slice(0, parent.elements.indexOf(node as AST.Element)))
        : '';
    return this.before(parent as AST.Element) + here;
  }

  #charactersOf(raw: string): string[] {
    const wanted = new RegExp(`^${raw}$`, this.#flags);
    return KINDS.flatMap((kind) => kind.find((character) => wanted.test(character)) ?? []);
  }
}
