import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { allCommands } from '../../src/commands.ts';
import type { CliIo } from '../../src/entry/cli/io.ts';
import { runCommandLine, type CliRun } from '../support/cli.ts';
import { fillDirectory } from '../support/database.ts';
import { TEST_ENV } from '../support/facteur.ts';
import { FacteurProcess, temporaryFolder } from '../support/facteur-process.ts';

// Exit code 0 on success, 2 on wrong usage, 1 otherwise; one clear line on stderr.

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

function facteur(args: readonly string[], env: CliIo['env'] = TEST_ENV): Promise<CliRun> {
  const commands = allCommands({ version: '1.2.3', commit: 'abcdef0' });
  return runCommandLine(args, commands, { env, homeDir: folder.path });
}

test.each([
  [['version'], 'facteur 1.2.3 (abcdef0)\n'],
  [['--version'], 'facteur 1.2.3 (abcdef0)\n'],
  [['-v'], 'facteur 1.2.3 (abcdef0)\n'],
  [['version', '--json'], '{"version":"1.2.3","commit":"abcdef0"}\n'],
])('%j succeeds', async (args, stdout) => {
  expect(await facteur(args)).toMatchObject({ code: 0, stdout, stderr: '' });
});

test.each([[['--help']], [['serve', '--help']], [['runs', '--help']], [['help', 'runs']], [['runs', 'help', 'list']]])(
  '%j prints help and succeeds',
  async (args) => {
    expect(await facteur(args)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Usage: facteur'),
      stderr: '',
    });
  },
);

test.each([
  [['sreve'], "unknown command 'sreve'"],
  [['serve', '--port', '80'], "unknown option '--port'"],
  [['serve', 'now'], 'too many arguments'],
  [['serve', '--config'], 'argument missing'],
  [['send', 'event'], "missing required argument 'file'"],
  [['send', 'event', '-', '--url', 'facteur'], 'It must be a URL such as http://127.0.0.1:8080'],
  [['runs'], 'Usage: facteur runs'],
  [[], 'Usage: facteur'],
])('%j is wrong usage', async (args, said) => {
  const { code, stdout, stderr } = await facteur(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(said);
});

describe('serve', () => {
  test('without a configuration: 1, with everything that is missing at once', async () => {
    const { code, stderr } = await facteur(['serve'], {});
    expect(code).toBe(1);
    expect(stderr).toContain('postgres DSN is required; set FACTEUR_POSTGRES_DSN or configure postgres.dsn');
    for (const key of ['discord.bot_token', 'redis.url', 'argo.namespace', 'argo.workflow_template']) {
      expect(stderr).toContain(key);
    }
  });

  test('with a configuration file that does not exist: 1, with its path', async () => {
    const path = join(folder.path, 'facteur.yaml');
    expect(await facteur(['serve', '--config', path])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`${path}: the file cannot be read: it does not exist`),
    });
  });

  test('without a kubeconfig: 1, in one line that names the places where it was looked for', async () => {
    const { code, stdout, stderr } = await facteur(['serve']);
    expect({ code, stdout }).toMatchObject({ code: 1 });
    for (const place of ['FACTEUR_KUBECONFIG', 'KUBECONFIG', 'in a cluster', '~/.kube/config']) {
      expect(stderr).toContain(place);
    }
    expect(stderr.split('\n')).toHaveLength(2);
  });

  test('with a kubeconfig that is of no use: 1, with its path and without its text', async () => {
    const path = join(folder.path, 'kubeconfig');
    writeFileSync(path, 'token: CANARY: [');
    const { code, stderr } = await facteur(['serve'], { ...TEST_ENV, FACTEUR_KUBECONFIG: path });
    expect({ code, stderr }).toEqual({ code: 1, stderr: `facteur: kubeconfig ${path}: not YAML\n` });
  });

  test('on a port that is taken: 1, with the address', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const env = { ...TEST_ENV, FACTEUR_DISABLE_DISPATCHER: '1', FACTEUR_SERVER_LISTEN_ADDRESS: address };
    const { code, stderr } = await facteur(['serve'], env);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(`^facteur: cannot listen on ${address}: .*EADDRINUSE`),
    });
  });

  test('stack traces are for those who ask', async () => {
    expect((await facteur(['serve'])).stderr).not.toMatch(/^ +at /m);
    expect((await facteur(['--debug', 'serve'])).stderr).toMatch(/^ +at /m);
  });
});

describe('config', () => {
  const check = async (yaml: string) => {
    const path = join(folder.path, 'facteur.yaml');
    writeFileSync(path, yaml);
    return facteur(['config', 'check', '--config', path]);
  };

  test('check succeeds when all is well', async () => {
    expect(await check('argo: {service_account: facteur}')).toMatchObject({ code: 0, stderr: '' });
  });

  test('check fails with every fault, its line and the nearest known key', async () => {
    const { code, stdout } = await check('argo:\n  namespce: x\nserver:\n  max_body_bytes: lots\n');
    expect(code).toBe(1);
    expect(stdout).toMatch(/facteur\.yaml:2.*namespce.*namespace/);
    expect(stdout).toMatch(/facteur\.yaml:4.*max_body_bytes/);
  });

  test('print needs nothing and tells no secret; schema is JSON', async () => {
    const printed = await facteur(['config', 'print'], { FACTEUR_DISCORD_BOT_TOKEN: 'CANARY' });
    expect(printed).toMatchObject({ code: 0, stdout: expect.stringContaining('***') });
    expect(printed.stdout).not.toContain('CANARY');
    expect(JSON.parse((await facteur(['config', 'schema'])).stdout)).toHaveProperty('properties.argo');
  });
});

describe('send and codex encode', () => {
  test('nobody listens: 1, with the address and without a stack', async () => {
    const file = join(folder.path, 'event.json');
    writeFileSync(file, '{"command":"plan"}');
    const { code, stderr } = await facteur(['send', 'event', file, '--url', 'http://127.0.0.1:1']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^facteur: http:\/\/127\.0\.0\.1:1 does not answer: .+\n$/);
  });

  test('a file that is not there: 1, with its name', async () => {
    const file = join(folder.path, 'nope.json');
    const run = await facteur(['send', 'event', file]);
    expect(run).toMatchObject({ code: 1, stderr: `facteur: ${file} cannot be read: there is no such file\n` });
  });

  test('a file that is no task: 1, with its name', async () => {
    const file = join(folder.path, 'task.json');
    writeFileSync(file, '{"stage": 7000000000}');
    const { code, stdout, stderr } = await facteur(['codex', 'encode', file]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`${file} is no CodexTask`);
  });
});

describe('the process itself', () => {
  test('a database without our tables: 1, with one line that says what to do', { timeout: 60_000 }, async () => {
    const env = { FACTEUR_POSTGRES_DSN: `pglite:${join(folder.path, 'empty')}` };
    for (const args of [
      ['runs', 'show', 'nope'],
      ['dead-letters', 'show', '1'],
    ]) {
      const { code, stderr } = await facteur(args, { ...TEST_ENV, ...env });
      expect(code).toBe(1);
      expect(stderr).toMatch(/^facteur: postgres: relation .* has "facteur migrate" been run\?\n$/);
    }
  });

  test(
    'a directory that another process has: 1 for the second, which says who has it',
    { timeout: 60_000 },
    async () => {
      const data = join(folder.path, 'postgres');
      await fillDirectory(data);
      const env = { FACTEUR_POSTGRES_DSN: `pglite:${data}`, FACTEUR_DISABLE_DISPATCHER: '1' };
      const first = new FacteurProcess({ env });
      onTestFinished(() => first.kill());
      await first.ready();
      expect(await facteur(['runs', 'list'], { ...TEST_ENV, ...env })).toEqual({
        code: 1,
        bytes: Buffer.alloc(0),
        stdout: '',
        stderr: `facteur: ${data} is in use by process ${first.pid}; stop that one first\n`,
      });
      first.signal('SIGINT');
      expect(await first.exited).toEqual({ code: 0, signal: null });
      // Migrated by the one before: nothing to do.
      expect(await facteur(['migrate'], { ...TEST_ENV, ...env })).toMatchObject({ code: 0, stdout: 'noop\n' });
    },
  );
});
