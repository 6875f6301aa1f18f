import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buttonId, BUTTON_ACTIONS, parseButtonId } from '../presentation/button-id.ts';
import { describeDuration } from '../presentation/duration.ts';
import { progressBar } from './render.ts';
import { codeBlock, copyBlock, inlineCode } from '../presentation/safe-text.ts';

test.each([
  [-5000, 'under 1 s'],
  [999, 'under 1 s'],
  [1000, '1 s'],
  [60_000, '1 min'],
  [252_000, '4 min 12 s'],
  [3_600_000, '1 h'],
  [3_661_000, '1 h 1 min'],
  [3_605_000, '1 h'],
  [183_600_000, '2 d 3 h'],
])('%i ms is «%s»', (ms, text) => {
  expect(describeDuration(ms)).toBe(text);
});

test.each([
  ['0/4', '▱▱▱▱▱▱▱▱▱▱ 0/4'],
  ['1/4', '▰▰▰▱▱▱▱▱▱▱ 1/4'],
  ['999/1000', '▰▰▰▰▰▰▰▰▰▱ 999/1000'],
  ['4/4', '▰▰▰▰▰▰▰▰▰▰ 4/4'],
  ['5/4', '▰▰▰▰▰▰▰▰▰▰ 4/4'],
  ['0/0', ''],
  ['', ''],
  ['-1/4', ''],
  ['1/4 @everyone', ''],
  ['12345678901/12345678902', ''],
])('progress %s', (progress, bar) => {
  expect(progressBar(progress)).toBe(bar);
});

describe('safe text', () => {
  test('is truncated between characters', () => {
    expect(inlineCode('abcdef', 4)).toBe('`abc…`');
    expect(inlineCode('ab😀def', 4)).toBe('`ab…`');
    expect(inlineCode(' \n ', 9)).toBe('`–`');
  });

  test('keeps the lines of a block, up to a limit', () => {
    expect(codeBlock('a\r\nb\nc\nd', { chars: 100, lines: 3 })).toBe('```\na\nb\nc\n…\n```');
    expect(codeBlock(' \n ', { chars: 100, lines: 3 })).toBe('');
  });
});

test('a copy block keeps the text as typed, and the text cannot end the block', () => {
  const typed = 'Run `npm test`:\n\t\u{1f469}\u200d\u{1f4bb}\n```ts\nx\n```';
  const block = copyBlock(typed, 100);
  expect(block.replaceAll('``\u200b`', '```')).toBe(`\`\`\`\n${typed}\n\`\`\``);
  expect(block.match(/```/g)).toHaveLength(2);
  expect(copyBlock('`'.repeat(200), 100).match(/```/g)).toHaveLength(2);
  expect(copyBlock('`'.repeat(200), 100).length).toBeLessThanOrEqual(108);
  expect(copyBlock(' \n ', 9)).toBe('');
});

describe('button ids', () => {
  test('parse back to their action and run', () => {
    fc.assert(
      fc.property(fc.constantFrom(...BUTTON_ACTIONS), fc.uuid(), (action, runId) => {
        expect(parseButtonId(buttonId(action, runId))).toEqual({ action, runId });
      }),
    );
  });

  test.each([
    '',
    'facteur',
    'facteur:delete:0b5e7d3c-1f2a-4b6c-8d9e-0f1a2b3c4d5e',
    'facteur:cancel:1',
    'facteur:cancel:0B5E7D3C-1F2A-4B6C-8D9E-0F1A2B3C4D5E',
    'xfacteur:cancel:0b5e7d3c-1f2a-4b6c-8d9e-0f1a2b3c4d5e\n',
  ])('of other programs are ignored: %j', (customId) => {
    expect(parseButtonId(customId)).toBeUndefined();
  });
});
