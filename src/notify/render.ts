import type { MessageBody } from '../clients/discord/message.ts';
import { isFinished } from '../domain/run-state.ts';
import { runButtons } from './buttons.ts';
import { describeDuration } from './duration.ts';
import { progressBar } from './progress.ts';
import type { RenderOptions, RunView } from './run-view.ts';
import { codeBlock, inlineCode } from './safe-text.ts';
import { STATE_WORDS, WORDS } from './words.ts';

/**
 * Bounds of what others wrote. All together stays far below Discord's 2,000 characters, whatever comes in: a message is
 * for one glance.
 */
const MAX_COMMAND = 64;
const MAX_NAME = 255;
const REASON = { chars: 700, lines: 10 };

/**
 * A run as a message, by nothing but its arguments: the state first, then what explains it, then where it runs.
 * Text of others stands in code only, so it can format, link and mention nothing.
 */
export function renderRun(run: RunView, options: RenderOptions): MessageBody {
  const lines = [headline(run, options), ...details(run), place(run), options.last ? small(WORDS.lastWord) : ''];
  return {
    content: lines.filter((line) => line !== '').join('\n'),
    components: runButtons(run, options),
    allowed_mentions: { parse: [] },
  };
}

function headline(run: RunView, { detached }: RenderOptions): string {
  const { icon, title } = STATE_WORDS[run.state];
  const parts = [
    `${icon} **${title}**${timing(run)}`,
    inlineCode(`/${run.command}`, MAX_COMMAND),
    run.retryCount > 0 ? WORDS.attempt(run.retryCount + 1) : '',
    since(run),
    detached && /^\d{1,20}$/.test(run.userId) ? WORDS.askedBy(`<@${run.userId}>`) : '',
  ];
  return parts.filter((part) => part !== '').join(' · ');
}

/** How long a finished run took, from its start in the cluster where that was seen. */
function timing({ state, acceptedAt, startedAt, finishedAt }: RunView): string {
  if (finishedAt === undefined || !isFinished(state)) {
    return '';
  }
  const duration = describeDuration(finishedAt.getTime() - (startedAt ?? acceptedAt).getTime());
  return ` ${state === 'succeeded' ? WORDS.in(duration) : WORDS.after(duration)}`;
}

/** For a live run: Discord's own relative time, which counts on without an edit. */
function since({ state, acceptedAt, startedAt }: RunView): string {
  if (state === 'running') {
    return WORDS.started(relative(startedAt ?? acceptedAt));
  }
  return state === 'queued' || state === 'submitted' ? WORDS.waitingSince(relative(acceptedAt)) : '';
}

function relative(moment: Date): string {
  return `<t:${Math.floor(moment.getTime() / 1000)}:R>`;
}

function details(run: RunView): string[] {
  switch (run.state) {
    case 'queued':
      return [run.reason === '' ? '' : WORDS.stillTrying];
    case 'submitted':
    case 'succeeded':
      return [];
    case 'running':
      return [progressBar(run.progress)];
    case 'skipped':
      return [WORDS.skipped];
    case 'lost':
      return [WORDS.lostOf];
    default:
      return [codeBlock(run.reason, REASON)];
  }
}

function place({ namespace, workflowName }: RunView): string {
  return small(WORDS.where(inlineCode(workflowName, MAX_NAME), inlineCode(namespace, MAX_NAME)));
}

/** Discord's small print. */
function small(text: string): string {
  return `-# ${text}`;
}
