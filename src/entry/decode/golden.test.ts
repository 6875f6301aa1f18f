import { readFileSync } from 'node:fs';
import { create, type DescMessage, fromBinary, fromJsonString, toBinary, toJson } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { Secret } from '../../base/secret.ts';
import { CommandEventSchema, DispatchResultSchema } from '../../proto/proompteng/facteur/v1/contract_pb.ts';
import { CodexTaskSchema, CodexTaskStage } from '../../proto/proompteng/froussard/v1/codex_task_pb.ts';
import { decodeCodexDelivery } from './codex-task.ts';
import { decodeCommand } from './command.ts';

const FIXTURES = new URL('../../../test/fixtures/proto/', import.meta.url);
const bytesOf = (name: string): Buffer => readFileSync(new URL(`${name}.bin`, FIXTURES));
const jsonOf = (name: string): Buffer => readFileSync(new URL(`${name}.json`, FIXTURES));

const MESSAGES: readonly [string, DescMessage][] = [
  ['command_event_full', CommandEventSchema],
  ['command_event_small', CommandEventSchema],
  ['dispatch_result', DispatchResultSchema],
  ['codex_task_full', CodexTaskSchema],
  ['codex_task_small', CodexTaskSchema],
];

test.each(MESSAGES)('%s: the bytes and the JSON written by Python are the same message', (name, schema) => {
  const message = fromBinary(schema, bytesOf(name));
  expect(message.$unknown).toBeUndefined();
  expect(fromJsonString(schema, jsonOf(name).toString('utf8'))).toEqual(message);
  expect(toJson(schema, message)).toEqual(JSON.parse(jsonOf(name).toString('utf8')));
});

test.each(MESSAGES)('%s: encoding it again gives the same length, so no field is lost or added', (name, schema) => {
  const bytes = bytesOf(name);
  expect(toBinary(schema, fromBinary(schema, bytes)).length).toBe(bytes.length);
});

const OPTIONS: readonly [string, string][] = [
  ['', 'no name'],
  ['__proto__', 'plain data'],
  ['empty', ''],
  ['objective', 'Größe prüfen: 日本語 🚀\n\ttab, "quotes" and \\ too'],
  ['project', 'alpha'],
];

test.each([
  ['protobuf', 'application/x-protobuf', bytesOf('command_event_full')],
  ['JSON', 'application/json', jsonOf('command_event_full')],
])('decodes the full command from %s', (_name, contentType, body) => {
  const command = decodeCommand(
    { headers: { 'content-type': contentType }, body },
    { door: 'http', freshId: () => 'fresh' },
  );
  const { options, ...rest } = command;
  expect(Object.entries(options).toSorted(([a], [b]) => (a < b ? -1 : 1))).toEqual(OPTIONS);
  expect(rest).toEqual({
    door: 'http',
    deliveryId: '1187654321098765432',
    interactionId: '1187654321098765432',
    name: 'plan',
    principal: {
      userId: '1100000000000000005',
      username: 'ada',
      globalName: 'Ada L.',
      roles: ['1100000000000000006', '1100000000000000007'],
      guildId: '1100000000000000003',
      channelId: '1100000000000000004',
    },
    interaction: { token: new Secret('fixture-token'), applicationId: '1100000000000000001', ephemeral: false },
    correlationId: 'corr-1',
    traceparent: '',
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  });
});

test.each([
  ['protobuf', 'application/protobuf', bytesOf('codex_task_full')],
  ['JSON', 'application/json', jsonOf('codex_task_full')],
])('decodes the full Codex task from %s', (_name, contentType, body) => {
  const delivery = decodeCodexDelivery({ headers: { 'content-type': contentType }, body }, 'http');
  expect(delivery.deliveryId).toBe('3f1c7a52-0000-4000-8000-000000000001');
  expect(delivery.task).toMatchObject({
    stage: CodexTaskStage.IMPLEMENTATION,
    issueNumber: 9007199254740993n,
    planCommentId: -9223372036854775808n,
    planCommentUrl: '',
    issueBody: 'line 1\r\nline 2',
    issuedAt: { seconds: 1770091506n, nanos: 120000000 },
    iterations: { mode: 'until', count: 3, min: 0, max: -1, stopOn: ['ci_pass'], reason: 'flaky' },
    iteration: 2147483647,
    iterationCycle: -2147483648,
    autonomous: false,
  });
});

test('missing optional fields stay unset, other missing fields get their default', () => {
  const { task } = decodeCodexDelivery({ headers: {}, body: bytesOf('codex_task_small') }, 'http');
  expect(task).toEqual(
    create(CodexTaskSchema, {
      stage: CodexTaskStage.IMPLEMENTATION,
      repository: 'proompteng/lab',
      issueNumber: 7n,
      deliveryId: '3f1c7a52-0000-4000-8000-000000000002',
    }),
  );
  expect(task.autonomous).toBeUndefined();
  expect(task.planCommentUrl).toBeUndefined();
  expect(task.prompt).toBe('');
});
