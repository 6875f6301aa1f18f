import fc from 'fast-check';
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { choose, isHeldOut, weigh, type Candidate } from './choose.ts';

const NOW = new Date('2026-01-01T00:00:00Z');
const HOW = { minSimilarity: 0.3, expected: 0.5, now: NOW };

function candidate(reflectionId: string, fields: Partial<Candidate> = {}): Candidate {
  const known = { score: 1 / 61, similarity: 0.5, wordPlace: null, outcomes: { helped: 0, hurt: 0 }, createdAt: NOW };
  return { ...known, reflectionId, ...fields };
}

const chosen = (...candidates: Candidate[]) => choose(weigh(candidates, HOW)).map(({ reflectionId }) => reflectionId);

test('outcomes reorder reflections of similar relevance, but do not outweigh a much higher relevance', () => {
  const hurt = { score: 1 / 61, outcomes: { helped: 0, hurt: 50 } };
  const helped = { outcomes: { helped: 50, hurt: 0 } };
  expect(chosen(candidate('a', hurt), candidate('b', { ...helped, score: 1 / 63 }))).toEqual(['b', 'a']);
  expect(chosen(candidate('a', { ...hurt, score: 2 / 61 }), candidate('b', { ...helped, score: 1 / 61 }))).toEqual([
    'a',
    'b',
  ]);
});

test('at equal relevance, newer reflections come first', () => {
  expect(chosen(candidate('a', { createdAt: new Date('2024-01-01') }), candidate('b'))).toEqual(['b', 'a']);
});

test('rejects dissimilar reflections, except the best matches by words', () => {
  expect(
    chosen(
      candidate('near'),
      candidate('far', { similarity: 0.29 }),
      candidate('named', { similarity: 0.1, wordPlace: 3 }),
      candidate('mentioned', { similarity: 0.1, wordPlace: 4 }),
      candidate('not embedded', { similarity: null, wordPlace: 1 }),
      candidate('neither', { similarity: null }),
    ),
  ).toEqual(['named', 'near', 'not embedded']);
});

test('chooses at most five, independent of the order of the candidates', () => {
  const found = fc.uniqueArray(fc.record({ id: fc.uuid(), score: fc.double({ min: 0, max: 1, noNaN: true }) }), {
    maxLength: 20,
    selector: ({ id }) => id,
  });
  fc.assert(
    fc.property(found, (items) => {
      const all = items.map(({ id, score }) => candidate(id, { score }));
      const first = chosen(...all);
      expect(first).toHaveLength(Math.min(5, items.length));
      expect(chosen(...all.toReversed())).toEqual(first);
    }),
  );
});

test('the held-out share is about as large as configured, and a run is always or never in it', () => {
  const runs = Array.from({ length: 4000 }, () => randomUUID());
  const held = runs.filter((run) => isHeldOut(run, 0.1));
  expect(held.length).toBeGreaterThan(300);
  expect(held.length).toBeLessThan(500);
  expect(held.every((run) => isHeldOut(run, 0.1) && isHeldOut(run, 0.5))).toBe(true);
  expect(runs.some((run) => isHeldOut(run, 0))).toBe(false);
  expect(runs.every((run) => isHeldOut(run, 1))).toBe(true);
});
