import type { MessageBody } from '../clients/discord/message.ts';
import type { Approvers } from '../domain/approval-rules.ts';
import type { ClaimedAsk } from '../ledger/approval-asks.ts';
import { inlineCode } from '../presentation/safe-text.ts';
import { APPROVAL_WORDS, WORDS } from '../presentation/words.ts';
import { decisionButtons, decisionLine } from './render-approvals.ts';

const MAX_NODE = 100;
const MAX_COMMAND = 64;
/** Even if everything else has its maximum length, the total stays below Discord's 2000 characters. */
const MAX_MESSAGE = 600;
/** Discord allows 100 of each, but a question to that many people is a question to nobody. */
const MAX_PINGED = 20;

/** The message that asks for an approval. While the approval is open, it pings the approvers and nobody else. */
export function renderAsk(ask: ClaimedAsk, approvers: Approvers): MessageBody {
  if (ask.state !== 'waiting') {
    return { content: decisionLine(ask), components: [], allowed_mentions: { parse: [] } };
  }
  const roles = approvers.roles.filter(isId).slice(0, MAX_PINGED);
  const users = approvers.users.filter(isId).slice(0, MAX_PINGED);
  const { node, command, rules, userId, expiresAt } = ask;
  const question = [
    APPROVAL_WORDS.waits(inlineCode(node, MAX_NODE)),
    inlineCode(`/${command}`, MAX_COMMAND),
    isId(userId) ? WORDS.askedBy(`<@${userId}>`) : '',
    expiresAt === null ? '' : APPROVAL_WORDS.until(`<t:${Math.floor(expiresAt.getTime() / 1000)}:R>`),
    rules.quorum > 1 ? APPROVAL_WORDS.votes(0, rules.quorum, '') : '',
    rules.problem === '' ? '' : APPROVAL_WORDS.invalid,
  ];
  const lines = [
    [...roles.map((id) => `<@&${id}>`), ...users.map((id) => `<@${id}>`)].join(' '),
    question.filter((part) => part !== '').join(' · '),
    rules.message === '' ? '' : inlineCode(rules.message, MAX_MESSAGE),
  ];
  return {
    content: lines.filter((line) => line !== '').join('\n'),
    components: rules.problem === '' ? [decisionButtons(ask.runId, ask.key, '')] : [],
    allowed_mentions: { parse: [], roles, users },
  };
}

function isId(text: string): boolean {
  return /^\d{1,20}$/.test(text);
}
