import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const PROJECT = 'facteur-services-[0-9a-f]{8}';
/** Variables that are already set: nothing is started for them. */
const NAMED = { FACTEUR_TEST_POSTGRES_DSN: 'postgres://named', FACTEUR_TEST_KAFKA_BROKERS: 'named:9092' };

/** A checkout like this one, without services, and a folder of fake executables that record their calls. */
let folder: string;

// Always in the same place, where Node.js finds its compile cache of the scripts.
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'facteur-compose-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

beforeEach(() => {
  mkdirSync(join(folder, 'bin'));
  mkdirSync(join(folder, 'engine'));
  mkdirSync(join(folder, 'checkout'));
  cpSync(join(ROOT, 'scripts'), join(folder, 'checkout/scripts'), { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(folder, 'checkout/package.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'checkout/node_modules'));
  docker();
  // The first server that the local mode starts. It need not get further than that.
  standIn('redis-server', 'exit 3');
});

afterEach(() => {
  removeContainers();
  for (const name of readdirSync(folder).filter((one) => one !== 'compiled')) {
    rmSync(join(folder, name), { recursive: true });
  }
});

function standIn(name: string, script: string): void {
  const path = join(folder, 'bin', name);
  writeFileSync(path, `#!/bin/bash\necho "${name} $*" >>'${folder}/calls'\n${script}\n`);
  chmodSync(path, 0o755);
}

/** Listens on the container's published ports, then prints its process id and keeps running. */
const CONTAINER = `
  const listen = (port) => new Promise((done) => require('node:net').createServer().listen(port, '127.0.0.1', done));
  void Promise.all(process.argv.slice(2).map(listen)).then(() => console.log(process.pid));
  setInterval(() => {}, 1_000_000);
`;

/** A fake engine. Its containers are files with a process id. `cases` of a shell's `case "$*"` come before its own. */
function docker(cases = ''): void {
  const container = join(folder, 'container.cjs');
  writeFileSync(container, CONTAINER);
  standIn(
    'docker',
    `cd '${folder}/engine'
    ports=$(env | sed -n 's/^FACTEUR_SERVICES_.*_PORT=//p')
    case "$*" in
      ${cases}
      *' up '*)
        env -0 >"../environment-\${@: -1}"
        read -r pid < <(exec '${process.execPath}' '${container}' $ports 2>/dev/null </dev/null)
        echo $pid >"$3" ;;
      *' cp '*) echo 'the certificate' >"\${@: -1}" ;;
      *' down '*) [ ! -e "$3" ] || kill "$(cat "$3")"; rm -f "$3" ;;
      'ps '*) [[ "$*" =~ project=([^ ]*) ]] && cat "\${BASH_REMATCH[1]}" 2>/dev/null; true ;;
    esac`,
  );
}

function containers(): string[] {
  return readdirSync(join(folder, 'engine'));
}

function removeContainers(): void {
  for (const file of containers().map((project) => join(folder, 'engine', project))) {
    process.kill(Number(readFileSync(file, 'utf8')));
    rmSync(file);
  }
}

/** The calls of fake executables since the last call of this function. */
function calls(): string[] {
  const path = join(folder, 'calls');
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  rmSync(path, { force: true });
  return text.replaceAll(join(folder, 'checkout'), '.').split('\n').slice(0, -1);
}

function environment(env: Record<string, string>): Record<string, string> {
  const mine = Object.entries(process.env).filter(([name]) => !name.startsWith('FACTEUR_'));
  const path = `${join(folder, 'bin')}:${process.env['PATH']}`;
  // PgBouncer never runs in a container, and these tests should not install it.
  const named = { FACTEUR_TEST_PGBOUNCER: '/named', NODE_COMPILE_CACHE: join(folder, 'compiled') };
  return { ...(Object.fromEntries(mine) as Record<string, string>), PATH: path, ...named, ...env };
}

const script = (): string => join(folder, 'checkout/scripts/services.ts');

function services(args: readonly string[], env: Record<string, string> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script(), ...args], {
    env: environment(env),
    encoding: 'utf8',
  });
  return { status, out: stdout, err: stderr };
}

function exported(out: string): Record<string, string> {
  return Object.fromEntries([...out.matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name, value]) => [name, value]));
}

/** The variables that Compose got when it started the service. */
function told(service: string): Record<string, string> {
  const text = readFileSync(join(folder, `environment-${service}`), 'utf8');
  const all = text.split('\0').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
  return Object.fromEntries(all.filter(([name]) => name?.startsWith('FACTEUR_SERVICES_')));
}

const compose = (args: string): unknown =>
  expect.stringMatching(new RegExp(`^docker compose -p ${PROJECT} -f \\./scripts/services/compose\\.yaml ${args}$`));
const asked = expect.stringMatching(
  new RegExp(`^docker ps --quiet --filter label=com\\.docker\\.compose\\.project=${PROJECT} --filter health=healthy$`),
);
const FOUND = ['docker info', 'docker compose version'];

describe('with a running engine', () => {
  test('containers are started, shown, reused and removed', () => {
    const first = services(['up']);
    expect(first).toMatchObject({ status: 0, err: expect.stringContaining('starting kafka in a container') });
    expect(calls()).toEqual([
      ...FOUND,
      compose('up --wait --detach postgres'),
      compose('up --wait --detach redis'),
      compose('up --wait --detach kafka'),
      compose(`cp kafka:/tmp/facteur-kafka/ca\\.pem \\./\\.services/${PROJECT}/ca\\.pem`),
    ]);

    expect(services(['up']).out).toBe(first.out);
    expect(calls()).toEqual([asked, asked, asked]);
    const { FACTEUR_TEST_REDIS_URL: url = '', FACTEUR_TEST_KAFKA_CA_FILE: certificate = '' } = exported(first.out);
    expect(services(['status']).out).toContain(`redis: ${url}\n`);
    expect(readFileSync(certificate, 'utf8')).toBe('the certificate\n');

    calls();
    expect(services(['down']).status).toBe(0);
    expect(calls()).toEqual([compose('down --volumes'), compose('down --volumes'), compose('down --volumes')]);
    expect(containers()).toEqual([]);
    expect(existsSync(certificate)).toBe(false);
    expect(services(['status']).out).toBe(
      'postgres: not running\nredis: not running\nkafka: not running\npgbouncer: /named\n',
    );
    expect(readdirSync(join(folder, 'checkout/.services'))).toEqual(['cache']);
  });

  test('the variables are the same as for local servers, and have the ports that Compose got', () => {
    const variables = exported(services(['up']).out);
    const { FACTEUR_SERVICES_POSTGRES_PORT: port, FACTEUR_SERVICES_POSTGRES_PASSWORD: password } = told('postgres');
    const { FACTEUR_SERVICES_KAFKA_SCRIPT: steps, ...ports } = told('kafka');
    const at = (name: string): string => `127.0.0.1:${ports[`FACTEUR_SERVICES_KAFKA_${name}_PORT`]}`;
    expect(variables).toEqual({
      FACTEUR_TEST_POSTGRES_DSN: `postgres://postgres:${password}@127.0.0.1:${port}/postgres?sslmode=disable`,
      FACTEUR_TEST_REDIS_URL: `redis://127.0.0.1:${told('redis')['FACTEUR_SERVICES_REDIS_PORT']}`,
      FACTEUR_TEST_KAFKA_BROKERS: at('PLAIN'),
      FACTEUR_TEST_KAFKA_SASL_BROKERS: at('SASL'),
      FACTEUR_TEST_KAFKA_TLS_BROKERS: at('TLS'),
      FACTEUR_TEST_KAFKA_SASL_TLS_BROKERS: at('SASLTLS'),
      FACTEUR_TEST_KAFKA_SASL_USERNAME: 'facteur',
      FACTEUR_TEST_KAFKA_SASL_PASSWORD: 'facteur-test-password',
      FACTEUR_TEST_KAFKA_CA_FILE: expect.stringMatching(/\/ca\.pem$/),
      FACTEUR_TEST_PGBOUNCER: '/named',
    });
    expect(password).toMatch(/^[0-9a-f]{24}$/);
    expect(new Set(Object.values(variables)).size).toBe(10);
    expect(steps).toContain(
      `\nadvertised.listeners=PLAIN://${at('PLAIN')},SASL://${at('SASL')},TLS://${at('TLS')},SASLTLS://${at('SASLTLS')}\n`,
    );
  });

  test('uses variables that are already set', () => {
    expect(exported(services(['up'], NAMED).out)).toMatchObject(NAMED);
    expect(calls()).toEqual([...FOUND, compose('up --wait --detach redis')]);
  });

  test('run removes what it started', () => {
    const outcome = services(['run', '--', 'sh', '-c', 'echo "$FACTEUR_TEST_REDIS_URL"; exit 7'], NAMED);
    expect(outcome).toMatchObject({ status: 7, out: expect.stringMatching(/^redis:\/\/127\.0\.0\.1:\d+\n$/) });
    expect(calls()).toEqual([...FOUND, compose('up --wait --detach redis'), compose('down --volumes')]);
  });

  test('the next command removes the containers of a killed run', async () => {
    // The command ends when the test closes its standard input.
    const child = spawn(process.execPath, [script(), 'run', '--', 'sh', '-c', 'echo started; exec cat'], {
      env: environment(NAMED),
    });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    child.stdin.end();
    await once(child, 'close');
    expect(containers()).toHaveLength(1);
    calls();
    services(['status'], NAMED);
    expect(calls()).toEqual([compose('down --volumes')]);
    expect(containers()).toEqual([]);
  });

  test('the containers of an interrupted start are removed as well', () => {
    // Kills its caller, like an impatient user.
    docker("*' up '*) kill -KILL $PPID ;;");
    expect(services(['up'], NAMED).status).toBeNull();
    calls();
    services(['down'], NAMED);
    expect(calls()).toEqual([compose('down --volumes')]);
  });

  test('a missing container is cleaned up and started again', () => {
    services(['up'], NAMED);
    removeContainers();
    calls();
    expect(services(['up'], NAMED).status).toBe(0);
    expect(calls()).toEqual([asked, compose('down --volumes'), ...FOUND, compose('up --wait --detach redis')]);
    expect(containers()).toHaveLength(1);
  });

  test('a container that cannot be removed is kept in the state, and blocks nothing', () => {
    services(['up'], NAMED);
    docker('*) exit 1 ;;');
    expect(services(['down'], NAMED)).toMatchObject({ status: 1, err: expect.stringContaining('not stopped: redis') });
    // Uses the local mode, because the engine is down.
    services(['up'], NAMED);
    expect(calls().at(-1)).toMatch(/^redis-server /);
    docker();
    calls();
    expect(services(['down'], NAMED).status).toBe(0);
    expect(calls()).toEqual([compose('down --volumes')]);
    expect(containers()).toEqual([]);
  });
});

describe('starts local servers', () => {
  const local = expect.stringMatching(/^redis-server --port \d+ /);

  test.each([
    ['if there is no engine', 'info', ['docker info']],
    ['if there is no Compose', "'compose version'", FOUND],
  ])('%s', (_, failing, found) => {
    docker(`${failing}) exit 1 ;;`);
    expect(services(['up'], NAMED).err).toContain('redis-server did not become ready');
    expect(calls()).toEqual([...found, local]);
  });

  test('if FACTEUR_SERVICES is local', () => {
    services(['up'], { ...NAMED, FACTEUR_SERVICES: 'local' });
    expect(calls()).toEqual([local]);
  });

  test('if the container does not become healthy, and prints its last log lines', () => {
    docker("*' up '*) exit 1 ;;");
    expect(services(['up'], NAMED).err).toContain('going on without containers');
    expect(calls()).toEqual([
      ...FOUND,
      compose('up --wait --detach redis'),
      compose('logs --tail 15'),
      compose('down --volumes'),
      local,
    ]);
  });

  test('if the ports of containers are not reachable on this machine', () => {
    docker("*' up '*) ;;");
    expect(services(['up'], NAMED).err).toMatch(/port \d+ of this machine does not lead to it; going on without/);
    expect(calls()).toEqual([...FOUND, compose('up --wait --detach redis'), compose('down --volumes'), local]);
  });
});
