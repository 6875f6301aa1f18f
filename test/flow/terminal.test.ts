import { expect, test as plain } from 'vitest';
import { commandsFor } from '../../src/cli/wiring.ts';
import { commandsCommand } from '../../src/cli/commands.ts';
import { accessTo } from '../support/cluster.ts';
import { runCommandLine, type CliRun } from '../support/cli.ts';
import { startFacteur, TEST_ENV, type Facteur } from '../support/facteur.ts';
import { seedRuns } from '../support/knowledge.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { seedReflections } from '../support/reflections.ts';
import { fillLedger, SCENE_TIME, type Renamed } from '../support/scenes.ts';
import { emptyLedger } from '../support/ledger.ts';
import { TurnableTimer } from '../support/turnable-timer.ts';
import { columnsOf } from '../../src/base/text-columns.ts';
import type { Environment } from '../../src/config/environment.ts';

// The output of the commands on terminals of two widths. After an intended change: vitest -u.

/** Prints one command line on a terminal. */
type Show = (columns: number, env: Environment, args: readonly string[]) => Promise<CliRun>;

const WIDTHS = [80, 120] as const;
const INKS: readonly (readonly [string, Environment])[] = [
  ['without colours', { NO_COLOR: '1' }],
  ['in colour', {}],
];

/** @param prepare sets up the scene again for each terminal, because commands change it */
async function expectScenes(
  file: string,
  lines: readonly string[],
  prepare: () => Promise<{ readonly show: Show; readonly renamed: Renamed }>,
): Promise<void> {
  const screens: string[] = [];
  for (const columns of WIDTHS) {
    for (const [ink, env] of INKS) {
      const { show, renamed } = await prepare();
      screens.push(`===== ${columns} columns, ${ink}\n`);
      for (const line of lines) {
        const run = await show(columns, env, wordsOf(line, renamed));
        const ended = run.code === 0 ? '' : `[exit code ${run.code}]\n`;
        const printed = renamed.reduce((text, [real, shown]) => text.replaceAll(real, shown), run.stdout + run.stderr);
        screens.push(`$ facteur ${line}\n${printed}${ended}`);
      }
    }
  }
  // A replay makes a new run each time.
  const text = screens
    .join('\n')
    .replaceAll('\u001b', '<ESC>')
    .replaceAll(/(?<=became run |retried as run |^run {2,})(?!f8b152a7)[-0-9a-f]{36}/gm, '<run id>');
  await expect(text).toMatchFileSnapshot(`../fixtures/terminal/${file}.txt`);
}

/** The words of a line, with the real names of runs in place of those that the scene shows. */
function wordsOf(line: string, renamed: Renamed): readonly string[] {
  return line.split(' ').map((word) => renamed.find(([, shown]) => shown === word)?.[0] ?? word);
}

const LINKS = {
  FACTEUR_ARGO_UI_URL: 'https://argo.example.com',
  FACTEUR_TELEMETRY_TRACE_URL: 'https://jaeger.example.com/trace/{trace_id}',
};

async function startScene(): Promise<Facteur> {
  return startFacteur({ db, env: LINKS, roles: ['http'], context: { clock: { now: () => SCENE_TIME } } });
}

const onLedger =
  ({ cliOn }: Facteur): Show =>
  (columns, env, args) =>
    cliOn(columns, env, ...args);

const onServer =
  ({ cliOn, url }: Facteur): Show =>
  (columns, env, args) =>
    cliOn(columns, { ...env, FACTEUR_SERVER: url }, ...args);

const LEDGER_SCENES: Readonly<Record<string, readonly string[]>> = {
  'runs-list': [
    'runs list',
    'runs list -o wide',
    'runs list --state failed,canceled',
    'runs list --door discord -o name',
    'runs list --json runId,state,title --limit 2',
    'runs list --user nobody',
  ],
  'runs-show': [
    'runs show c58e2f74',
    'runs show 0b5e7d3c',
    'runs show e7a04196',
    'runs watch d69f3085',
    'runs watch c58e2f74',
    'runs open --print c58e2f74',
    'runs open --trace c58e2f74',
    'runs cancel --dry-run 0b5e7d3c e7a04196',
    'runs cancel e7a04196',
    'runs retry --dry-run c58e2f74 e7a04196 d69f3085',
    'runs retry --yes 0b5e7d3c d69f3085',
    'runs retry c58e2f74',
    'runs retry e7a04196',
    'runs cancel --yes 0b5e7d3c 9a61c254',
  ],
  'dead-letters': [
    'dead-letters list',
    'dead-letters list -o wide',
    'dead-letters list --door kafka -o yaml',
    'dead-letters list --reason forbidden',
    'dead-letters show 17',
    'dead-letters replay 18',
    'dead-letters replay --all --yes',
    'dead-letters show 17',
    'dead-letters drop --dry-run 17 18',
    'dead-letters drop 18',
    'dead-letters list',
  ],
  refusals: ['refusals list', 'refusals list -o wide', 'refusals list --command /plna'],
  approvals: [
    'approvals list',
    'approvals list --all',
    'approvals list --all -o wide',
    'approvals show 0b5e7d3c approve',
    'approvals approve 0b5e7d3c approve',
    'approvals approve 0b5e7d3c approve --set version=v9',
    'approvals approve 0b5e7d3c approve --set version=v1.2 --reason tested',
    'approvals reject 0b5e7d3c approve',
    'approvals show 0b5e7d3c approve',
  ],
  'ledger-errors': [
    'runs show 00000000',
    'runs list --state paused',
    'runs list --since soon',
    'runs list --limit none',
    'runs list --json runId,nope',
    'runs retry 0b5e7d3c',
    'dead-letters show x',
    'dead-letters replay',
    'dead-letters replay 99',
    'submit plna',
    'submit plan --option objective',
    'approvals approve c58e2f74',
    'approvals show c58e2f74 approve',
    'runs open --trace 0b5e7d3c',
    'runs list --server ftp://facteur',
    'runs list --server http://127.0.0.1:1',
  ],
};

test.each(Object.entries(LEDGER_SCENES))('a terminal shows %s', async (file, lines) => {
  await expectScenes(file, lines, async () => {
    await emptyLedger(db);
    const renamed = await fillLedger(db);
    return { show: onLedger(await startScene()), renamed };
  });
});

test.each(['runs list', 'runs show c58e2f74', 'dead-letters list', 'refusals list', 'approvals list --all'])(
  'a server shows the same as the ledger: %s',
  async (line) => {
    const renamed = await fillLedger(db);
    const facteur = await startScene();
    const shown = await Promise.all([onLedger, onServer].map((show) => show(facteur)(120, {}, wordsOf(line, renamed))));
    expect(shown[1]).toEqual(shown[0]);
  },
);

test('a terminal shows knowledge', async () => {
  const reflections = await seedReflections(db, [
    {
      content: 'The migration needs pgvector 0.8.\nRead the docs before the migration.',
      type: 'lesson',
      state: 'trusted',
    },
    { content: 'The migration fails on a read-only replica.', repository: 'acme/other' },
  ]);
  const renamed: Renamed = reflections.flatMap(({ id, runId }, place) => [
    [id, `4f6d902${place}-7d4c-4b8a-89e2-0f1a2b3c4d5e`],
    [runId, `5a7e013${place}-8e5d-4c9b-9af3-1a2b3c4d5e6f`],
  ]);
  await db.query({ text: `UPDATE codex_kb.reflections SET created_at = $1, updated_at = $1`, values: [SCENE_TIME] });
  await seedRuns(db, 'retrieve', { succeeded: 9, failed: 1 });
  await seedRuns(db, 'holdout', { succeeded: 2, failed: 2 });
  await seedRuns(db, 'nothing_similar', { failed: 1 });
  const lines = [
    'knowledge search the migration fails',
    'knowledge search the migration fails -o wide',
    'knowledge show 4f6d9020-7d4c-4b8a-89e2-0f1a2b3c4d5e',
    'knowledge show 4f6d',
    'knowledge stats',
  ];
  const show = onLedger(await startScene());
  await expectScenes('knowledge', lines, async () => ({ show, renamed }));
});

const YAML = `
role_map: { deploy: ['500000000000000001', '500000000000000002'] }
commands:
  deploy:
    description: Roll out a release to one of the environments that the team keeps
    options:
      - { name: environment, description: Where, required: true, choices: [staging, production] }
      - { name: version, description: Which }
  ask: { description: Ask, modal: { title: Ask, fields: [{ name: content, label: What }] } }
`;

plain('a terminal shows commands', async () => {
  const command = commandsCommand({
    version: '1.2.3',
    timer: new TurnableTimer(),
    clusterAccess: async () => accessTo('http://127.0.0.1:9'),
    openLedger: async () => Promise.reject(new Error('no ledger here')),
  });
  const show: Show = (columns, env, args) =>
    runCommandLine([...args, '--config', 'facteur.yaml'], [command], {
      columns,
      env,
      readFile: async () => Buffer.from(YAML),
    });
  const lines = ['commands list', 'commands list -o wide', 'commands list -o name'];
  await expectScenes('commands', lines, async () => ({ show, renamed: [] }));
});

const build = { version: '1.2.3', commit: 'abc1234' };
const whole: Show = async (columns, env, args) =>
  runCommandLine(args, await commandsFor(args, build), {
    columns,
    env: { ...TEST_ENV, ...env },
    readFile: async () => Buffer.from('argo: { ui_ulr: x }\nserver: { max_body_bytes: lots }\n'),
  });

plain('a terminal shows help', async () => {
  const lines = ['--help', 'runs --help', 'runs list --help', 'submit --help', 'version'];
  await expectScenes('help', lines, async () => ({ show: whole, renamed: [] }));
});

plain('a terminal shows usage errors', async () => {
  const lines = [
    'rusn list',
    'runs lits',
    'runs list --stat failed',
    'runs list extra',
    'runs list --limit',
    'runs list --door window',
    'runs show',
    'serve --only htpt',
    'completion tcsh',
    'config check --config facteur.yaml',
    'config check --config facteur.yaml -o json',
  ];
  await expectScenes('errors', lines, async () => ({ show: whole, renamed: [] }));
});

plain.each(WIDTHS)('no line of a help text is longer than %d columns', async (columns) => {
  for (const args of [['--help'], ['runs', 'list', '--help'], ['dead-letters', 'replay', '--help']]) {
    const { stdout } = await whole(columns, {}, args);
    expect(stdout.split('\n').filter((line) => columnsOf(line) > columns)).toEqual([]);
  }
});
