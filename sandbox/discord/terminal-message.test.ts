import { expect, test } from 'vitest';
import fc from 'fast-check';
import { columnsOf } from '../../src/base/text-columns.ts';
import { changedLines, frameMessage } from './terminal-message.ts';

const READER = { now: new Date('2026-11-29T12:00:00Z'), nameOf: (id: string) => (id === '7' ? 'Ada' : 'team') };
const MESSAGE = {
  content: [
    '▶️ **Running** · `/plan Ship it` · started <t:1795953480:R> · for <@7>',
    '<@&8> [a new run](https://discord.com/channels/1/2/3)',
    '```',
    'step-2: exit code 1',
    '```',
    '-# `plan-1` in `argo`',
  ].join('\n'),
  components: [
    {
      type: 1,
      components: [
        { type: 2, style: 4, label: 'Canceling…', custom_id: 'a', disabled: true },
        { type: 2, style: 2, label: 'Logs', custom_id: 'b' },
        { type: 2, style: 5, label: 'Open in Argo', url: 'https://argo.example.com' },
      ],
    },
  ],
  answers: 'Ada used /plan',
  ephemeral: true,
};

test('prints a message without colours', () => {
  expect(frameMessage(MESSAGE, { ...READER, colour: false })).toBe(
    `
  ╭─ Ada used /plan · facteur  APP  ──────────────────────────────────────────
  │ ▶️ Running · /plan Ship it · started 2 minutes ago · for @Ada
  │ @team a new run
  │ step-2: exit code 1
  │ plan-1 in argo
  │ Only you can see this
  │ ( Canceling… )  [ Logs ]  [ Open in Argo ↗ ]
  ╰───────────────────────────────────────────────────────────────────────────`.slice(1),
  );
});

test('prints the same message in colours', () => {
  const shown = frameMessage(MESSAGE, { ...READER, colour: true });
  expect(shown).toContain('\u001b[1mRunning\u001b[0m');
  expect(shown).toContain('\u001b[97;100m Logs \u001b[0m');
  expect(shown.replaceAll(/\u001b\[[\d;]*m/g, '')).toContain('started 2 minutes ago · for @Ada');
});

test('prints changed lines without a frame', () => {
  expect(changedLines('▰▰▱ 2/3 · `build`', { ...READER, colour: false })).toBe('  ┊ ▰▰▱ 2/3 · build');
});

test('any message fits into 80 columns', () => {
  const words = fc.array(
    fc.oneof(fc.string({ unit: 'grapheme', maxLength: 200 }), fc.constantFrom('**', '`', '-# ', '\n')),
  );
  fc.assert(
    fc.property(words, fc.boolean(), (parts, colour) => {
      const shown = frameMessage({ ...MESSAGE, content: parts.join(' ') }, { ...READER, colour });
      const lines = shown.replaceAll(/\u001b\[[\d;]*m/g, '').split('\n');
      return lines.every((line) => columnsOf(line) <= 80);
    }),
  );
});
