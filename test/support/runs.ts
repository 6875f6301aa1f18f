import { randomUUID } from 'node:crypto';
import type { Queryable } from '../../src/clients/postgres/database.ts';
import type { NewRun } from '../../src/domain/run.ts';
import type { RunState } from '../../src/domain/run-state.ts';
import { RUN_MOVES, RUN_STATES } from '../../src/domain/run-state.ts';
import { NAMESPACE, TEMPLATE } from './cluster.ts';

/** A run that could be recorded, with a delivery id of its own. */
export function newRun(overrides: Partial<NewRun> = {}): NewRun {
  const deliveryId = overrides.deliveryId ?? randomUUID();
  return {
    deliveryId,
    kind: 'command',
    command: 'plan',
    door: 'http',
    correlationId: `corr-${deliveryId}`,
    traceparent: '',
    userId: '',
    guildId: '',
    channelId: '',
    acceptedAt: new Date(),
    state: 'queued',
    plan: {
      namespace: NAMESPACE,
      workflowTemplate: TEMPLATE.name,
      serviceAccount: '',
      namePrefix: 'plan',
      parameters: { action: 'plan' },
      labels: {},
      annotations: {},
    },
    idea: { sourceType: 'discord.command', sourceRef: deliveryId, status: 'received', payload: {} },
    task: { stage: 'plan', metadata: {} },
    runMetadata: {},
    ...overrides,
  };
}

/** Puts a recorded run into a state, by the shortest way that the state machine has to it. */
export async function forceState(db: Queryable, runId: string, state: RunState): Promise<void> {
  for (const [index, next] of wayTo(state).entries()) {
    const text =
      index === 0
        ? 'UPDATE facteur.runs SET previous_state = NULL, state = $2 WHERE run_id = $1'
        : 'UPDATE facteur.runs SET previous_state = state, state = $2, due_at = NULL, claimed_until = NULL WHERE run_id = $1';
    await db.query({ text, values: [runId, next] });
  }
}

/** From `queued` to `state`, both included. */
function wayTo(state: RunState, known: readonly RunState[][] = [['queued']]): readonly RunState[] {
  const arrived = known.find((way) => way.at(-1) === state);
  if (arrived !== undefined) {
    return arrived;
  }
  const further = known.flatMap((way) =>
    RUN_STATES.filter((next) => (RUN_MOVES[way.at(-1) ?? 'queued'] as readonly RunState[]).includes(next)).map(
      (next) => [...way, next],
    ),
  );
  return wayTo(state, further);
}
