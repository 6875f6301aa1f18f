import type { PressOutcome } from '../../dispatch/press.ts';
import { buttonId } from '../../presentation/button-id.ts';
import { WORDS } from '../../presentation/words.ts';
import { deferred, whisper, type Reply } from './reply.ts';
import { confirmText, pressText } from './wording.ts';

const ROW = 1;
const BUTTON = 2;
const BLUE = 1;

/** The response to a press on a run's button. Only the person who pressed sees it, except for the message of a new run. */
export function pressAnswer(outcome: PressOutcome): Reply {
  switch (outcome.kind) {
    case 'retried':
      return deferred(outcome.ephemeral);
    case 'confirm': {
      const id = buttonId('confirm', outcome.run.runId);
      const yes = { type: BUTTON, style: BLUE, label: WORDS.confirmButton, custom_id: id };
      return whisper(confirmText(outcome.run), { components: [{ type: ROW, components: [yes] }] });
    }
    default:
      return whisper(pressText(outcome));
  }
}
