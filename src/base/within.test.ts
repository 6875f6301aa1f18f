import { describe, expect, test } from 'vitest';
import { TurnableTimer } from '../../test/support/turnable-timer.ts';
import { systemTimer } from './timer.ts';
import { within } from './within.ts';

describe('within', () => {
  test('returns a result that is in time, and passes on a failure', async () => {
    const timer = new TurnableTimer();
    expect(await within(timer, 5000, async () => 7)).toEqual({ inTime: true, value: 7 });
    const failure = within(timer, 5000, () => Promise.reject(new Error('broken')));
    await expect(failure).rejects.toThrow('broken');
    const throws = (): never => {
      throw new Error('at once');
    };
    await expect(within(timer, 5000, throws)).rejects.toThrow('at once');
    expect(timer.due).toBe(0);
  });

  test('reports a timeout, aborts the signal of the work, and ignores a later failure', async () => {
    const timer = new TurnableTimer();
    const { promise, reject } = Promise.withResolvers<number>();
    let told: AbortSignal | undefined;
    const waiting = within(timer, 5000, (signal) => {
      told = signal;
      return promise;
    });
    timer.advance(4999);
    expect(told?.aborted).toBe(false);
    timer.advance(1);
    expect(await waiting).toEqual({ inTime: false });
    expect(told?.reason).toMatchObject({ name: 'TimeoutError' });
    reject(new Error('much later'));
    await new Promise((resolve) => setImmediate(resolve));
  });

  test('an answer that arrived while the event loop was blocked is in time', async () => {
    const { port1, port2 } = new MessageChannel();
    const answer = new Promise((resolve) => port1.addEventListener('message', resolve, { once: true }));
    port1.start();
    const waiting = within(systemTimer, 20, () => answer);
    // The value and the limit are both due when the event loop continues.
    port2.postMessage('the answer');
    const until = performance.now() + 60;
    while (performance.now() < until) {
      // Block the event loop.
    }
    expect(await waiting).toMatchObject({ inTime: true });
    port1.close();
  });
});
