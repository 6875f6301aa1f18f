import { afterAll, vi } from 'vitest';

/**
 * How long a test waits for something to happen, in milliseconds. It is not a performance limit: something that never
 * happens must fail in its own test, and a busy machine needs time.
 */
const PATIENCE_MS = 90_000;

const { waitFor, waitUntil } = vi;

// Vitest has a setting for `expect.poll`, but not for these two, which time out after one second.
vi.waitFor = (work, options) => waitFor(work, patient(options));
vi.waitUntil = (work, options) => waitUntil(work, patient(options));

type Options = Parameters<typeof vi.waitFor>[1];

function patient(options: Options): Options {
  return typeof options === 'number' ? options : { timeout: PATIENCE_MS, interval: 20, ...options };
}

/** The original, from before the first file of this worker. */
const REAL_TIMEOUT = Symbol.for('facteur.test.setTimeout');
const worker = globalThis as { [REAL_TIMEOUT]?: typeof setTimeout };
const real = (worker[REAL_TIMEOUT] ??= globalThis.setTimeout);

// A worker runs many files: in the files after this one, no timer would ever fire.
afterAll(() => {
  if (globalThis.setTimeout !== real) {
    globalThis.setTimeout = real;
    throw new Error('a test left fake timers behind');
  }
});
