import type { ReviewOutcome } from '../../dispatch/review.ts';
import { visibleText } from '../../knowledge/compose.ts';
import type { ReviewedReflection } from '../../ledger/reviewed-reflections.ts';
import { decisionButtonId, reviewButtonId, type ReviewButton } from '../../presentation/button-id.ts';
import { actorText } from '../../presentation/discord-actor.ts';
import { codeBlock, inlineCode } from '../../presentation/safe-text.ts';
import { REVIEW_WORDS, STATE_WORDS } from '../../presentation/words.ts';
import { EMBED_TEXT, replacement, whisper, type MessageExtras, type Reply } from './reply.ts';
import { rolesText, SAY } from './wording.ts';

const MAX_NAME = 100;
const MAX_TYPE = 64;
const MAX_REPOSITORY = 140;
const DETAILS = { chars: 900, lines: 20 };
const ROW = 1;
const BUTTON = 2;
const GREY = 2;
const GREEN = 3;
const RED = 4;

/**
 * The response to a press on a button for reviewing reflections. Only the person who pressed sees it; a decision replaces the
 * reflection's text and buttons.
 */
export function reviewAnswer(outcome: ReviewOutcome, { action }: Pick<ReviewButton, 'action'>): Reply {
  const answer = action === 'review' ? whisper : replacement;
  switch (outcome.kind) {
    case 'unknown':
      return whisper(SAY.oldButton);
    case 'forbidden':
      return whisper(`You may not review what runs learned: it requires ${rolesText(outcome.roles)}.`);
    case 'shown': {
      const { reflection, changed } = outcome;
      const head = headOf(reflection);
      return answer(changed ? `${REVIEW_WORDS.changed}\n${head}` : head, textOf(reflection));
    }
    case 'blocked':
      return whisper(`${REVIEW_WORDS.blocked}\n${codeBlock(outcome.why, DETAILS)}`);
    case 'decided':
      return answer(decidedText(outcome.reflection), nextOf(outcome.reflection));
    case 'over':
      return answer(overText(outcome.reflection), nextOf(outcome.reflection));
  }
}

function headOf({ command, runState, repository, type, content, reflectionId, waiting }: ReviewedReflection): string {
  const where = repository === '' ? '' : ` for ${inlineCode(repository, MAX_REPOSITORY)}`;
  const { icon, title } = STATE_WORDS[runState];
  const run = `${icon} ${title} · ${inlineCode(`/${command}`, MAX_NAME)}${where} · ${inlineCode(type, MAX_TYPE)}`;
  const lines = [run, REVIEW_WORDS.data, waiting > 1 ? REVIEW_WORDS.several(waiting) : ''];
  return [...lines, isShownWhole(content) ? '' : REVIEW_WORDS.notWhole(reflectionId)]
    .filter((line) => line !== '')
    .join('\n');
}

/** The text as a code block, which cannot format, link or mention, and its buttons. */
function textOf(reflection: ReviewedReflection): MessageExtras {
  const trusting = isShownWhole(reflection.content)
    ? [
        {
          type: BUTTON,
          style: GREEN,
          label: REVIEW_WORDS.trustButton,
          custom_id: decisionButtonId('trust', reflection),
        },
      ]
    : [];
  const retiring = {
    type: BUTTON,
    style: RED,
    label: REVIEW_WORDS.retireButton,
    custom_id: decisionButtonId('retire', reflection),
  };
  const text = codeBlock(visibleText(reflection.content), EMBED_TEXT);
  return {
    embeds: text === '' ? [] : [{ description: text }],
    components: [{ type: ROW, components: [...trusting, retiring] }],
  };
}

/** Characters that only change the look of a symbol, or join two into one. */
const SYMBOL_PARTS = /(?<=\p{Extended_Pictographic})[\u{fe0f}\u{200d}]/gu;

/**
 * Whether a reviewer sees everything that workflows may receive. Nobody should trust the hidden end of a long text, or invisible
 * characters.
 */
function isShownWhole(content: string): boolean {
  const visible = visibleText(content);
  return (
    visible.length <= EMBED_TEXT.chars && visible === content.replaceAll('\r\n', '\n').replaceAll(SYMBOL_PARTS, '')
  );
}

/** A button for the next reflection that waits, if there is one. */
function nextOf({ runId, waiting }: ReviewedReflection): MessageExtras {
  const next = { type: BUTTON, style: GREY, label: REVIEW_WORDS.nextButton, custom_id: reviewButtonId(runId) };
  return { embeds: [], components: waiting === 0 ? [] : [{ type: ROW, components: [next] }] };
}

function decidedText({ state, type }: ReviewedReflection): string {
  const what = inlineCode(type, MAX_TYPE);
  return state === 'trusted'
    ? `You trusted this ${what}. Later runs can receive it.`
    : `You retired this ${what}. No run receives it.`;
}

function overText({ state, type, decidedBy, changedAt }: ReviewedReflection): string {
  const who = actorText(decidedBy, MAX_NAME);
  const when = `<t:${Math.floor(changedAt.getTime() / 1000)}:R>`;
  return `This ${inlineCode(type, MAX_TYPE)} was already ${state} by ${who} ${when}.`;
}
