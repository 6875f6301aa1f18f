import { expect, test } from 'vitest';
import { countRuns } from '../support/ledger.ts';
import { event } from '../support/messages.ts';
import { freshId, useBench } from './bench.ts';

const RUNS = 500;
const bench = useBench();

test(`${RUNS} runs at once: all are accepted, each is one workflow, and all succeed`, async () => {
  const facteur = await bench.start('as-told');
  const ids = Array.from({ length: RUNS }, () => freshId('rush'));
  const answers = await Promise.all(ids.map((interactionId) => facteur.send(event({ interactionId }))));
  expect(answers.filter(({ status }) => status !== 202)).toEqual([]);
  await expect.poll(() => countRuns(bench.db, 'succeeded'), { timeout: 280_000, interval: 500 }).toBe(RUNS);
  const names = answers.map(({ body }) => body.workflowName);
  expect(new Set(names).size).toBe(RUNS);
}, 360_000);
