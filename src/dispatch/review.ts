import { FacteurError } from '../base/errors.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { Principal } from '../domain/command.ts';
import { retire, trust } from '../knowledge/decide-standing.ts';
import type { Announcements } from '../ledger/due-work.ts';
import { findReviewed, showWaiting, type ReviewedReflection } from '../ledger/reviewed-reflections.ts';
import { recordRefusal } from '../ledger/unprocessed.ts';
import type { ReviewButton } from '../presentation/button-id.ts';
import { discordActor } from '../presentation/discord-actor.ts';

/** A press on a button for reviewing reflections. */
export interface ReviewPress {
  readonly button: ReviewButton;
  readonly interactionId: string;
  readonly principal: Principal;
}

/**
 * The result of the press.
 *
 * unknown   the run has no reflection, or not this one
 * forbidden the user may not review reflections; this is recorded
 * shown     a reflection to decide about; `changed` if its text is no longer the one that was shown
 * decided   by this person
 * over      by somebody else
 * blocked   it cannot be trusted: its run received reflections that are not trusted
 */
export type ReviewOutcome =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'forbidden'; readonly roles: readonly string[] }
  | { readonly kind: 'shown'; readonly reflection: ReviewedReflection; readonly changed: boolean }
  | { readonly kind: 'decided' | 'over'; readonly reflection: ReviewedReflection }
  | { readonly kind: 'blocked'; readonly reflection: ReviewedReflection; readonly why: string };

export interface ReviewDeps {
  readonly db: Database;
  /** Ids of the roles that may review. */
  readonly reviewers: readonly string[];
  readonly wakes: Pick<Announcements, 'messagesDue'>;
}

/**
 * Shows a reflection to a reviewer, or decides about it for them, by their current roles.
 *
 * @throws DatabaseError if the ledger does not answer
 */
export async function pressReview(press: ReviewPress, deps: ReviewDeps): Promise<ReviewOutcome> {
  const { button, principal } = press;
  const reflection = await findReviewed(deps.db, button.runId, button.reflectionId);
  if (reflection === undefined) {
    return { kind: 'unknown' };
  }
  if (!mayReview(principal, deps.reviewers)) {
    const { interactionId: deliveryId } = press;
    const refused = { door: 'discord', deliveryId, name: reflection.command, principal } as const;
    await recordRefusal(deps.db, refused, 'may not review reflections');
    return { kind: 'forbidden', roles: deps.reviewers };
  }
  if (reflection.state !== 'quarantined') {
    return settled(press, reflection, deps);
  }
  return button.action === 'review'
    ? { kind: 'shown', reflection, changed: false }
    : decide(press, button, { reflection, deps });
}

function mayReview({ userId, roles, bot = false }: Principal, reviewers: readonly string[]): boolean {
  return userId !== '' && !bot && reviewers.some((role) => roles.includes(role));
}

type Decision = Extract<ReviewButton, { readonly action: 'trust' | 'retire' }>;

/** Like `facteur knowledge`, but only for the text that was shown. */
async function decide(
  press: ReviewPress,
  { action, runId, reflectionId, version }: Decision,
  { reflection, deps }: { readonly reflection: ReviewedReflection; readonly deps: ReviewDeps },
): Promise<ReviewOutcome> {
  const decision = {
    reflectionIds: [reflectionId],
    reason: 'reviewed in Discord',
    decidedBy: discordActor(press.principal),
    shownVersion: version,
  };
  try {
    await (action === 'trust' ? trust(deps.db, decision) : retire(deps.db, { ...decision, withDescendants: false }));
  } catch (error) {
    if (error instanceof FacteurError && error.code === 'reflection.distrusted_source') {
      return { kind: 'blocked', reflection, why: error.message };
    }
    throw error;
  }
  const after = (await findReviewed(deps.db, runId, reflectionId)) ?? reflection;
  // Still undecided: the text has changed since it was shown.
  return after.state === 'quarantined'
    ? { kind: 'shown', reflection: after, changed: true }
    : settled(press, after, deps);
}

/** A repetition of the same press gets the same answer. */
async function settled(
  { button, principal }: ReviewPress,
  reflection: ReviewedReflection,
  { db, wakes }: ReviewDeps,
): Promise<ReviewOutcome> {
  if (reflection.waiting === 0 && (await showWaiting(db, reflection.runId))) {
    void wakes.messagesDue();
  }
  const wanted = { review: '', trust: 'trusted', retire: 'retired' }[button.action];
  const isOwn = reflection.state === wanted && reflection.decidedBy === discordActor(principal);
  return { kind: isOwn ? 'decided' : 'over', reflection };
}
