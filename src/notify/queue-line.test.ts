import { describe, expect, test } from 'vitest';
import { aMessage } from '../../test/support/notify.ts';
import { hasMoved, queueLine, queueLookMs } from './queue-line.ts';

const at = (ahead: number, active = 0, heldUp = '') => ({ queue: { ahead, active, heldUp } });

describe('the line of a waiting run', () => {
  test.each([
    [0, 'Next in the queue.'],
    [1, '2nd in the queue.'],
    [2, '3rd in the queue.'],
    [3, '4th in the queue.'],
    [10, '11th in the queue.'],
    [20, '21st in the queue.'],
    [99, '100th in the queue.'],
    [100, '101st in the queue.'],
    [101, 'In the queue behind more than 100 other runs.'],
  ])('with %i ahead', (ahead, text) => {
    expect(queueLine(at(ahead), undefined)).toBe(text);
  });

  test('gives the reason, if known', () => {
    expect(queueLine(at(2, 5), 5)).toBe('3rd in the queue. At most 5 workflows may run at a time.');
    expect(queueLine(at(2, 3, 'no answer'), 5)).toBe('3rd in the queue. Earlier runs cannot be submitted: `no answer`');
    expect(queueLine(at(2, 3), 5)).toBe('3rd in the queue.');
    // Without a limit, no run waits for earlier ones.
    expect(queueLine(at(2, 0, 'no answer'), undefined)).toBe('3rd in the queue.');
  });

  test('is empty for a run that does not wait', () => {
    expect(queueLine({ queue: null }, 5)).toBe('');
  });
});

test.each([
  ['a different place', {}, '2nd in the queue.', true],
  ['the same place', {}, 'Next in the queue.', false],
  ['no longer a place', {}, '', false],
  ['a change of the run, which has its own interval', { revision: 2 }, '2nd in the queue.', false],
])('whether the message is edited just for its place: %s', (_what, run, line, edited) => {
  expect(hasMoved(aMessage({ toldRevision: 1, toldQueue: 'Next in the queue.' }, run), line)).toBe(edited);
});

test.each([
  ['is not in the queue', aMessage(), 0, undefined],
  ['has just arrived', aMessage({ inLine: true }), 0, 2000],
  ['is next', aMessage({ inLine: true }, at(0)), 0, 15_000],
  ['has some ahead', aMessage({ inLine: true }, at(7)), 0, 70_000],
  ['has many ahead', aMessage({ inLine: true }, at(101)), 0, 300_000],
  ['has waited for hours', aMessage({ inLine: true }, at(0)), 2 * 60 * 60_000, 300_000],
])('when to look again at a run that %s', (_what, message, ageMs, lookMs) => {
  expect(queueLookMs(message, ageMs)).toBe(lookMs);
});
