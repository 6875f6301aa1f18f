import { join } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { expect, test } from 'vitest';
import { adversaries, expressionsIn, expressionsOf, type FoundExpression } from './regular-expressions.ts';
import { sourcePaths } from './source-tree.ts';

// One request must not be able to stop the event loop: whatever text an expression is given, it takes time with the
// length of the text and not with its square.

const LENGTH = 64 * 1024;
/** Of the processor, so that whatever else runs on the machine does not count. */
const LIMIT_MS = 50;
/**
 * Nearly every text is quick, and most of the time goes into finding that out on a short one. On one that is much shorter, a
 * linear expression takes as long as the limit below.
 */
const SHORT = LENGTH / 8;
/** What is as quick as this on a short text stays below the limit, even if it takes the square. */
const QUICK_MS = LIMIT_MS / (LENGTH / SHORT) ** 2;
const ATTEMPTS = 12;
const ROOT = join(import.meta.dirname, '..');
const { literals, constructed } = expressionsIn(
  ROOT,
  sourcePaths(ROOT).filter((path) => path.startsWith('src/') && !path.endsWith('.test.ts')),
);

/** All uses of an expression in the product are one of these. */
function apply({ pattern, flags }: FoundExpression, text: string): void {
  const expression = new RegExp(pattern, flags);
  if (expression.global) {
    text.replaceAll(expression, '');
  } else {
    expression.exec(text);
    // A sticky one belongs to a reader, which tries it where it stands and nowhere else.
    if (!expression.sticky) {
      text.split(expression, 100_000);
    }
  }
}

/** A clock in milliseconds. */
type Clock = () => number;

/** Ticks every 4 ms on some kernels. */
const processorMs: Clock = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};
/** Fine enough for a short text. While other processes run it shows too much, and then the full length decides. */
const wallMs: Clock = () => performance.now();

/**
 * The least of several attempts, since one may have compiled or collected garbage. A virtual machine also counts time in which
 * its host lets it wait, which can be a tenth of a second at once.
 */
function timeOf(expression: FoundExpression, text: string, enoughMs: number, clock: Clock): number {
  let least = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < ATTEMPTS && least > enoughMs; attempt += 1) {
    const before = clock();
    apply(expression, text);
    least = Math.min(least, clock() - before);
  }
  return least;
}

/** The first text that takes an expression too long, shortened to be read. */
function slowest(expression: FoundExpression, patienceMs = 150_000): string | undefined {
  let text = '';
  const search = (): string | undefined => {
    for (const recipe of adversaries(expression)) {
      text = recipe(SHORT);
      if (timeOf(expression, text, QUICK_MS, wallMs) > QUICK_MS) {
        text = recipe(LENGTH);
        const ms = timeOf(expression, text, LIMIT_MS, processorMs);
        if (ms > LIMIT_MS) {
          return `${Math.round(ms)} ms`;
        }
      }
    }
    return undefined;
  };
  const outcome = inTime(search, patienceMs);
  return outcome && `${outcome} for ${JSON.stringify(`${text.slice(0, 40)} … ${text.slice(-12)}`)}`;
}

/** An expression may run for years, and only code in its own context can be stopped. */
function inTime(search: () => string | undefined, patienceMs: number): string | undefined {
  try {
    return runInContext('search()', createContext({ search }), { timeout: patienceMs }) as string | undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') {
      throw error;
    }
    return 'no end';
  }
}

/** An expression that several files have is tried once, under the name of the last. */
const distinct = new Map(literals.map((found) => [`/${found.pattern}/${found.flags}`, found]));
const cases = [...distinct].map(([name, found]) => [`${found.path}:${found.line} ${name}`, found] as const);

test.each(cases)('%s takes its time with the length of the text', (_name, found) => {
  expect(slowest(found)).toBeUndefined();
});

test('no expression is built at run time, where it cannot be checked', () => {
  expect(constructed).toEqual([]);
});

test('every expression is found, and the texts find what is slow', () => {
  const source = String.raw`
    const a: RegExp = /^x+$/u;
    export const f = (text: string): string[] => text.replace(/\/+$/, '').split(/[/]/g);
    const b = new RegExp('x');
    const c = RegExp(f('x')[0]);`;
  const found = expressionsOf('a.ts', source);
  expect(found.literals.map(({ line, pattern, flags }) => [line, pattern, flags])).toEqual([
    [2, '^x+$', 'u'],
    [3, String.raw`\/+$`, ''],
    [3, '[/]', 'g'],
  ]);
  expect(found.constructed).toEqual(['a.ts:4', 'a.ts:5']);
  for (const pattern of [
    String.raw`\/+$`,
    String.raw`([a-z][a-z0-9+.-]*:\/\/[^\s:@/]*):[^\s@/]+@`,
    String.raw`(?:token|secret)[\w.-]*\s*[:=]`,
    String.raw`\beyJ[\w-]{8,}\.[\w-]+`,
    String.raw`^\s*--.*$`,
    '^(?:a+)+$',
    '^(a|a)*$',
    String.raw`<[^>]*>[^<]*<`,
  ]) {
    const flags = 'gim';
    expect({ pattern, slow: slowest({ path: '', line: 1, pattern, flags }, 400) !== undefined }).toEqual({
      pattern,
      slow: true,
    });
  }
});
