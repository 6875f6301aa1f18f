import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { aMessage } from '../../test/support/notify.ts';
import type { ShownApproval } from '../ledger/messages.ts';
import { isLastWord, lastWordInMs, progressIntervalMs, whatIsDue } from './pace.ts';
import { shownState } from './render-approvals.ts';

const MINUTE = 60_000;
const CREATED = aMessage().createdAt.getTime();
const at = (ms: number) => new Date(CREATED + ms);

test('progress is sent at most every 2 seconds, and less often as the message ages', () => {
  expect([0, 2 * MINUTE, 20 * MINUTE, 61 * MINUTE].map(progressIntervalMs)).toEqual([2000, 5000, 15_000, 300_000]);
  fc.assert(
    fc.property(fc.nat(1e9), fc.nat(1e9), (age, more) => {
      expect(progressIntervalMs(age)).toBeGreaterThanOrEqual(2000);
      expect(progressIntervalMs(age + more)).toBeGreaterThanOrEqual(progressIntervalMs(age));
    }),
  );
});

describe('what is due', () => {
  const running = { state: 'running', revision: 5 } as const;

  test('a run without an update, or in a different state, is sent now', () => {
    expect(whatIsDue(aMessage({}, running), CREATED)).toBe('tell');
    const told = { toldRevision: 4, toldState: 'submitted', toldAt: at(0) } as const;
    expect(whatIsDue(aMessage(told, running), CREATED + 1)).toBe('tell');
  });

  test('progress waits for its interval', () => {
    const told = { toldRevision: 4, toldState: 'running', toldAt: at(2 * MINUTE) } as const;
    expect(whatIsDue(aMessage(told, running), CREATED + 2 * MINUTE + 1000)).toEqual({ laterMs: 4000 });
    expect(whatIsDue(aMessage(told, running), CREATED + 2 * MINUTE + 5000)).toBe('tell');
  });

  test('a clock that was set back does not delay it longer', () => {
    const told = { toldRevision: 4, toldState: 'running', toldAt: at(60 * MINUTE) } as const;
    expect(whatIsDue(aMessage(told, running), CREATED)).toEqual({ laterMs: 2000 });
  });

  test('a sent revision is not sent again, unless it may have been overwritten', () => {
    const told = { toldRevision: 5, toldState: 'running', toldAt: at(0) } as const;
    expect(whatIsDue(aMessage(told, running), CREATED + 1000)).toBe('nothing');
    expect(whatIsDue(aMessage({ ...told, toldRevision: 0 }, running), CREATED + 1000)).toBe('tell');
  });
});

describe('the last update of an ephemeral message', () => {
  const told = { ephemeral: true, toldRevision: 5, toldState: 'running', toldAt: at(MINUTE) } as const;
  const live = aMessage(told, { state: 'running', revision: 5 });

  test('is sent once, a minute before the token expires', () => {
    expect(lastWordInMs(live, MINUTE)).toBe(13 * MINUTE);
    expect(whatIsDue(live, CREATED + 13 * MINUTE)).toBe('nothing');
    expect(whatIsDue(live, CREATED + 14 * MINUTE)).toBe('tell');
    expect(isLastWord(live, 14 * MINUTE)).toBe(true);
    expect(
      whatIsDue(
        aMessage({ ...told, toldAt: at(14 * MINUTE) }, { state: 'running', revision: 5 }),
        CREATED + 14.5 * MINUTE,
      ),
    ).toBe('nothing');
  });

  test('is not needed for a public message, or after the run has ended', () => {
    expect(
      lastWordInMs(aMessage({ ...told, ephemeral: false }, { state: 'running', revision: 5 }), MINUTE),
    ).toBeUndefined();
    const over = aMessage(told, { state: 'succeeded', revision: 6 });
    expect(lastWordInMs(over, MINUTE)).toBeUndefined();
    expect(isLastWord(over, 14 * MINUTE)).toBe(false);
  });
});

test('a quiet message shows state changes, but no progress', () => {
  const running = aMessage(
    { quiet: true, toldRevision: 3, toldState: 'running', toldAt: new Date('2026-11-21T12:00:10Z') },
    { state: 'running', revision: 4 },
  );
  const nowMs = Date.parse('2026-11-21T12:05:00Z');
  expect(whatIsDue(running, nowMs)).toBe('nothing');
  expect(whatIsDue({ ...running, quiet: false }, nowMs)).toBe('tell');
  expect(whatIsDue({ ...running, state: 'failed' }, nowMs)).toBe('tell');
});

test('the start and the end of an approval are state changes', () => {
  const approval = { key: 'a'.repeat(16), kind: 'node', state: 'waiting' } as ShownApproval;
  const told = { quiet: true, toldRevision: 3, toldState: 'running', toldAt: new Date(CREATED) };
  const asking = aMessage(told, { state: 'running', revision: 4, approvals: [approval] });
  const nowMs = CREATED + 90 * MINUTE;
  expect(whatIsDue(asking, nowMs)).toBe('tell');
  const shown = { ...asking, toldRevision: 4, toldState: shownState(asking) };
  expect(whatIsDue({ ...shown, revision: 5 }, nowMs)).toBe('nothing');
  const two = [approval, { ...approval, key: 'b'.repeat(16) }];
  expect(whatIsDue({ ...shown, revision: 5, approvals: two }, nowMs)).toBe('tell');
  expect(whatIsDue({ ...shown, revision: 5, approvals: [{ ...approval, state: 'deciding' }] }, nowMs)).toBe('tell');
});
