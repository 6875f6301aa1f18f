import type { WorkflowPlan } from '../domain/workflow-plan.ts';

/** Who asked, as the door knows them. */
interface Asker {
  /** As in the run's history; empty unless the door authenticated a token. */
  readonly actor: string | undefined;
  /** Whom the message names. */
  readonly named: string;
}

const TOKEN_HOLDER = /^api (.+)$/;

/**
 * On whose behalf, and about which repository, reflections are searched for. The holder of a token is who asked, whoever the
 * message names. Without a repository there are no earlier runs to learn from.
 */
export function knowledgeOf(repository: string, { actor, named }: Asker): Pick<WorkflowPlan, 'knowledge'> {
  const holder = TOKEN_HOLDER.exec(actor ?? '')?.[1];
  const askedBy = holder === undefined ? named : `api:${holder}`;
  return repository === '' ? {} : { knowledge: { repository, askedBy } };
}
