import { create, fromJson, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { TestKafka, plainBroker } from '../../../test/support/kafka.ts';
import { createLogger } from '../../base/logger.ts';
import type { CodexListenerConfig } from '../../config/config.ts';
import { CodexTaskSchema, type CodexTaskStage } from '../../proto/proompteng/froussard/v1/codex_task_pb.ts';
import { listenToCodex, type HeardTask, type ListenOptions } from './codex-listen.ts';

let kafka: TestKafka;
beforeAll(() => {
  kafka = new TestKafka();
});
afterAll(() => kafka.close());

const task = (issue: number) => ({
  stage: 'CODEX_TASK_STAGE_IMPLEMENTATION',
  prompt: 'Mend the rocket.',
  repository: 'acme/rocket',
  issueNumber: String(issue),
  deliveryId: `d-${issue}`,
});

const protobuf = (issue: number): Buffer =>
  Buffer.from(toBinary(CodexTaskSchema, fromJson(CodexTaskSchema, task(issue))));

function listen(topic: string, options: Partial<ListenOptions> = {}, changes: Partial<CodexListenerConfig> = {}) {
  const heard: HeardTask[] = [];
  const log: string[] = [];
  const stop = new AbortController();
  const done = listenToCodex(
    { fromBeginning: false, ...options },
    {
      config: { ...plainBroker(), enabled: true, topic, groupId: topic, ...changes },
      print: (printed) => heard.push(printed),
      logger: createLogger('info', { write: (line) => log.push(line) }),
      random: Math.random,
      signal: stop.signal,
    },
  );
  done.catch(() => undefined);
  return { heard, log, done, stop: () => (stop.abort(), done) };
}

test('prints tasks, skips records that are not tasks, commits both, and resumes there', async () => {
  const topic = await kafka.createTopic(1);
  await kafka.produce(topic, [
    { partition: 0, key: Buffer.from('acme/rocket#7'), value: protobuf(7) },
    { partition: 0, value: Buffer.from('no task at all') },
    { partition: 0, value: Buffer.from(JSON.stringify(task(8))) },
    {
      partition: 0,
      value: Buffer.from(toBinary(CodexTaskSchema, create(CodexTaskSchema, { stage: 9 as CodexTaskStage }))),
    },
  ]);
  const first = listen(topic);
  await vi.waitFor(() => expect(first.heard).toHaveLength(3));
  expect(first.heard[0]).toEqual({
    key: 'acme/rocket#7',
    stage: 'CODEX_TASK_STAGE_IMPLEMENTATION',
    repository: 'acme/rocket',
    issue: '7',
    task: expect.any(String),
  });
  expect(JSON.parse(first.heard[0]!.task)).toEqual(task(7));
  expect(first.heard.slice(1).map(({ key, stage, issue }) => [key, stage, issue])).toEqual([
    ['', 'CODEX_TASK_STAGE_IMPLEMENTATION', '8'],
    ['', '9', '0'],
  ]);
  expect(first.log.filter((line) => line.includes('not a Codex task'))).toHaveLength(1);
  await first.stop();
  expect(await kafka.committed(topic, topic, 1)).toEqual([4n]);

  await kafka.produce(topic, [{ partition: 0, value: protobuf(9) }]);
  const second = listen(topic, { limit: 1 });
  await second.done;
  expect(second.heard.map(({ issue }) => issue)).toEqual(['9']);
});

test('stops at the limit, and commits only printed tasks', async () => {
  const topic = await kafka.createTopic(1);
  await kafka.produce(
    topic,
    [1, 2, 3, 4].map((issue) => ({ partition: 0, value: protobuf(issue) })),
  );
  const first = listen(topic, { limit: 2 });
  await first.done;
  expect(first.heard.map(({ issue }) => issue)).toEqual(['1', '2']);
  expect(await kafka.committed(topic, topic, 1)).toEqual([2n]);
});

test('from the beginning: prints everything again, and leaves the group’s offset unchanged', async () => {
  const topic = await kafka.createTopic(1);
  await kafka.produce(
    topic,
    [1, 2, 3].map((issue) => ({ partition: 0, value: protobuf(issue) })),
  );
  await listen(topic, { limit: 3 }).done;
  const again = listen(topic, { fromBeginning: true, limit: 2 });
  await again.done;
  expect(again.heard.map(({ issue }) => issue)).toEqual(['1', '2']);
  expect(await kafka.committed(topic, topic, 1)).toEqual([3n]);
});

test('fails if the listener is not enabled', async () => {
  const { done } = listen('t', {}, { enabled: false });
  await expect(done).rejects.toMatchObject({ code: 'codex_listener.disabled' });
});
