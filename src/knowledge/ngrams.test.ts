import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { embedNgrams } from './ngrams.ts';

function likeness(a: string, b: string): number {
  const [x, y] = [embedNgrams(a), embedNgrams(b)];
  const dot = (p: readonly number[], q: readonly number[]): number =>
    p.reduce((sum, n, at) => sum + n * (q[at] ?? 0), 0);
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
}

test('forms of a word are similar, other words are not', () => {
  expect(likeness('deploy the service', 'deploying services')).toBeGreaterThan(0.4);
  expect(likeness('deploy the service', 'bake some bread')).toBeLessThan(0.1);
  expect(likeness('Größe ändern', 'GRÖSSE ÄNDERN')).toBeGreaterThan(0.3);
  expect(likeness('The migration needs pgvector 0.8', 'Migrations fail: pgvector is too old')).toBeGreaterThan(
    likeness('The migration needs pgvector 0.8', 'The tests need a browser'),
  );
});

test('any text becomes 1,536 finite numbers, all zero only if it has no words', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      const numbers = embedNgrams(text);
      expect(numbers).toHaveLength(1536);
      expect(numbers.every(Number.isFinite)).toBe(true);
      expect(numbers.some((number) => number !== 0)).toBe(/[\p{L}\p{N}_]/u.test(text.toLowerCase()));
    }),
  );
});

test('the embedding of a version never changes: stored vectors are compared with new ones', () => {
  const numbers = embedNgrams('Run the linter before the tests; the 2nd failure of naïve_code cost an hour.');
  const digest = createHash('sha256').update(JSON.stringify(numbers)).digest('hex');
  expect(digest).toMatchInlineSnapshot(`"128c52a89eba2e76f0a2c2a541916ac4958c7622677bf2dbfe422cf7f0b26c3a"`);
});
