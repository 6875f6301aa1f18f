import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { Slots, type Slot } from './slots.ts';

test('gives out all slots, and takes them back', () => {
  const slots = new Slots(
    2,
    () => undefined,
    () => 0,
  );
  const [one, two] = [slots.take(), slots.take()];
  expect([one, two]).not.toContain(undefined);
  expect(slots.take()).toBeUndefined();
  expect(slots.free).toBe(0);
  one?.release();
  expect(slots.free).toBe(1);
  expect(slots.take()).toBeDefined();
});

test('release is idempotent', () => {
  const slots = new Slots(
    2,
    () => undefined,
    () => 0,
  );
  const slot = slots.take();
  slots.take();
  slot?.release();
  slot?.release();
  expect(slots.free).toBe(1);
});

test('notifies once when half of the slots are free, if a slot is wanted', () => {
  const told = vi.fn();
  const slots = new Slots(4, told, () => 0);
  const taken = Array.from({ length: 4 }, () => slots.take());
  taken[0]?.release();
  taken[1]?.release();
  expect(told).not.toHaveBeenCalled();
  slots.want();
  taken[2]?.release();
  expect(told).toHaveBeenCalledTimes(1);
  taken[3]?.release();
  expect(told).toHaveBeenCalledTimes(1);
});

test('a take without a free slot counts as wanted', () => {
  const told = vi.fn();
  const slots = new Slots(1, told, () => 0);
  const slot = slots.take();
  slots.take();
  slot?.release();
  expect(told).toHaveBeenCalledTimes(1);
});

test('for any takes and releases, the free slots are those that are not taken', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.integer({ min: -1, max: 9 }), { maxLength: 60 }),
      (size, steps) => {
        const slots = new Slots(
          size,
          () => undefined,
          () => 0,
        );
        const out: Slot[] = [];
        for (const step of steps) {
          const slot = step < 0 ? slots.take() : undefined;
          if (slot !== undefined) {
            out.push(slot);
          } else if (step >= 0) {
            out.splice(step, 1).forEach((returned) => returned.release());
          }
          expect(slots.free).toBe(size - out.length);
          expect(slots.free).toBeGreaterThanOrEqual(0);
        }
      },
    ),
  );
});
