import { join } from 'node:path';
import { createContext, runInContext } from 'node:vm';
import { expect, test } from 'vitest';
import { adversaries, expressionsIn, expressionsOf, type FoundExpression } from './regular-expressions.ts';
import { sourcePaths } from './source-tree.ts';

// A request must not be able to block the event loop: every expression must take linear, not quadratic, time for any
// text.

const LENGTH = 64 * 1024;
/** CPU time: other processes on the machine do not count. */
const LIMIT_MS = 50;
/**
 * Nearly every text is quick, and most of the time is spent on finding that out with a short text. If it were much shorter,
 * a linear expression would also reach the limit below.
 */
const SHORT = LENGTH / 8;
/** An expression that is this quick on a short text stays below the limit, even in quadratic time. */
const QUICK_MS = LIMIT_MS / (LENGTH / SHORT) ** 2;
const ATTEMPTS = 12;
const ROOT = join(import.meta.dirname, '..');
const { literals, constructed } = expressionsIn(
  ROOT,
  sourcePaths(ROOT).filter((path) => path.startsWith('src/') && !path.endsWith('.test.ts')),
);

/** Uses an expression in every way that the product does. */
function apply({ pattern, flags }: FoundExpression, text: string): void {
  const expression = new RegExp(pattern, flags);
  if (expression.global) {
    text.replaceAll(expression, '');
  } else {
    expression.exec(text);
    // A sticky expression belongs to a reader, which applies it only at its current position.
    if (!expression.sticky) {
      text.split(expression, 100_000);
    }
  }
}

/** A clock in milliseconds. */
type Clock = () => number;

/** CPU time. It ticks every 4 ms on some kernels. */
const processorMs: Clock = () => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};
/** Precise enough for a short text. With other busy processes it shows too much; then the full length decides. */
const wallMs: Clock = () => performance.now();

/**
 * The minimum of several attempts, because one may include compilation or garbage collection. A virtual machine also counts
 * time in which its host pauses it, which can be a tenth of a second at once.
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

/** The first text for which an expression takes too long, shortened. */
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

/** An expression may run for years, and only code in its own context can be interrupted. */
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

/** An expression in several files is tested once, under the name of the last one. */
const distinct = new Map(literals.map((found) => [`/${found.pattern}/${found.flags}`, found]));
const cases = [...distinct].map(([name, found]) => [`${found.path}:${found.line} ${name}`, found] as const);

test.each(cases)('%s takes linear time', (_name, found) => {
  expect(slowest(found)).toBeUndefined();
});

test('no expression is built at run time: it could not be checked', () => {
  expect(constructed).toEqual([]);
});

test('finds every expression, and detects slow ones', () => {
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
