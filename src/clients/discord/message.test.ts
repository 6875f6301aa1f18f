import { expect, test } from 'vitest';
import { shows, type MessageBody, type SentMessage } from './message.ts';

const button = (label: string, disabled?: boolean) =>
  ({
    type: 2,
    style: 4,
    custom_id: 'facteur:cancel:1',
    label,
    ...(disabled === undefined ? {} : { disabled }),
  }) as const;
const body = (content: string, ...buttons: ReturnType<typeof button>[]): MessageBody => ({
  content,
  components: buttons.length === 0 ? [] : [{ type: 1, components: buttons }],
  allowed_mentions: { parse: [] },
});
const sent = (message: Partial<MessageBody>): SentMessage => ({ id: '1', channel_id: '2', ...message });

test.each<[string, Partial<MessageBody>, MessageBody, boolean]>([
  ['the same', body('a', button('Cancel')), body('a', button('Cancel')), true],
  ['what Discord trims and fills in', body('a', button('Cancel', false)), body(' a\n', button('Cancel')), true],
  ['another text', body('a'), body('b'), false],
  ['other buttons', body('a', button('Cancel')), body('a', button('Canceling…', true)), false],
  ['no buttons', body('a', button('Cancel')), body('a'), false],
  ['an answer without a text', {}, body('a'), false],
])('whether a sent message shows the wanted one: %s', (_, message, wanted, expected) => {
  expect(shows(sent(message), wanted)).toBe(expected);
});
