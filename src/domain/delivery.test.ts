import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deliveryKey, plainDeliveryId, sharedDeliveryId, type DeliveryFamily } from './delivery.ts';

const given: readonly DeliveryFamily[] = ['codex', 'command', 'discord', 'api'];
const prefix = fc.constantFrom(
  '',
  'codex:',
  'command:',
  'discord:',
  'api:',
  'retry:',
  'kafka:',
  'feedback:',
  'dead-letter:',
  'command:codex:',
);
const outside = fc.record({
  family: fc.constantFrom(...given),
  id: fc.tuple(prefix, fc.string({ maxLength: 4 })).map((parts) => parts.join('')),
});
const derived = fc.record({
  family: fc.constant<DeliveryFamily>('derived'),
  id: fc
    .tuple(fc.constantFrom('retry:', 'kafka:', 'dead-letter:', 'feedback:'), fc.string({ maxLength: 4 }))
    .map((p) => p.join('')),
});
const delivery = fc.oneof(outside, derived);
type Delivery = { readonly family: DeliveryFamily; readonly id: string };
const isSame = (one: Delivery, two: Delivery): boolean => one.family === two.family && one.id === two.id;

test('two deliveries never have the same key, or the same id in the shared table', () => {
  fc.assert(
    fc.property(delivery, delivery, (one, two) => {
      fc.pre(!isSame(one, two));
      expect(deliveryKey(one.family, one.id)).not.toBe(deliveryKey(two.family, two.id));
      expect(sharedDeliveryId(one.family, one.id)).not.toBe(sharedDeliveryId(two.family, two.id));
    }),
    { numRuns: 5_000 },
  );
});

test('a plain id is never the key of another delivery', () => {
  fc.assert(
    fc.property(delivery, delivery, (one, two) => {
      fc.pre(!isSame(one, two));
      expect(plainDeliveryId(one.family, one.id)).not.toBe(deliveryKey(two.family, two.id));
    }),
    { numRuns: 5_000 },
  );
});

test.each([
  ['codex', 'gh-1', { key: 'codex:gh-1', plain: 'gh-1', shared: 'gh-1' }],
  ['command', 'gh-1', { key: 'command:gh-1', plain: 'gh-1', shared: 'command:gh-1' }],
  ['discord', '123', { key: 'discord:123', plain: '123', shared: 'discord:123' }],
  ['derived', 'retry:1', { key: 'retry:1', plain: 'retry:1', shared: 'retry:1' }],
  ['api', '1', { key: 'api:1', plain: '1', shared: 'api:1' }],
  ['command', 'api:1', { key: 'command:api:1', plain: 'command:api:1', shared: 'command:api:1' }],
  ['command', 'retry:1', { key: 'command:retry:1', plain: 'command:retry:1', shared: 'command:retry:1' }],
  ['codex', 'command:1', { key: 'codex:command:1', plain: 'codex:command:1', shared: 'codex:command:1' }],
] as const)('%s %s', (family, id, expected) => {
  expect({
    key: deliveryKey(family, id),
    plain: plainDeliveryId(family, id),
    shared: sharedDeliveryId(family, id),
  }).toEqual(expected);
});
