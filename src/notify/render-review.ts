import type { MessageBody } from '../clients/discord/message.ts';
import { isFinished } from '../domain/run-state.ts';
import { reviewButtonId } from '../presentation/button-id.ts';
import { REVIEW_WORDS } from '../presentation/words.ts';
import type { RenderOptions, ShownRun } from './shown-run.ts';

const ROW = 1;
const BUTTON = 2;
const GREY = 2;

/** A row with one button, if the run has ended and reported reflections that wait for a decision. */
export function reviewButtons(
  { runId, state, reflectionsWaiting }: ShownRun,
  { reviewed }: Pick<RenderOptions, 'reviewed'>,
): MessageBody['components'] {
  if (!reviewed || reflectionsWaiting === 0 || !isFinished(state)) {
    return [];
  }
  const label = reflectionsWaiting === 1 ? REVIEW_WORDS.reviewButton : REVIEW_WORDS.reviewSeveralButton;
  const button = { type: BUTTON, style: GREY, label, custom_id: reviewButtonId(runId) } as const;
  return [{ type: ROW, components: [button] }];
}
