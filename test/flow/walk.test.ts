import { Session } from 'node:inspector/promises';
import { readFileSync } from 'node:fs';
import { expect, onTestFinished } from 'vitest';
import { startCluster } from '../support/cluster.ts';
import { openDiscordDoor } from '../support/discord-door.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { expectRun } from '../support/ledger.ts';
import { codexTask } from '../support/messages.ts';

const ARCHITECTURE = readFileSync(new URL('../../docs/architecture.md', import.meta.url), 'utf8');
/** The files that decide what happens to a run. The document describes the others by folder. */
const OWN_LOGIC = /\/(src\/(?:entry|dispatch|submit|follow|notify|ledger)\/[\w/.-]+\.ts)/;
const QUICK = { defaults: { outcome: 'succeed', at: 1, pendingMs: 0, startMs: 10, stepMs: 10 } } as const;

/** The files that a text names. */
const named = (text: string): string[] => [...new Set(text.match(/src\/[\w/-]+\.ts/g))].toSorted();

function chapter(title: string): string {
  const start = ARCHITECTURE.indexOf(`## ${title}\n`);
  return ARCHITECTURE.slice(start, ARCHITECTURE.indexOf('\n## ', start + 1));
}

/** Counts calls from now on. The result gives the files of our own logic with a call since the last time. */
async function watchCalls(): Promise<() => Promise<string[]>> {
  const session = new Session();
  session.connect();
  onTestFinished(() => session.disconnect());
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  const visited = async (): Promise<string[]> => {
    const { result } = await session.post('Profiler.takePreciseCoverage');
    const called = result.filter(({ functions }) =>
      // Without a name it is the module itself.
      functions.some(({ functionName, ranges }) => functionName !== '' && (ranges[0]?.count ?? 0) > 0),
    );
    return [...new Set(called.flatMap(({ url }) => OWN_LOGIC.exec(url)?.[1] ?? []))].toSorted();
  };
  await visited();
  return visited;
}

test('the walks in docs/architecture.md match the files that run', async () => {
  const roles = ['http', 'submit', 'follow', 'notify'] as const;
  const { discord, facteur } = await openDiscordDoor({ db, cluster: await startCluster(QUICK), roles });
  const visited = await watchCalls();

  const { interactionId } = await discord.people.command('plan', [{ name: 'objective', value: 'x' }]);
  await expectRun(db, interactionId, 'succeeded');
  await expect.poll(() => discord.messages().at(-1)?.versions.at(-1)?.content).toContain('Succeeded');
  const plan = await visited();

  await facteur.send(codexTask({ deliveryId: 'd1' }));
  await expectRun(db, 'd1', 'succeeded');
  const codex = await visited();

  expect(named(chapter('One `/plan`, file by file')).filter((path) => !plan.includes(path))).toEqual([]);
  expect(named(chapter('One Codex task, file by file')).filter((path) => !codex.includes(path))).toEqual([]);
  expect([...plan, ...codex].filter((path) => !named(ARCHITECTURE).includes(path))).toEqual([]);
});
