import { expect, test, vi } from 'vitest';
import type { Observation } from './observe-workflows.ts';
import { ObservationBuffer } from './observation-buffer.ts';
import { observation } from '../../test/support/observations.ts';

function seen(uid: string, fields: Partial<Observation> = {}): Observation {
  return observation({ name: uid, uid, ...fields });
}

/** A buffer whose writes end on `finishWrites`. */
function setUp(limit: number, delayMs = 60_000) {
  const written: string[][] = [];
  const waiting: (() => void)[] = [];
  const buffer = new ObservationBuffer({
    limit,
    delayMs,
    write: (batch) => {
      written.push(batch.map(({ uid, state, version }) => `${uid} ${state} ${version ?? ''}`.trim()));
      return new Promise((resolve) => void waiting.push(resolve));
    },
  });
  const finishWrites = (): void => {
    for (const resolve of waiting.splice(0)) {
      resolve();
    }
  };
  return { buffer, written, finishWrites };
}

test('buffers for a while, and keeps the newest observation of each workflow', async () => {
  const { buffer, written } = setUp(10, 20);
  await buffer.add(seen('a', { version: 1n }));
  await buffer.add(seen('b', { version: 5n }));
  await buffer.add(seen('a', { version: 3n, state: 'succeeded' }));
  await buffer.add(seen('a', { version: 2n }));
  expect(written).toEqual([]);
  await vi.waitFor(() => expect(written).toEqual([['a succeeded 3', 'b running 5']]));
});

test('writes an end before a new start, so a retry is not missed', async () => {
  const { buffer, written, finishWrites } = setUp(10);
  await buffer.add(seen('a', { version: 1n, state: 'failed' }));
  const added = buffer.add(seen('a', { version: 2n, state: 'running' }));
  await vi.waitFor(() => expect(written).toEqual([['a failed 1']]));
  finishWrites();
  await added;
  void buffer.flush();
  await vi.waitFor(() => expect(written).toEqual([['a failed 1'], ['a running 2']]));
});

test('fills a second batch while the first is written, then add waits', async () => {
  const { buffer, written, finishWrites } = setUp(2);
  for (const uid of ['a', 'b', 'c']) {
    await buffer.add(seen(uid));
  }
  expect(written).toEqual([['a running', 'b running']]);
  let added = false;
  const fourth = buffer.add(seen('d')).then(() => {
    added = true;
  });
  await new Promise((resolve) => void setImmediate(resolve));
  expect(added).toBe(false);
  expect(written).toHaveLength(1);
  finishWrites();
  await fourth;
  await vi.waitFor(() => expect(written[1]).toEqual(['c running', 'd running']));
});

test('flush waits for the batch in progress and writes the rest', async () => {
  const { buffer, written, finishWrites } = setUp(2);
  await buffer.add(seen('a'));
  await buffer.add(seen('b'));
  await buffer.add(seen('c'));
  let flushed = false;
  const flush = buffer.flush().then(() => {
    flushed = true;
  });
  await vi.waitFor(() => {
    finishWrites();
    expect(flushed).toBe(true);
  });
  await flush;
  expect(written).toEqual([['a running', 'b running'], ['c running']]);
});
