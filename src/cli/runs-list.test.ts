import { expect, test, vi } from 'vitest';
import { runCommandLine } from '../../test/support/cli.ts';
import { systemClock } from '../base/clock.ts';
import type { RunFilter } from '../ledger/find-runs.ts';
import type { RunStore } from './run-store.ts';
import { runsCommand } from './runs.ts';

test.each([
  ['2026-11-28', '2026-11-28T00:00:00.000Z'],
  ['2026-11-28T12:00', '2026-11-28T12:00:00.000Z'],
  ['2026-11-28 12:00:03', '2026-11-28T12:00:03.000Z'],
  ['2026-11-28 12:00:03 UTC', '2026-11-28T12:00:03.000Z'],
  ['2026-11-28T12:00:00Z', '2026-11-28T12:00:00.000Z'],
  ['2026-11-28T12:00:00+01:00', '2026-11-28T11:00:00.000Z'],
])('--since %s means the same time in every time zone', async (text, expected) => {
  vi.stubEnv('TZ', 'America/New_York');
  const asked: RunFilter[] = [];
  const store = { listRuns: async (filter: RunFilter) => (asked.push(filter), []) } as unknown as RunStore;
  const commands = [runsCommand((_io, _request, work) => work(store), systemClock)];
  expect(await runCommandLine(['runs', 'list', '--since', text], commands)).toMatchObject({ code: 0 });
  expect(asked.map(({ since }) => since?.toISOString())).toEqual([expected]);
});

test.each(['2026-02-31', '2026-04-31T12:00:00Z', '2026-13-01', '99999999h', '999999d', 'yesterday'])(
  '--since %s is invalid',
  async (text) => {
    const store = {} as RunStore;
    const commands = [runsCommand((_io, _request, work) => work(store), systemClock)];
    const { code, stderr } = await runCommandLine(['runs', 'list', '--since', text], commands);
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('--since: must be') });
  },
);
