import { expect, test } from 'vitest';
import * as z from 'zod';
import { faultMessage } from './fault-message.ts';

const SCHEMA = z.object({
  text: z.string().min(1).max(3),
  short: z.string().min(2),
  count: z.int().min(1).max(9),
  size: z.number(),
  yes: z.boolean(),
  list: z.array(z.string()).max(1),
  map: z.record(z.string(), z.string()),
  id: z.uuid(),
  at: z.iso.datetime(),
  state: z.enum(['a', 'b']),
  own: z.string().regex(/^x$/, { error: 'must be x' }),
  other: z.string().regex(/^x$/),
});

test.each([
  ['text', undefined, 'is required'],
  ['text', 1, 'must be a string'],
  ['text', '', 'must not be empty'],
  ['text', 'abcd', 'must have at most 3 characters'],
  ['short', 'a', 'must have at least 2 characters'],
  ['count', 1.5, 'must be an integer'],
  ['count', 10, 'must be at most 9'],
  ['count', 0, 'must be at least 1'],
  ['size', 'x', 'must be a number'],
  ['yes', 'x', 'must be true or false'],
  ['list', 'x', 'must be a list'],
  ['list', ['a', 'b'], 'must have at most 1 items'],
  ['map', 'x', 'must be an object'],
  ['id', 'x', 'must be a UUID'],
  ['at', 'x', 'must be an RFC 3339 time'],
  ['state', 'x', 'must be one of a, b'],
  ['own', 'y', 'must be x'],
  ['other', 'y', 'has an invalid format'],
])('%s: %j %s', (name, value, message) => {
  const { error } = SCHEMA.safeParse({ [name]: value });
  const issue = error?.issues.find(({ path }) => path[0] === name);
  expect(issue && faultMessage(issue)).toBe(message);
});
