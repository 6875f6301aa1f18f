import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { commandsFor } from '../../src/cli/wiring.ts';
import type { CliIo } from '../../src/cli/io.ts';
import { runCommandLine, runProgram, type CliRun } from '../support/cli.ts';
import { fillDirectory } from '../support/database.ts';
import { TEST_ENV } from '../support/facteur.ts';
import { FacteurProcess, temporaryFolder } from '../support/facteur-process.ts';

// Exit code 0 on success, 2 on wrong usage, 1 otherwise; one clear line on stderr.

const KAFKA = {
  FACTEUR_CONSUMER_BROKERS: '127.0.0.1:1',
  FACTEUR_CONSUMER_TOPIC: 't',
  FACTEUR_CONSUMER_GROUP_ID: 'g',
};

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const facteur = (args: readonly string[], env: CliIo['env'] = TEST_ENV): Promise<CliRun> =>
  runProgram(args, { env, homeDir: folder.path });

test.each([
  [['version'], 'facteur 1.2.3 (abcdef0)\n'],
  [['--version'], 'facteur 1.2.3 (abcdef0)\n'],
  [['-v'], 'facteur 1.2.3 (abcdef0)\n'],
  [['runs', '--version'], 'facteur 1.2.3 (abcdef0)\n'],
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

test('help shows no empty defaults', async () => {
  const { stdout } = await facteur(['submit', '--help']);
  expect(stdout).toMatch(/--roles <ids> +role ids of the user/);
  expect(stdout).not.toMatch(/default: (?:""|\[\])/);
  expect((await facteur(['runs', 'list', '--help'])).stdout).toContain('maximum number to show (default: 20)');
});

test('the help of every command has an example', async () => {
  const program = new Command('facteur').exitOverride();
  const io = { stdout: { write: () => undefined, isTTY: false }, env: {} } as unknown as CliIo;
  (await commandsFor([], { version: '1', commit: '2' })).forEach((register) => register(program, io));
  const leaves = (command: Command): Command[] =>
    command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);
  const without: string[] = [];
  for (const command of program
    .createHelp()
    .visibleCommands(program)
    .filter((one) => one.name() !== 'help')
    .flatMap(leaves)) {
    let help = '';
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
    if (!help.includes('\nExamples:\n  ')) {
      without.push(command.name());
    }
  }
  expect(without).toEqual([]);
});

describe('serve', () => {
  test('without a configuration: exits with 1 and lists everything that is missing', async () => {
    const { code, stderr } = await facteur(['serve'], {});
    expect(code).toBe(1);
    expect(stderr).toContain('postgres DSN is required; set FACTEUR_POSTGRES_DSN or configure postgres.dsn');
    for (const key of ['discord.bot_token', 'redis.url', 'argo.namespace', 'argo.workflow_template']) {
      expect(stderr).toContain(key);
    }
    expect(stderr).toMatch(
      /; warning: no configuration file was read; name one with --config or FACTEUR_CONFIG_FILE\n$/,
    );
  });

  test('with a missing configuration file: exits with 1 and names its path', async () => {
    const path = join(folder.path, 'facteur.yaml');
    expect(await facteur(['serve', '--config', path])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`${path}: cannot read the file: no such file`),
    });
  });

  test('without a kubeconfig: exits with 1 and names the places it looked at, in one line', async () => {
    const { code, stdout, stderr } = await facteur(['serve']);
    expect({ code, stdout }).toMatchObject({ code: 1 });
    for (const place of ['FACTEUR_KUBECONFIG', 'KUBECONFIG', 'in a cluster', '~/.kube/config']) {
      expect(stderr).toContain(place);
    }
    expect(stderr.split('\n')).toHaveLength(2);
  });

  test('with an invalid kubeconfig: exits with 1 and prints its path but none of its text', async () => {
    const path = join(folder.path, 'kubeconfig');
    writeFileSync(path, 'token: CANARY: [');
    const { code, stderr } = await facteur(['serve'], { ...TEST_ENV, FACTEUR_KUBECONFIG: path });
    expect({ code, stderr }).toEqual({ code: 1, stderr: `facteur: kubeconfig ${path}: not YAML, at line 1\n` });
  });

  test('on a port in use: exits with 1 and names the address', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const env = { ...TEST_ENV, FACTEUR_DISABLE_DISPATCHER: '1', FACTEUR_SERVER_LISTEN_ADDRESS: address };
    const { code, stderr } = await facteur(['serve'], env);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(`^facteur: server.listen_address: cannot listen on ${address}: .*EADDRINUSE`),
    });
  });

  test('reports that it has started, and exits on a signal', async () => {
    const data = join(folder.path, 'postgres');
    await fillDirectory(data);
    const env = {
      ...TEST_ENV,
      FACTEUR_POSTGRES_DSN: `pglite:${data}`,
      FACTEUR_DISABLE_DISPATCHER: '1',
      FACTEUR_SERVER_LISTEN_ADDRESS: '127.0.0.1:0',
    };
    const stop = new AbortController();
    const onStarted = vi.fn<() => void>(() => stop.abort());
    const commands = await commandsFor(['serve'], { version: '1.2.3', commit: '' });
    const { code, stdout } = await runCommandLine(['serve'], commands, { env, signal: stop.signal, onStarted });
    expect(code).toBe(0);
    expect(onStarted).toHaveBeenCalledOnce();
    expect(stdout).toContain('"message":"ready"');
    expect(stdout).toContain('discord.public_key is not configured: /discord/interactions answers 503');
  });

  test('prints a stack trace only with --debug', async () => {
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

  test('check succeeds if nothing is wrong', async () => {
    expect(await check('argo: {service_account: facteur}')).toMatchObject({ code: 0, stderr: '' });
  });

  test('check fails and prints every error with its line and the nearest known key', async () => {
    const { code, stdout } = await check('argo:\n  namespce: x\nserver:\n  max_body_bytes: lots\n');
    expect(code).toBe(1);
    expect(stdout).toMatch(/facteur\.yaml:2.*namespce.*namespace/);
    expect(stdout).toMatch(/facteur\.yaml:4.*max_body_bytes/);
  });

  test('check -o json gives the location of every problem', async () => {
    const path = join(folder.path, 'facteur.yaml');
    writeFileSync(path, 'argo:\n  namespce: x\n');
    const { code, stdout } = await facteur(['config', 'check', '--config', path, '-o', 'json'], {
      ...TEST_ENV,
      FACTEUR_REDIS_ULR: 'x',
    });
    const { ok, problems } = JSON.parse(stdout) as { ok: boolean; problems: readonly Record<string, unknown>[] };
    expect({ code, ok }).toEqual({ code: 1, ok: false });
    expect(problems).toEqual([
      expect.objectContaining({ severity: 'error', file: path, line: 2, key: 'argo.namespce' }),
      expect.objectContaining({
        severity: 'warning',
        variable: 'FACTEUR_REDIS_ULR',
        message: expect.stringContaining('FACTEUR_REDIS_URL'),
      }),
    ]);
  });

  test('print needs no configuration and hides secrets; schema prints JSON', async () => {
    const printed = await facteur(['config', 'print'], { FACTEUR_DISCORD_BOT_TOKEN: 'CANARY' });
    expect(printed).toMatchObject({ code: 0, stdout: expect.stringContaining('***') });
    expect(printed.stdout).not.toContain('CANARY');
    expect(JSON.parse((await facteur(['config', 'schema'])).stdout)).toHaveProperty('properties.argo');
  });
});

describe('a mistyped key', () => {
  const said = 'redis.ulr is an unknown key; did you mean redis.url?';

  const typo = async (args: readonly string[], env: CliIo['env'] = {}): Promise<CliRun> => {
    const path = join(folder.path, 'facteur.yaml');
    writeFileSync(path, 'redis: {ulr: "memory://"}');
    return facteur([...args, '--config', path], env);
  };
  const RUNS = { ...TEST_ENV, FACTEUR_POSTGRES_DSN: 'pglite:memory' };

  test.each([
    ...['migrate', 'maintain', 'codex-listen', 'runs list', 'dead-letters list', 'commands list', 'explain plan'],
    'config print',
  ])('is named by %s on stderr', async (line) => {
    // The warning comes before any connection, so no server needs to run.
    const { stderr } = await typo(line.split(' '), { ...RUNS, FACTEUR_POSTGRES_DSN: 'postgres://127.0.0.1:1/none' });
    expect(stderr).toMatch(/^facteur: warning: .*facteur\.yaml:1:9: /);
    expect(stderr.split('\n')[0]).toContain(said);
  });

  test.each(['serve', 'consume'])('is named by %s in its log', async (command) => {
    const { stdout } = await typo([command], RUNS);
    const lines = stdout.split('\n').filter((line) => line.includes(said));
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({ level: 'warn', message: expect.stringContaining(said) }),
    ]);
  });

  test.each(['serve', 'consume'])('is named by %s beside the key that is missing because of it', async (command) => {
    const env = { ...RUNS, FACTEUR_REDIS_URL: '', FACTEUR_CONSUMER_ENABLED: 'true', ...KAFKA };
    const { code, stderr } = await typo([command], env);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(
        /^facteur: redis\.url is required; .*redis\.ulr is an unknown key; did you mean redis\.url\?\n$/,
      ),
    });
  });
});

test('a disabled consumer needs no configuration', async () => {
  expect(await facteur(['consume'], {})).toMatchObject({
    code: 0,
    stderr: 'the consumer is disabled; set consumer.enabled to true to run it\n',
  });
});

test.each<[string, string]>([
  ['an enabled group that is incomplete', 'codex_listener: {enabled: true, brokers: []}'],
  ['a value of the wrong type', 'server: {max_body_bytes: many}'],
  ['an invalid value', 'argo: {ui_url: "not a url"}'],
  ['a role map of the wrong shape', 'role_map: plan'],
  ['invalid values in its own group', 'consumer: {enabled: false, brokers: [":x"], max_attempts: -1}'],
])('a disabled consumer ignores %s', async (_what, text) => {
  const path = join(folder.path, 'facteur.yaml');
  writeFileSync(path, text);
  expect(await facteur(['consume', '--config', path], {})).toMatchObject({
    code: 0,
    stdout: '',
    stderr: 'the consumer is disabled; set consumer.enabled to true to run it\n',
  });
});

test.each(['consumer: {enabled: perhaps}', 'consumer: [1]', 'consumer: {enabled: false'])(
  'consume fails if it cannot tell whether it is enabled: %s',
  async (text) => {
    const path = join(folder.path, 'facteur.yaml');
    writeFileSync(path, text);
    expect(await facteur(['consume', '--config', path], {})).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^facteur: .*facteur\.yaml:\d+/),
    });
  },
);

describe('send and codex encode', () => {
  test('no server: exits with 1 and prints the address but no stack trace', async () => {
    const file = join(folder.path, 'event.json');
    writeFileSync(file, '{"command":"plan"}');
    const { code, stderr } = await facteur(['send', 'event', file, '--url', 'http://127.0.0.1:1']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^facteur: http:\/\/127\.0\.0\.1:1 does not answer: .+\n$/);
  });

  test('no token: exits with 1 and names the variable to set', async () => {
    const server = createHttpServer((_request, response) => response.writeHead(401).end('{"error":"unauthorized"}'));
    server.listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    const file = join(folder.path, 'event.json');
    writeFileSync(file, '{"command":"plan"}');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    expect(await facteur(['send', 'event', file, '--url', url])).toMatchObject({
      code: 1,
      stdout: '401 Unauthorized\n  error: unauthorized\n',
      stderr: 'facteur: facteur answered 401; set FACTEUR_TOKEN to one of its server.intake_tokens\n',
    });
  });

  test('a missing file: exits with 1 and names it', async () => {
    const file = join(folder.path, 'nope.json');
    const run = await facteur(['send', 'event', file]);
    expect(run).toMatchObject({ code: 1, stderr: `facteur: cannot read ${file}: no such file\n` });
  });

  test('a file that is not a task: exits with 1 and names it', async () => {
    const file = join(folder.path, 'task.json');
    writeFileSync(file, '{"stage": 7000000000}');
    const { code, stdout, stderr } = await facteur(['codex', 'encode', file]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain(`${file} is not a CodexTask`);
  });
});

describe('the process itself', () => {
  test('a database without tables: exits with 1 and says what to do, in one line', async () => {
    const empty = join(folder.path, 'empty');
    await fillDirectory(empty, { migrated: false });
    const env = { FACTEUR_POSTGRES_DSN: `pglite:${empty}` };
    for (const args of [
      ['runs', 'show', 'nope'],
      ['dead-letters', 'show', '1'],
    ]) {
      const { code, stderr } = await facteur(args, { ...TEST_ENV, ...env });
      expect(code).toBe(1);
      expect(stderr).toMatch(/^facteur: postgres: relation .* has "facteur migrate" been run\?\n$/);
    }
  });

  test('a directory in use: the second process exits with 1 and names the first', async () => {
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
      stderr: `facteur: ${data} is in use by process ${first.pid}; stop it first\n`,
    });
    first.signal('SIGINT');
    expect(await first.exited).toEqual({ code: 0, signal: null });
    // Already migrated: nothing to do.
    expect(await facteur(['migrate'], { ...TEST_ENV, ...env })).toMatchObject({ code: 0, stdout: 'noop\n' });
  });
});

test.each([
  ['config-check-sslmode.dsn.txt', 'FACTEUR_POSTGRES_DSN', 'postgres.dsn has an unknown sslmode'],
  ['redis-db-name.redis.txt', 'FACTEUR_REDIS_URL', 'redis.url must have a number as its database'],
])('both config check and serve reject the value in %s', async (file, variable, why) => {
  const text = await readFile(new URL(`../cases/${file}`, import.meta.url), 'utf8');
  const env = { ...TEST_ENV, [variable]: text.trim().replace('REDISPORT', '6379') };
  expect(await facteur(['config', 'check'], env)).toMatchObject({ code: 1, stdout: expect.stringContaining(why) });
  expect(await facteur(['serve'], env)).toMatchObject({ code: 1, stderr: expect.stringContaining(why) });
});

test.each([[['config', 'check']], [['config', 'print']]])(
  '%j: a key in the file cannot control the terminal',
  async (args) => {
    const path = join(folder.path, 'facteur.yaml');
    writeFileSync(path, '"\\e[2J\\u202e": 1\n');
    const { stdout, stderr } = await facteur([...args, '--config', path]);
    expect(stdout + stderr).toContain('\\u001b[2J\\u202e is an unknown key');
    expect(stdout + stderr).not.toMatch(/[\u001b\u202e]/);
  },
);
