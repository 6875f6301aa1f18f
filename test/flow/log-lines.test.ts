import { expect } from 'vitest';
import { startFacteur } from '../support/facteur.ts';
import { event } from '../support/messages.ts';
import { db, test } from '../support/ledger-fixture.ts';

interface Line {
  readonly level: string;
  readonly message: string;
  readonly runId?: string;
}

test('a delivery that is recorded and submitted logs one line at info', async () => {
  const facteur = await startFacteur({ db });
  const before = facteur.log.length;
  const { status, body } = await facteur.send(event({ interactionId: 'one-line' }));
  expect([status, body.status]).toEqual([202, 'submitted']);
  const messages = (level: string): string[] =>
    facteur.log
      .slice(before)
      .map((line) => JSON.parse(line) as Line)
      .filter((line) => line.level === level)
      .map(({ message }) => message);
  await expect.poll(() => messages('debug')).toEqual(expect.arrayContaining(['run moved', 'request answered']));
  expect(messages('info').filter((message) => message !== 'the cluster answers')).toEqual(['run recorded']);
});
