import { expect, test } from 'vitest';
import { loadYaml } from '../../../test/support/config.ts';
import { createLogger } from '../../base/logger.ts';
import type { ConsumeOptions } from '../../clients/kafka/client.ts';
import { runConsumer } from './consumer.ts';

const nothing = (): never => {
  throw new Error('no record has come');
};

test('takes the group, the topic and the fetch limits from the configuration', async () => {
  const yaml = `consumer: {enabled: true, brokers: [b], topic: t, group_id: g, min_bytes: 2, max_bytes: 3, max_wait: 1m30s}`;
  const { consumer: config } = (await loadYaml(yaml)).config;
  const stop = new AbortController();
  let asked: ConsumeOptions | undefined;
  await runConsumer({
    config,
    dispatch: { command: nothing },
    db: { query: nothing },
    logger: createLogger('error', { write: nothing }),
    random: () => 0,
    signal: stop.signal,
    events: { processed: nothing, retried: nothing, deadLettered: nothing, committed: nothing, lag: () => undefined },
    kafka: {
      consume: async (options) => {
        asked = options;
        stop.abort();
      },
      produce: nothing,
      lag: () => new Map(),
      isUp: () => undefined,
      close: async () => undefined,
    },
  });
  expect(asked).toMatchObject({ topic: 't', groupId: 'g', minBytes: 2, maxBytes: 3, maxWaitMs: 90_000 });
});
