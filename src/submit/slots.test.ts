import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { Slots, type Slot } from './slots.ts';

test('gives out as many places as there are, and takes them back', () => {
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

test('a place that is given back twice is one place', () => {
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

test('whoever had to go without is told when half of the places are free', () => {
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

test('taking in vain counts as wanting', () => {
  const told = vi.fn();
  const slots = new Slots(1, told, () => 0);
  const slot = slots.take();
  slots.take();
  slot?.release();
  expect(told).toHaveBeenCalledTimes(1);
});

test('whatever is taken and given back, there are never more out than places, and never fewer free than that', () => {
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
