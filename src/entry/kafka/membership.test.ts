import { expect, test, vi } from 'vitest';
import { createLogger } from '../../base/logger.ts';
import type { ConsumeOptions } from '../../clients/kafka/client.ts';
import { KafkaError, type KafkaErrorCode } from '../../clients/kafka/errors.ts';
import { stayMember } from './membership.ts';

/** A client whose memberships end in order as listed. After the list they last until the signal. */
function scripted(...endings: ((options: ConsumeOptions) => Error)[]) {
  const lines: string[] = [];
  const stop = new AbortController();
  let memberships = 0;
  const kafka = {
    async consume(options: ConsumeOptions): Promise<void> {
      memberships += 1;
      const ending = endings.shift();
      if (ending !== undefined) {
        throw ending(options);
      }
      options.events.assigned([0, 1]);
      stop.abort();
    },
  };
  const options = {
    topic: 't',
    groupId: 'g',
    startAt: 'earliest' as const,
    ...{ minBytes: 1, maxBytes: 1, maxWaitMs: 1 },
    onPartition: async () => undefined,
    signal: stop.signal,
  };
  const logger = createLogger('info', { write: (line) => lines.push(line) });
  return {
    lines,
    stop,
    memberships: () => memberships,
    run: () => stayMember(options, { kafka, logger, random: () => 0 }),
  };
}

const failing = (code: KafkaErrorCode) => () => new KafkaError(code, `it is ${code}`);
const breaking = (code: KafkaErrorCode) => (options: ConsumeOptions) => {
  options.events.assigned([0]);
  return new KafkaError(code, `it is ${code}`);
};

test('waits for brokers and topics that are not available yet, and logs it', async () => {
  const { run, lines, memberships } = scripted(
    failing('kafka.unavailable'),
    failing('kafka.topic'),
    failing('kafka.group'),
  );
  await run();
  expect(memberships()).toBe(4);
  expect(lines.filter((line) => line.includes('kafka is not ready yet'))).toHaveLength(3);
  expect(lines.at(-1)).toContain('"partitions":[0,1]');
});

test.each(['kafka.authentication', 'kafka.tls', 'kafka.denied'] as const)(
  '%s on the first attempt is fatal',
  async (code) => {
    const { run, memberships } = scripted(failing(code));
    await expect(run()).rejects.toMatchObject({ code });
    expect(memberships()).toBe(1);
  },
);

test('once a member, rejoins after any error', async () => {
  const { run, lines, memberships } = scripted(breaking('kafka.unavailable'), failing('kafka.authentication'));
  await run();
  expect(memberships()).toBe(3);
  expect(lines.filter((line) => line.includes('rejoining'))).toHaveLength(2);
});

test('does not retry after a bug', async () => {
  const { run } = scripted(() => new TypeError('x is undefined'));
  await expect(run()).rejects.toThrow('x is undefined');
});

test('a stop ends the wait', async () => {
  const endless = Array<() => Error>(100).fill(failing('kafka.unavailable'));
  const { run, stop, lines } = scripted(...endless);
  const done = run();
  await vi.waitFor(() => expect(lines.length).toBeGreaterThan(0));
  stop.abort();
  await done;
});
