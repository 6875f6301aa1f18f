import { expect, vi } from 'vitest';
import type { Queryable } from '../../src/clients/postgres/database.ts';
import type { Observation } from '../../src/ledger/observe-workflows.ts';
import { MIN_INTERVAL_MS } from '../../src/notify/pace.ts';
import type { MessageVersion } from '../../sandbox/discord/message.ts';
import { messageRow, type ToldRun } from './notify.ts';
import { submitRun } from './runs.ts';

/** Steps and waits for tests of messages. */
export interface ToldSteps {
  submit(run: ToldRun): Promise<void>;
  /** Starts a run, and waits until its message shows it as running. */
  running(options?: { ephemeral?: boolean; channelId?: string }): Promise<ToldRun>;
  /** Ends the run when its message may be edited again; as failed if a reason is given. */
  finish(run: ToldRun, reason?: string): Promise<void>;
  /** Advances the clock by the minimum interval between two edits of one message. */
  rest(): Promise<void>;
  /** Waits until the only message shows it. */
  shows(text: string): Promise<void>;
  /** The same, and waits until the message is released: its rest has started. */
  told(run: ToldRun, text: string): Promise<void>;
  /** Waits until an attempt has failed and logged it. */
  notToldYet(): Promise<void>;
  /** The current row of the message. */
  row(run: ToldRun): Promise<Readonly<Record<string, unknown>>>;
  /** The time until the message is due, in milliseconds by the world's clock. */
  dueInMs(run: ToldRun): Promise<number>;
}

/** The parts that the steps use. */
export interface ToldStage {
  /** Every log line of every notifier. */
  readonly log: readonly string[];
  /** Sets the clock of Discord, sessions, notifiers and database forward. */
  advance(ms: number): Promise<void>;
  /** The time by that clock. */
  now(): Date;
  /** Runs `/plan`: facteur has recorded it and deferred its answer. `waits`: no process has room to submit it. */
  plan(options?: { ephemeral?: boolean; channelId?: string; waits?: boolean }): Promise<ToldRun>;
  /** Records an observation like the follower. */
  observe(run: ToldRun, seen: Partial<Observation>): Promise<void>;
  /** Announces a changed run to other processes. */
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
    // A claim and a release count one each.
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
