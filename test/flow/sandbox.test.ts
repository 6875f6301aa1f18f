import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { columnsOf } from '../../src/base/text-columns.ts';
import { sandboxCommand } from '../../src/cli/sandbox.ts';
import { runCommandLine } from '../support/cli.ts';
import { fillDirectory } from '../support/database.ts';
import { temporaryFolder } from '../support/facteur-process.ts';
import { SandboxProcess } from '../support/sandbox-process.ts';

const run = promisify(execFile);
const EXECUTABLE = join(import.meta.dirname, '..', '..', 'bin', 'facteur');

/** A kill takes two starts of an embedded Postgres. */
const LIMIT_MS = 600_000;

// One sandbox for all tests, because it starts a facteur. Its database already exists; the other sandbox below creates its
// own. Each test types, and waits for what is printed after that.
describe('interactive', { timeout: LIMIT_MS }, () => {
  const data = temporaryFolder();
  let sandbox: SandboxProcess;
  beforeAll(async () => {
    await fillDirectory(join(data.path, 'postgres'));
    sandbox = new SandboxProcess(['--interactive', '--no-tour', '--data', data.path]);
    await sandbox.shows(/Now it is your turn/);
  }, LIMIT_MS);
  afterAll(async () => {
    await sandbox.kill();
    data.remove();
  });
  const expectOutput = (wanted: RegExp): Promise<void> => sandbox.shows(wanted);

  test('help lists the words and the registered commands', async () => {
    sandbox.type('help');
    await expectOutput(/^ {2}outage 10s/m);
    await expectOutput(/^ {2}\/plan objective: \[project:\]$/m);
    await expectOutput(/^ {2}\/release \[version:\]$/m);
  });

  test('a mistyped word is answered with the nearest one or its usage', async () => {
    sandbox.type('plna Ship it');
    await expectOutput(/unknown word plna; did you mean plan\?/);
    sandbox.type('outage soon');
    await expectOutput(/^outage: for how long\?/m);
  });

  test('a command runs to its end, and its message is shown in frames', async () => {
    sandbox.type('plan project: facteur objective: "Ship it"');
    await expectOutput(/╭─ Ada used \/plan/);
    await expectOutput(/^ {2}│ \[ Cancel \] .*\[ Show request \]$/m);
    await expectOutput(/^ {2}│ ✅ Succeeded in .* · \/plan Ship it$/m);
  });

  test('fail: the failure, its log, and the retry', async () => {
    sandbox.type('fail');
    await expectOutput(/^ {2}│ ❌ Failed after .*\n {2}│ step-2: main: Error/m);
    await expectOutput(/Ada pressed Logs[^]*?step-2: works[^]*?Only you can see this/);
    await expectOutput(/Ada pressed Retry[^]*?Retry of an earlier run/);
    await expectOutput(/The retry is a new run/);
  });

  test('approve: two people decide, neither of whom requested the run', async () => {
    sandbox.type('release v5');
    await expectOutput(/is waiting for approval[^]*?\[ Approve \] {2}\[ Reject \]/);
    sandbox.type('approve');
    await expectOutput(/Bob pressed Approve[^]*?You approved step approve\./);
    sandbox.type('approve');
    await expectOutput(/Carol pressed Approve[^]*?is approved/);
    await expectOutput(/✅ Succeeded in .* · \/release v5/);
  });

  test('reject: one person is enough, with a reason', async () => {
    sandbox.type('release v6');
    await expectOutput(/\/release v6[^]*?is waiting for approval[^]*?\[ Approve \] {2}\[ Reject \]/);
    sandbox.type('reject Not on a Friday');
    await expectOutput(/Bob fills in the form "Reject approve"/);
    await expectOutput(/❌ Failed after .* · \/release v6/);
    sandbox.type('approve');
    await expectOutput(/approve: nothing waits for approval/);
  });

  test('somebody without a role is refused', async () => {
    sandbox.type('as mallory');
    await expectOutput(/you are Mallory/);
    sandbox.type('release');
    await expectOutput(/Mallory used \/release[^]*?Only you can see this/);
    sandbox.type('as ada');
    await expectOutput(/you are Ada/);
  });

  test('kill: the run survives', async () => {
    sandbox.type('kill');
    await expectOutput(/facteur was killed/);
    await expectOutput(/facteur is back/);
    await expectOutput(/The run survived/);
  });

  test('outage: a run waits for the cluster', async () => {
    sandbox.type('outage 1s');
    await expectOutput(/the cluster is unreachable for 1 s/);
    sandbox.type('plan While the cluster is away');
    await expectOutput(/the cluster is back/);
    await expectOutput(/✅ Succeeded in .* · \/plan While the cluster is away/);
  });

  test('the runs list command that it prints works', async () => {
    const [, args = ''] = /npx facteur (runs list --server \S+)/.exec(sandbox.output) ?? [];
    const { stdout } = await run(process.execPath, [EXECUTABLE, ...args.split(' ')], {
      env: { PATH: process.env['PATH'] },
    });
    expect(stdout).toContain('While the cluster is away');
  });

  test('quit ends it; all frames fit into 80 columns, without colours', async () => {
    sandbox.type('quit');
    expect(await sandbox.exited).toBe(0);
    const framed = sandbox.output.split('\n').filter((line) => /^ {2}[╭│╰┊]/.test(line));
    expect(framed.length).toBeGreaterThan(20);
    expect(framed.filter((line) => columnsOf(line) > 80)).toEqual([]);
    expect(sandbox.output).not.toContain('\u001b');
  });
});

const OWN = `
role_map: { deploy: [512345678901234567] }
argo: { namespace: production, workflow_template: rollout }
postgres: { dsn: 'postgres://elsewhere/db' }
commands:
  deploy:
    description: Roll a release out
    options:
      - { name: environment, description: Where, required: true, choices: [staging, production] }
      - { name: replicas, description: How many, type: integer, min: 2, required: true }
      - { name: note, description: Why }
  ask: { description: Ask, modal: { title: Ask us, fields: [{ name: content, label: What }] } }
`;

describe('with another configuration', () => {
  function fileWith(yaml: string): string {
    const folder = temporaryFolder();
    onTestFinished(() => folder.remove());
    const path = join(folder.path, 'facteur.yaml');
    writeFileSync(path, yaml);
    return path;
  }

  test('its commands are listed and run, with its roles and templates', { timeout: LIMIT_MS }, async () => {
    const path = fileWith(OWN);
    const sandbox = new SandboxProcess(['--exit', '--config', path]);
    onTestFinished(() => sandbox.kill());
    expect(await sandbox.exited).toBe(0);
    await sandbox.shows(/facteur\.yaml, except postgres: the sandbox has its own/);
    await sandbox.shows(
      /^ {2}\/deploy environment:\(staging\|production\) replicas: \[note:\] {2}\(the roles 512345678901234567\)$/m,
    );
    await sandbox.shows(/typed +\/deploy environment: staging replicas: 2\n[^]*?✅ Succeeded[^]*?in production$/m);
    await sandbox.shows(/typed +\/ask\n[^]*?✅ Succeeded/);
    await sandbox.shows(/All of it worked\./);
  });

  test.each([
    ['an invalid number', 'argo: { max_active: many }', /facteur\.yaml:1:\d+: argo\.max_active/],
    [
      'an invalid command',
      'commands: { deploy: { options: [{ name: Where }] } }',
      /facteur\.yaml:1:\d+: commands\.deploy/,
    ],
    ['broken YAML', 'commands: {', /facteur\.yaml:/],
  ])('%s is reported before anything starts', async (_what, yaml, told) => {
    const path = fileWith(yaml);
    const { code, stdout, stderr } = await sandboxLine(['--config', path]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(told);
    expect(stderr).not.toMatch(/^ +at /m);
  });

  test('a data directory that cannot be created is named', async () => {
    const { code, stderr } = await sandboxLine(['--exit', '--port', '0', '--data', '/dev/null/data']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^facteur: --data: cannot make the directory \/dev\/null\/data: .*\n$/);
  });

  test.each([['--exit'], ['--interactive']])('%s: a port in use is reported before anything starts', async (mode) => {
    const server = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    expect(await sandboxLine([mode, '--port', String(port)])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(
        `^facteur: --port: cannot listen on 127.0.0.1:${port}: .*; choose another port, or 0 for a free one\n$`,
      ),
    });
  });

  test('a missing file and conflicting options are errors', async () => {
    expect((await sandboxLine(['--config', '/nonexistent.yaml'])).stderr).toContain('no such file');
    const { code, stderr } = await sandboxLine(['--exit', '--interactive']);
    expect({ code, stderr }).toEqual({ code: 2, stderr: 'facteur: --interactive: cannot be used with --exit\n' });
  });

  function sandboxLine(args: readonly string[]): ReturnType<typeof runCommandLine> {
    const start = () => Promise.reject(new Error('nothing may start'));
    return runCommandLine(['sandbox', ...args], [sandboxCommand(start, { version: '', commit: '' })]);
  }
});
