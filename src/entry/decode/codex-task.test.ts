import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import type { CodexDelivery } from '../../domain/codex-delivery.ts';
import { Refusal } from '../../domain/refusal.ts';
import { CodexTaskSchema, CodexTaskStage } from '../../proto/proompteng/froussard/v1/codex_task_pb.ts';
import { decodeCodexDelivery } from './codex-task.ts';

function decodeJson(body: string, headers: Readonly<Record<string, string>> = {}): CodexDelivery {
  const incoming = { headers: { 'content-type': 'application/json', ...headers }, body: Buffer.from(body) };
  return decodeCodexDelivery(incoming, 'http');
}

function decode(task: MessageInitShape<typeof CodexTaskSchema>): CodexDelivery {
  const body = Buffer.from(toBinary(CodexTaskSchema, create(CodexTaskSchema, task)));
  return decodeCodexDelivery({ headers: {}, body }, 'http');
}

describe('64-bit numbers in JSON', () => {
  test.each([
    ['{"issueNumber":42}', 42n],
    ['{"issueNumber":"42"}', 42n],
    ['{"issue_number":"9007199254740993"}', 9007199254740993n],
    ['{"issueNumber":9007199254740991}', 9007199254740991n],
    ['{"issueNumber":-1}', -1n],
    ['{"issueNumber":null}', 0n],
    ['{}', 0n],
  ])('%s', (body, expected) => {
    expect(decodeJson(body).task.issueNumber).toBe(expected);
  });

  test.each([
    ['issue_number', '{"issueNumber":9007199254740993}'],
    ['issue_number', '{"issue_number":9007199254740992}'],
    ['issue_number', '{"issueNumber":1e300}'],
    ['issue_number', '{"issueNumber":1.5}'],
    ['issue_number', '{"issueNumber":"0x10"}'],
    ['issue_number', '{"issueNumber":""}'],
    ['issue_number', '{"issueNumber":" 1"}'],
    ['plan_comment_id', '{"planCommentId":-9007199254740993}'],
  ])('%s is never rounded: %s', (field, body) => {
    const details = `${field}: must be a whole number, as a string if above 2^53`;
    expect(() => decodeJson(body)).toThrow(expect.objectContaining({ kind: 'invalid_payload', details }));
  });

  test('rejects a number beyond 64 bits', () => {
    expect(() => decodeJson('{"issueNumber":"9223372036854775808"}')).toThrow(Refusal);
  });
});

test('takes the delivery id from the task, else from the CloudEvent, and never generates one', () => {
  const event = { 'ce-source': '/s', 'ce-id': '1' };
  expect(decodeJson('{"deliveryId":" d "}', event).deliveryId).toBe('d');
  expect(decodeJson('{"deliveryId":" "}', event).deliveryId).toBe('/s|1');
  expect(decodeJson('{"deliveryId":" "}').deliveryId).toBe('');
});

test('reads stages by name and by number; an unknown stage is UNSPECIFIED', () => {
  expect(decodeJson('{"stage":"CODEX_TASK_STAGE_REVIEW"}').task.stage).toBe(CodexTaskStage.REVIEW);
  expect(decodeJson('{"stage":2}').task.stage).toBe(CodexTaskStage.IMPLEMENTATION);
  expect(decodeJson('{"stage":"CODEX_TASK_STAGE_LATER"}').task.stage).toBe(CodexTaskStage.UNSPECIFIED);
});

test.each([
  ['too few seconds', { seconds: -62135596801n, nanos: 0 }],
  ['too many seconds', { seconds: 253402300800n, nanos: 0 }],
  ['negative nanos', { seconds: 0n, nanos: -1 }],
  ['too many nanos', { seconds: 0n, nanos: 1_000_000_000 }],
])('refuses a time that JSON cannot represent: %s', (_name, issuedAt) => {
  expect(() => decode({ issuedAt })).toThrow(expect.objectContaining({ details: 'issued_at: is out of range' }));
});

test('refuses a repository that is too long for an index', () => {
  expect(decode({ repository: 'x'.repeat(512) }).task.repository).toHaveLength(512);
  const details = 'repository: must have at most 512 characters';
  expect(() => decode({ repository: 'x'.repeat(513) })).toThrow(expect.objectContaining({ details }));
});

test('checks text in nested messages too', () => {
  const task = { reviewContext: { reviewThreads: [{ summary: 'ok' }, { summary: 'x', author: '\0' }] } };
  const details = 'review_context.review_threads.1.author: must not contain NUL';
  expect(() => decode(task)).toThrow(expect.objectContaining({ details }));
  const notes = '{"reviewContext":{"additionalNotes":["\\ud800"]}}';
  expect(() => decodeJson(notes)).toThrow(
    expect.objectContaining({ details: 'review_context.additional_notes.0: must be well-formed Unicode' }),
  );
});
