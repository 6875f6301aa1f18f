import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ApiFailure } from './api-failure.ts';
import { matches, parseSelector } from './selector.ts';

const labels = { app: 'web', tier: 'front', 'example.com/team': 'a' };

describe('label selectors', () => {
  test.each([
    ['', true],
    ['app=web', true],
    ['app==web', true],
    ['app = web', true],
    ['app=api', false],
    ['app!=api', true],
    ['app!=web', false],
    ['absent!=x', true],
    ['app in (web, api)', true],
    ['app in (api)', false],
    ['app notin (api,db)', true],
    ['app notin (web)', false],
    ['absent notin (x)', true],
    ['absent in (x)', false],
    ['app', true],
    ['absent', false],
    ['!absent', true],
    ['!app', false],
    ['example.com/team=a', true],
    ['app=web,tier in (front,back),!absent', true],
    ['app=web,tier=back', false],
    ['absent=', false],
  ])('%s', (selector, expected) => {
    expect(matches(parseSelector(selector), labels)).toBe(expected);
  });

  test.each(['app=we b', 'a b', '=x', 'app in web', 'app in (x', '-app=x', `app=${'x'.repeat(64)}`, 'a/b/c=x'])(
    'refuses %s',
    (selector) => {
      expect(() => parseSelector(selector)).toThrow(ApiFailure);
    },
  );

  test('a label named like a property of Object.prototype is an ordinary label', () => {
    expect(matches(parseSelector('constructor'), {})).toBe(false);
    expect(matches(parseSelector('!constructor'), {})).toBe(true);
  });

  test('`in` and `notin` are complements, and equality is `in` with one value', () => {
    const word = fc.constantFrom('a', 'b', 'c', 'd');
    const labelSet = fc.dictionary(word, word);
    fc.assert(
      fc.property(labelSet, word, fc.array(word, { minLength: 1 }), (object, key, values) => {
        const list = values.join(',');
        const inside = matches(parseSelector(`${key} in (${list})`), object);
        expect(matches(parseSelector(`${key} notin (${list})`), object)).toBe(!inside);
        expect(inside).toBe(values.some((value) => matches(parseSelector(`${key}=${value}`), object)));
      }),
    );
  });
});
