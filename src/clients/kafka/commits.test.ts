import { type Consumer, ProtocolError } from '@platformatic/kafka';
import { afterEach, expect, test, vi } from 'vitest';
import { Commits } from './commits.ts';
import type { KafkaError } from './errors.ts';

afterEach(() => {
  vi.useRealTimers();
});

/** Commits of one partition to a broker that denies them until a test permits them. */
function denied() {
  vi.useFakeTimers();
  const error = new ProtocolError('GROUP_AUTHORIZATION_FAILED');
  const commit = vi.fn<(options: unknown) => Promise<void>>().mockRejectedValue(error);
  const hooks = { committed: vi.fn<() => void>(), troubled: vi.fn<(error: KafkaError) => void>(), random: () => 0.5 };
  const commits = new Commits({ commit, isActive: () => true } as unknown as Consumer, 'topic', hooks);
  commits.own(0);
  commits.add(0, 1n);
  return { commit, commits, hooks };
}

test('retries a denied commit less and less often, even while records are handled', async () => {
  const { commit, commits, hooks } = denied();
  for (let offset = 2n; offset < 600n; offset += 1n) {
    commits.add(0, offset);
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(commit.mock.calls.length).toBeLessThan(25);
  expect(hooks.troubled.mock.calls[0]?.[0].code).toBe('kafka.denied');
  commits.stop();
});

test('commits once that is permitted, and then promptly again', async () => {
  const { commit, commits, hooks } = denied();
  await vi.advanceTimersByTimeAsync(60_000);
  commit.mockResolvedValue(undefined);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(hooks.committed.mock.calls).toEqual([[0, 1n]]);
  commits.add(0, 2n);
  await vi.advanceTimersByTimeAsync(50);
  expect(hooks.committed.mock.calls).toEqual([
    [0, 1n],
    [0, 2n],
  ]);
  commits.stop();
});
