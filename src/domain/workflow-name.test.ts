import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deliveryLabel, labelValue, workflowName } from './workflow-name.ts';

const at = new Date('2026-11-21T09:08:07.999Z');

describe('workflowName', () => {
  test('has the prefix, the time in UTC, and six characters from the delivery id', () => {
    expect(workflowName('github-codex-implementation-', at, 'd-1')).toMatch(
      /^github-codex-implementation-20261121-090807-[a-z0-9]{6}$/,
    );
  });

  test('is the same for the same delivery, and different for another delivery or salt', () => {
    const names = [workflowName('plan', at, 'a'), workflowName('plan', at, 'b'), workflowName('plan', at, 'a', 1)];
    expect(workflowName('plan', at, 'a')).toBe(names[0]);
    expect(new Set(names).size).toBe(3);
  });

  test('is a DNS label of at most 63 characters for any prefix and id', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary', maxLength: 600 }), (prefix, id) => {
        const name = workflowName(prefix, at, id);
        return name.length <= 63 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name);
      }),
    );
  });
});

test('a label value is always valid in Kubernetes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const value = labelValue(text);
      return value.length <= 63 && (value === '' || /^[A-Za-z0-9]([-\w.]*[A-Za-z0-9])?$/.test(value));
    }),
  );
  expect(labelValue(`${'a'.repeat(62)}-b`)).toBe('a'.repeat(62));
});

test('the delivery label is the first 32 hex digits of the sha256', () => {
  expect(deliveryLabel('abc')).toBe('ba7816bf8f01cfea414140de5dae2223');
});
