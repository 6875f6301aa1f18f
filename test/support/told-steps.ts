import { expect, vi } from 'vitest';
import type { Queryable } from '../../src/clients/postgres/database.ts';
import type { Observation } from '../../src/ledger/observe-workflows.ts';
import { MIN_INTERVAL_MS } from '../../src/notify/pace.ts';
import type { MessageVersion } from '../../sandbox/discord/message.ts';
import { messageRow, type ToldRun } from './notify.ts';
import { submitRun } from './runs.ts';

/** What tests about messages do and wait for, step by step. */
export interface ToldSteps {
  submit(run: ToldRun): Promise<void>;
  /** Starts a run whose message shows it as running: the rest is up to the test. */
  running(options?: { ephemeral?: boolean; channelId?: string }): Promise<ToldRun>;
  /** Ends the run, as failed where there is a reason, when its message may be changed again. */
  finish(run: ToldRun, reason?: string): Promise<void>;
  /** As much time passes as must be between two edits of one message. */
  rest(): Promise<void>;
  /** Waits until the only message shows it. */
  shows(text: string): Promise<void>;
  /** The same, and until the message is given back to the ledger: its rest has begun. */
  told(run: ToldRun, text: string): Promise<void>;
  /** Waits until a try has failed and said so. */
  notToldYet(): Promise<void>;
  /** The current row of the message. */
  row(run: ToldRun): Promise<Readonly<Record<string, unknown>>>;
  /** Until the message's turn comes, in milliseconds by the world's clock. */
  dueInMs(run: ToldRun): Promise<number>;
}

/** What the steps are done with. */
export interface ToldStage {
  /** Every log line of every notifier. */
  readonly log: readonly string[];
  /** Turns the clock of Discord, sessions, notifiers and database forward. */
  advance(ms: number): Promise<void>;
  /** By that clock. */
  now(): Date;
  /** Somebody runs `/plan`: facteur has recorded it and deferred its answer. `waits`: no process has room to submit it. */
  plan(options?: { ephemeral?: boolean; channelId?: string; waits?: boolean }): Promise<ToldRun>;
  /** What the follower would write. */
  observe(run: ToldRun, seen: Partial<Observation>): Promise<void>;
  /** What everybody does who has changed a run. */
  announce(): Promise<void>;
  /** The newest version of the only message. */
  shown(): MessageVersion;
}

export function toldSteps(db: Queryable, stage: ToldStage): ToldSteps {
  const row: ToldSteps['row'] = (run) => messageRow(db, run.runId);
  const rest: ToldSteps['rest'] = () => stage.advance(MIN_INTERVAL_MS);
  const shows: ToldSteps['shows'] = (text) => vi.waitFor(() => expect(stage.shown().content).toContain(text));
  const told: ToldSteps['told'] = async (run, text) => {
    await shows(text);
    // Claiming and giving back count one each.
    await vi.waitFor(async () => expect(Number((await row(run))['claims']) % 2).toBe(0));
  };
  const submit: ToldSteps['submit'] = async (run) => {
    await submitRun(db, run.runId);
    await stage.announce();
  };
  return {
    submit,
    rest,
    shows,
    told,
    row,
    running: async (options = {}) => {
      const run = await stage.plan(options);
      await submit(run);
      await stage.observe(run, { progress: '0/4', startedAt: new Date() });
      // It may have been sent while the run was still queued.
      await vi.waitFor(async () => expect((await row(run))['told_at']).not.toBeNull());
      await rest();
      await vi.waitFor(async () => expect(await row(run)).toMatchObject({ told_state: 'running' }));
      return run;
    },
    finish: async (run, reason = '') => {
      await rest();
      const state = reason === '' ? 'succeeded' : 'failed';
      await stage.observe(run, { state, reason, progress: '4/4', finishedAt: new Date() });
    },
    notToldYet: () => vi.waitFor(() => expect(stage.log.join('')).toContain('message not delivered yet')),
    dueInMs: async (run) => Number((await row(run))['due_at']) - stage.now().getTime(),
  };
}
