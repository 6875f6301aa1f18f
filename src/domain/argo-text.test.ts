import { assert, constantFrom, array, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { argoFault, argoText } from './argo-text.ts';

const TAG = 'template_tag';

describe('text that Argo cannot take', () => {
  test.each([
    ['{{workflow.name}}', TAG, 'must not contain "{{"'],
    ['a {{{ b', TAG, 'must not contain "{{"'],
    ['{', TAG, 'must not end in "{"'],
    ['if (x) {', TAG, 'must not end in "{"'],
    ['{=toJson(workflow)}}', TAG, 'must not begin with half a template tag, such as "{="'],
    ['{=', TAG, 'must not begin with half a template tag, such as "{="'],
    ['{workflow.name}}', TAG, 'must not begin with half a template tag, such as "{="'],
    ['{ inputs.parameters.x }} and more', TAG, 'must not begin with half a template tag, such as "{="'],
    ['bell\u0007', 'unprintable', 'must not contain U+0007, a character that Argo cannot read'],
    ['\u000b', 'unprintable', 'must not contain U+000B, a character that Argo cannot read'],
    ['\u007f', 'unprintable', 'must not contain U+007F, a character that Argo cannot read'],
    ['tired \u{1fae9}', 'unprintable', 'must not contain U+1FAE9, a character that Argo cannot read'],
    ['private \u{f0000}', 'unprintable', 'must not contain U+F0000, a character that Argo cannot read'],
    ['🏴\u{e0067}\u{e0062}', 'unprintable', 'must not contain U+E0067, a character that Argo cannot read'],
  ] as const)('%j', (value, kind, message) => {
    expect(argoFault(value)).toEqual({ kind, message });
    expect(argoFault(argoText(value))).toBeUndefined();
  });

  test.each([
    ...['', 'plain', '\b\f\n\r\t', '\u0085\u00a0\u200b\u2028\u202e\ue000\ufeff\uffff\ufdd0', '👩‍🚀 🇩🇪 🛜', '} }} {a} {x'],
    ...['{"user":{"id":"1"}}', '{}', '{ "a": {"b": 1}}', '[{"a":{}}]', '{\n  "a": {"b": {}}\n}', 'x{=', 'a {b}}'],
  ])('%j is left unchanged', (value) => {
    expect(argoFault(value)).toBeUndefined();
    expect(argoText(value)).toBe(value);
  });
});

test.each([
  ['{{workflow.name}} {{{x', '{ {workflow.name}} { { {x'],
  ['ends in {', 'ends in { '],
  ['{=now()}}', ' {=now()}}'],
  ['{workflow.name}}', ' {workflow.name}}'],
  ['{{', '{ { '],
  ['\u{1fae9}\u0000a\u{10ffff}', '\ufffd\ufffda\ufffd'],
])('%j becomes %j', (value, made) => {
  expect(argoText(value)).toBe(made);
});

test('two values that were made safe for Argo make no tag side by side', () => {
  const values = array(constantFrom('{', '{{', '}', '}}', '=', 'a', '"', ' ', '\n', '\u0001'), { maxLength: 8 });
  const hasTag = (text: string): boolean => /\{\{(?:=|[^{}"\n]*\}\})/.test(text);
  assert(
    property(values, values, (first, second) => {
      const made = [first, second].map((parts) => argoText(parts.join('')));
      return made.every((text) => argoFault(text) === undefined) && !hasTag(made.join('')) && !hasTag(`{${made[1]}`);
    }),
  );
});
