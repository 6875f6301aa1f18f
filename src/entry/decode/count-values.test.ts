import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CodexReviewContextSchema, CodexTaskSchema } from '../../proto/proompteng/froussard/v1/codex_task_pb.ts';
import { hasTooManyValues } from './count-values.ts';
import { decodeMessage } from './message.ts';
import { parseJson } from './payload.ts';

const tooMany = (text: string): boolean => hasTooManyValues(Buffer.from(text));

test.each<[string, string, boolean]>([
  ['empty objects', `[${'{},'.repeat(12_000)}{}]`, true],
  ['numbers', `[${'1,'.repeat(12_000)}1]`, true],
  ['names', `{${'"a":1,'.repeat(12_000)}"b":2}`, true],
  ['nested lists', '['.repeat(12_000), true],
  ['fewer numbers', `[${'10,'.repeat(9_000)}1]`, false],
  ['commas in a text', `{"prompt":"${',{['.repeat(20_000)}"}`, false],
  ['commas in a text with quotes', `{"prompt":"${String.raw`\",`.repeat(20_000)}"}`, false],
  ['commas in a text that ends in backslashes', `{"prompt":"${','.repeat(20_000)}\\\\\\\\"}`, false],
  ['values after such a text', `["${','.repeat(20_000)}\\\\",${'1,'.repeat(12_000)}1]`, true],
  ['an unterminated text', `["${',['.repeat(20_000)}`, false],
])('%s', (_name, text, expected) => {
  expect(tooMany(text)).toBe(expected);
});

test('a long run of backslashes takes linear time', () => {
  const text = Buffer.from(`["${'\\'.repeat(4_000_000)}"]`);
  const before = process.threadCpuUsage().user;
  hasTooManyValues(text);
  expect(process.threadCpuUsage().user - before).toBeLessThan(1_000_000);
});

test('small enough JSON is never rejected and is parsed like JSON.parse', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), (json) => {
      const padded = `[${json},${JSON.stringify('x,'.repeat(12_000))}]`;
      expect(tooMany(padded)).toBe(false);
      expect(parseJson(Buffer.from(padded))).toEqual(JSON.parse(padded));
    }),
  );
});

test('refuses a message with too many values, in JSON and in protobuf', () => {
  expect(() => parseJson(Buffer.from(`[${'{},'.repeat(20_000)}{}]`))).toThrow(
    expect.objectContaining({ code: 'refusal.invalid_payload', details: 'JSON must have at most 10000 values' }),
  );
  const reviewThreads = Array.from({ length: 20_000 }, () => ({}));
  const task = create(CodexTaskSchema, { reviewContext: create(CodexReviewContextSchema, { reviewThreads }) });
  expect(() => decodeMessage(CodexTaskSchema, { format: 'protobuf', bytes: toBinary(CodexTaskSchema, task) })).toThrow(
    expect.objectContaining({ code: 'refusal.invalid_payload' }),
  );
});
