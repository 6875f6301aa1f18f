import { create, toBinary } from '@bufbuild/protobuf';
import { randomUUID } from 'node:crypto';
import { isFinished, type RunState } from '../domain/run-state.ts';
import type { RunView } from '../ledger/find-runs.ts';
import { CommandEventSchema } from '../proto/proompteng/facteur/v1/contract_pb.ts';
import { CodexTaskSchema, CodexTaskStage } from '../proto/proompteng/froussard/v1/codex_task_pb.ts';
import type { SimulatedDiscord } from '../../sandbox/discord/discord.ts';
import type { ChannelView } from '../../sandbox/play/channel.ts';
import type { Timeline } from '../../sandbox/timeline.ts';
import { expectThat, PATIENCE_MS, until } from './sandbox-steps.ts';

/** The fields of a run that the tour shows. */
export type PlayedRun = Pick<
  RunView,
  'runId' | 'deliveryId' | 'state' | 'reason' | 'progress' | 'namespace' | 'workflowName' | 'workflowUid'
> & {
  readonly submittedAt: unknown;
  readonly startedAt: unknown;
};

/** The run with this id, delivery id or workflow name. */
export type FindRun = (reference: string) => Promise<PlayedRun | undefined>;

/** What the tour uses, including its output. */
interface TourStage {
  readonly findRun: FindRun;
  readonly channel: ChannelView;
  readonly url: string;
  readonly timeline: Timeline;
  readonly discord: SimulatedDiscord;
  /** How many workflows of this name the simulated cluster has. */
  readonly workflowsNamed: (name: string) => number;
}

/**
 * Plays one command event (twice), one Codex task and one slash command through the real HTTP doors, and prints what
 * happens.
 *
 * @throws FacteurError on the first unexpected result
 */
export async function playTour(stage: TourStage): Promise<void> {
  const interactionId = String(BigInt(Date.now()) << 22n);
  const event = toBinary(
    CommandEventSchema,
    create(CommandEventSchema, {
      provider: 'discord',
      interactionId,
      command: 'plan',
      options: { objective: 'Ship the sandbox', project: 'facteur' },
      user: { id: '200000000000000002', username: 'ada' },
      correlationId: randomUUID(),
    }),
  );
  stage.timeline.story('A command event, as the Discord gateway sends it: /plan objective: Ship the sandbox');
  const first = await play(stage, '/events', event);

  stage.timeline.story('The same event again: sooner or later every queue redelivers');
  const again = await send(stage, '/events', event);
  const same = again['duplicate'] === true && again['runId'] === first.runId;
  expectThat(same && stage.workflowsNamed(first.workflowName) === 1, 'a duplicate must be the same run');
  stage.timeline.step('accepted', `202, duplicate: the same run, and still one workflow in the cluster`);

  const task = create(CodexTaskSchema, {
    stage: CodexTaskStage.IMPLEMENTATION,
    prompt: 'Add a README',
    repository: 'proompteng/lab',
    base: 'main',
    head: 'codex/issue-42',
    issueNumber: 42n,
    issueTitle: 'A README is missing',
    deliveryId: randomUUID(),
  });
  stage.timeline.story('A Codex task, as the GitHub webhook relay sends it: proompteng/lab#42');
  await play(stage, '/codex/tasks', toBinary(CodexTaskSchema, task));
  await playChat(stage);
}

/** A person runs a slash command, and reads the message that follows the run. */
async function playChat({ findRun, url, timeline, discord, channel }: TourStage): Promise<void> {
  timeline.story('Ada types /plan in Discord; the signed interaction reaches facteur, and one message follows the run');
  await discord.people.saveEndpoint(`${url}/discord/interactions`);
  const asked = await discord.people.command('plan', [{ name: 'objective', value: 'Ship it from the chat' }]);
  expectThat(
    asked.outcome === 'acknowledged',
    `facteur answered the interaction with ${asked.status}: ${asked.problem}`,
  );
  channel.note(asked.interactionId, 'Ada used /plan');
  timeline.step('answered', `within ${Math.round(asked.milliseconds)} ms: "facteur is thinking…"`);
  await until('the message does not show the end of the run', async () => {
    channel.show();
    const message = discord.messages().find(({ interactionId }) => interactionId === asked.interactionId);
    return (
      message?.versions.at(-1)?.content.includes('Succeeded') === true &&
      (await findRun(asked.interactionId))?.state === 'succeeded'
    );
  });
  channel.show();
}

/** Sends one request and follows its run. */
async function play(stage: TourStage, path: string, body: Uint8Array): Promise<PlayedRun> {
  const answer = await send(stage, path, body);
  stage.timeline.step('accepted', `202 ${String(answer['status'])}, run ${String(answer['runId'])}`);
  const told = new Set<RunState>();
  let run: PlayedRun | undefined;
  await until('the run has not ended', async () => {
    run = await stage.findRun(String(answer['runId']));
    expectThat(run !== undefined, 'an accepted run must be in the ledger');
    for (const state of statesUpTo(run)) {
      if (!told.has(state)) {
        told.add(state);
        stage.timeline.step(WORDS[state] ?? state, describe(state, run));
      }
    }
    return isFinished(run.state);
  });
  expectThat(run?.state === 'succeeded', `the run ended ${run?.state}: ${run?.reason}`);
  return run;
}

const WORDS: Partial<Record<RunState, string>> = { queued: 'recorded' };

/** The states that a run has been through, according to its row. */
function statesUpTo(run: PlayedRun): readonly RunState[] {
  const states: RunState[] = ['queued'];
  if (run.submittedAt !== null) {
    states.push('submitted');
  }
  if (run.startedAt !== null) {
    states.push('running');
  }
  return states.includes(run.state) ? states : [...states, run.state];
}

function describe(state: RunState, run: PlayedRun): string {
  switch (state) {
    case 'queued':
      return `delivery ${run.deliveryId} in Postgres, name ${run.workflowName} reserved`;
    case 'submitted':
      return `Workflow ${run.namespace}/${run.workflowName} created (uid ${run.workflowUid})`;
    case 'running':
      return 'the workflow has started';
    default:
      return [`${run.progress} steps`, run.reason].filter((text) => text !== '').join(', ');
  }
}

async function send(stage: TourStage, path: string, body: Uint8Array): Promise<Record<string, unknown>> {
  stage.timeline.step('sent', `POST ${path}, ${body.length} bytes of protobuf`);
  const response = await fetch(`${stage.url}${path}`, {
    method: 'POST',
    body: Buffer.from(body),
    headers: { 'content-type': 'application/x-protobuf' },
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const answer = (await response.json()) as Record<string, unknown>;
  expectThat(response.status === 202, `${path} answered ${response.status}: ${JSON.stringify(answer)}`);
  return answer;
}
