import type { WorkflowPlan } from '../domain/workflow-plan.ts';

/** The requester, as known to the door. */
interface Asker {
  /** As in the run's history; empty unless the door authenticated a token. */
  readonly actor: string | undefined;
  /** The requester that the message names. */
  readonly named: string;
}

const TOKEN_HOLDER = /^api (.+)$/;

/**
 * The requester and the repository for which reflections are searched. The requester is the holder of the token, whoever the
 * message names. Without a repository there are no earlier runs to learn from.
 */
export function knowledgeOf(repository: string, { actor, named }: Asker): Pick<WorkflowPlan, 'knowledge'> {
  const holder = TOKEN_HOLDER.exec(actor ?? '')?.[1];
  const askedBy = holder === undefined ? named : `api:${holder}`;
  return repository === '' ? {} : { knowledge: { repository, askedBy } };
}
