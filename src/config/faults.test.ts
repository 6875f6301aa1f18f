import { CLOSED_ENV, faultsOf, loadYaml, MINIMAL_ENV } from '../../test/support/config.ts';
import { describe, expect, test } from 'vitest';
import { formatFault } from './fault.ts';
import { loadConfig } from './load.ts';
import { checkConfig } from './report.ts';

const VALID = 'the configuration is valid, with 2 warnings';

const TRACE_URL = 'must be an http:// or https:// URL with {trace_id} after the host, and without credentials';

const nothingToRead = async (): Promise<string> => {
  throw new Error('no file was named');
};

describe('errors', () => {
  test('a value of the wrong type is reported with its position', async () => {
    expect(await faultsOf('server:\n  max_body_bytes: lots\n')).toEqual([
      'facteur.yaml:2:19: server.max_body_bytes must be a whole number of at least 1',
    ]);
    expect(await faultsOf('', { FACTEUR_CONSUMER_ENABLED: 'yes' })).toEqual([
      'FACTEUR_CONSUMER_ENABLED: consumer.enabled must be true or false',
    ]);
  });

  test.each([
    ['server: 5', '1:9: server must be a map of keys'],
    ['- a', '1:1: the file must be a map of keys'],
    ['just text', '1:1: the file must be a map of keys'],
    ['server: { listen_address: [x] }', '1:27: server.listen_address must be text'],
    [
      'server: { listen_address: "8080" }',
      '1:27: server.listen_address must be an address such as :8080 or 127.0.0.1:8080',
    ],
    ['server: { intake_tokens: ["a", ""] }', '1:26: server.intake_tokens[1] must not be blank'],
    ['server: { intake_tokens: { a: b } }', '1:26: server.intake_tokens must be a list'],
    ['server: { max_body_bytes: 0 }', '1:27: server.max_body_bytes must be a whole number of at least 1'],
    ['server: { max_body_bytes: 1.5 }', '1:27: server.max_body_bytes must be a whole number of at least 1'],
    ['consumer: { max_wait: 1000 }', '1:23: consumer.max_wait must be a duration with a unit, such as 500ms or 1m30s'],
    ['consumer: { max_wait: 0s }', '1:23: consumer.max_wait must be a duration with a unit, such as 500ms or 1m30s'],
    [
      'consumer: { min_bytes: 9, max_bytes: 8 }',
      '1:24: consumer.min_bytes must not be greater than consumer.max_bytes',
    ],
    [
      'consumer: { enabled: true, brokers: [k:9092], group_id: g, topic: t, dlq: { enabled: true, topic: t } }',
      '1:99: consumer.dlq.topic must not be consumer.topic',
    ],
    ['consumer: { brokers: ["kafka:"] }', '1:23: consumer.brokers[0] must be HOST or HOST:PORT'],
    ['consumer: { brokers: ["kafka:99092"] }', '1:23: consumer.brokers[0] must be HOST or HOST:PORT'],
    ['argo: { max_active: 3000000000 }', '1:21: argo.max_active must be a whole number from 1 to 2147483647'],
    ['consumer: { brokers: ["kafka:0"] }', '1:23: consumer.brokers[0] must be HOST or HOST:PORT'],
    ['redis: { url: http://h }', '1:15: redis.url must be a redis://, rediss://, unix:// or memory:// URL'],
    [
      'redis: { url: redis://h/sessions }',
      '1:15: redis.url must have a number as its database, as in redis://HOST:6379/0',
    ],
    [
      'postgres: { dsn: mysql://h/d }',
      '1:18: postgres.dsn must be a postgres:// URL, a list such as host=… dbname=…, pglite:DIR or pglite:memory',
    ],
    [
      'postgres: { dsn: "postgres://h/d?sslmode=REQUIRE" }',
      '1:18: postgres.dsn has an unknown sslmode; expected disable, allow, prefer, require, verify-ca, verify-full',
    ],
    ['argo: { ui_url: argo.example.org }', '1:17: argo.ui_url must be an http:// or https:// URL'],
    ['telemetry: { trace_url: jaeger }', `1:25: telemetry.trace_url ${TRACE_URL}`],
    ['telemetry: { trace_url: "ftp://h/{trace_id}" }', `1:25: telemetry.trace_url ${TRACE_URL}`],
    ['telemetry: { trace_url: "https://h/trace/{traceId}" }', `1:25: telemetry.trace_url ${TRACE_URL}`],
    ['telemetry: { trace_url: "https://h-{trace_id}/" }', `1:25: telemetry.trace_url ${TRACE_URL}`],
    ['telemetry: { trace_url: "https://user:word@h/{trace_id}" }', `1:25: telemetry.trace_url ${TRACE_URL}`],
    ['argo: { parameters: { a: [b] } }', '1:26: argo.parameters.a must be text'],
    [
      'embeddings: { dimensions: 3072, url: http://h, model: m }',
      '1:27: embeddings.dimensions must be a whole number from 1 to 1536',
    ],
    ['embeddings: { url: http://h }', '1:20: embeddings.model is required when embeddings.url is set'],
    ['role_map: { plan: [], PLAN: [] }', '1:23: role_map.PLAN is a duplicate: names are compared without case'],
    ['server:\n  max_body_bytes: 1\n  max_body_bytes: 2', '3:3: server.max_body_bytes is a duplicate key'],
    ['? [a]\n: b', '1:3: the file has a key that is not text'],
    ['discord: { guild_id: *missing }', '1:22: discord.guild_id refers to an unknown anchor'],
  ])('%s', async (yaml, fault) => {
    // The environment would override the invalid values of these two.
    const env = {
      ...(yaml.startsWith('redis') ? { FACTEUR_REDIS_URL: '' } : {}),
      ...(yaml.startsWith('postgres') ? { FACTEUR_POSTGRES_DSN: '' } : {}),
    };
    expect(await faultsOf(yaml, env)).toEqual([`facteur.yaml:${fault}`]);
  });

  test.each([
    ['FACTEUR_ROLE_MAP', 'plan=1', 'role_map must be a JSON object'],
    ['FACTEUR_ROLE_MAP', '["plan"]', 'role_map must be a map'],
    ['FACTEUR_ROLE_MAP', '{"plan": ["1"], "plan": []}', 'role_map.plan is a duplicate key'],
    ['FACTEUR_ROLE_MAP', '{"__proto__": []}', 'role_map.__proto__ is not an allowed name'],
    ['FACTEUR_ARGO_PARAMETERS', '{"a": {"b": 1}}', 'argo.parameters.a must be text'],
    ['FACTEUR_SERVER_API_TOKENS', '["a"', 'server.api_tokens must be a JSON array or comma-separated text'],
    ['FACTEUR_SERVER_API_TOKENS', ' , ', 'server.api_tokens[0] must not be blank'],
    ['FACTEUR_DISCORD_BOT_TOKEN', ' ', 'discord.bot_token must not be blank'],
    ['FACTEUR_CONSUMER_MAX_ATTEMPTS', '5 times', 'consumer.max_attempts must be a whole number of at least 1'],
    [
      'FACTEUR_CONSUMER_SASL_MECHANISM',
      'gssapi',
      'consumer.sasl.mechanism must be one of plain, scram-sha-256, scram-sha-512',
    ],
    [
      'FACTEUR_ARGO_NAMESPACE',
      '../x',
      'argo.namespace must be a Kubernetes name: lower-case letters, digits, dashes and dots',
    ],
  ])('%s=%s', async (variable, value, fault) => {
    expect(await faultsOf('', { [variable]: value })).toEqual([`${variable}: ${fault}`]);
  });

  test('enabled sections require their keys, and the error has the position of the flag', async () => {
    const yaml =
      'consumer:\n  enabled: true\n  dlq: { enabled: true }\ncodex_listener:\n  enabled: true\n  sasl:\n    enabled: true';
    expect(await faultsOf(yaml)).toEqual([
      'facteur.yaml:2:12: consumer.brokers is required when enabled',
      'facteur.yaml:2:12: consumer.topic is required when enabled',
      'facteur.yaml:2:12: consumer.group_id is required when enabled',
      'facteur.yaml:3:19: consumer.dlq.topic is required when enabled',
      'facteur.yaml:5:12: codex_listener.brokers is required when enabled',
      'facteur.yaml:7:14: codex_listener.sasl.username is required when enabled',
      'facteur.yaml:7:14: codex_listener.sasl.password is required when enabled',
    ]);
  });

  test.each([
    ['server:\n\tlisten_address: x', 'facteur.yaml:2:1: invalid YAML: tabs are not allowed as indentation'],
    [
      'a: [1',
      'facteur.yaml:1:6: invalid YAML: the indentation does not match the lines above, or a bracket is not closed',
    ],
    [
      'discord:\n  bot_token: @canary',
      'facteur.yaml:2:14: invalid YAML: text that begins with this character must be quoted',
    ],
    ['discord:\n  bot_token: !canary x', 'facteur.yaml:2:14: invalid YAML: unknown tag; quote text that begins with !'],
    ['a: 1\n---\nb: 2', 'facteur.yaml:2:1: invalid YAML: the file contains more than one document (---)'],
  ])('invalid YAML: %j', async (yaml, fault) => {
    expect(await faultsOf(yaml)).toEqual([fault]);
  });

  test.each([
    ['ENOENT', 'cannot read the file: no such file'],
    ['EACCES', 'cannot read the file: permission denied'],
    ['EISDIR', 'cannot read the file: it is a directory'],
    ['EIO', 'cannot read the file: EIO: i/o error, read'],
  ])('a file that cannot be read (%s)', async (code, message) => {
    const readFile = async (): Promise<string> => {
      throw Object.assign(new Error(`${code}: i/o error, read`), { code });
    };
    await expect(loadConfig({ path: 'gone.yaml', env: {}, readFile })).rejects.toThrow(`gone.yaml: ${message}`);
  });

  test.each([
    ['in UTF-16', Buffer.from('\ufeffargo: { namespace: a }\n', 'utf16le')],
    ['not text', Buffer.from([0x93, 0xf1, 0x00, 0x11])],
  ])('a file that is %s', async (_, bytes) => {
    expect(await faultsOf(bytes.toString('utf8'))).toEqual([
      'facteur.yaml: the file is not UTF-8 text; save it as UTF-8',
    ]);
  });

  test('a merge key that refers to itself does not loop', async () => {
    const { warnings } = await loadYaml('argo: &a\n  <<: *a\n  service_account: x\n');
    expect(warnings).toEqual([]);
  });
});

test('the role map accepts the name of any command, including subcommands and letters beyond a to z', async () => {
  const named = async (name: string) => {
    const { warnings } = await loadYaml(`commands_from_templates: { namespaces: [a] }\nrole_map: { "${name}": [] }`);
    return warnings.map(formatFault);
  };
  for (const name of ['deploy', 'codex:run', 'deploy api', 'deploy db backup', 'prüfen', 'デプロイ']) {
    expect([name, await named(name)]).toEqual([name, []]);
  }
  for (const name of ['Prüfen', 'deploy  api', ' deploy', 'a b c d', 'a/b']) {
    expect(await named(name)).toEqual([`facteur.yaml:2:13: role_map.${name} is not a command name in lower case`]);
  }
});

test('does not compare the topics of a disabled consumer', async () => {
  const { warnings } = await loadYaml('consumer: { topic: t, dlq: { enabled: true, topic: t } }');
  expect(warnings).toEqual([]);
});

describe('warnings', () => {
  const yaml = "server:\n  listenAddress: ':1'\nbot_token: x\nrole_map: { plan: [admin] }\ndiscord: { guild_id: mine }";

  test('report unknown keys and variables and doubtful ids at start-up', async () => {
    expect(
      (await loadYaml('discord.guild_id: "1"\nserver: { intake_oidc.issuer: x }')).warnings.map(formatFault),
    ).toEqual([
      'facteur.yaml:1:1: discord.guild_id must not be one key with dots: put each part on a line of its own, indented below the one before',
      'facteur.yaml:2:11: server.intake_oidc.issuer must not be one key with dots: put each part on a line of its own, indented below the one before',
    ]);
    const { warnings } = await loadYaml(yaml, { FACTEUR_POSTGRES_DNS: 'x', FACTEUR_NONSENSE_VARIABLE: 'x' });
    expect(warnings.map(formatFault)).toEqual([
      'facteur.yaml:2:3: server.listenAddress is an unknown key; did you mean server.listen_address?',
      'facteur.yaml:3:1: bot_token is an unknown key; did you mean discord.bot_token?',
      'facteur.yaml:4:20: role_map.plan[0] is not a Discord role id (17 to 20 digits), so nobody has it',
      'facteur.yaml:5:22: discord.guild_id is not a Discord id (17 to 20 digits)',
      'FACTEUR_POSTGRES_DNS: unknown variable; did you mean FACTEUR_POSTGRES_DSN?',
      'FACTEUR_NONSENSE_VARIABLE: unknown variable',
    ]);
  });

  test('an unknown log level is a warning; its case does not matter', async () => {
    const warned = async (level: string) => {
      const { warnings } = await loadYaml('', { FACTEUR_LOG_LEVEL: level });
      return warnings.map(formatFault);
    };
    expect(await warned('verbose')).toEqual([
      'FACTEUR_LOG_LEVEL: must be one of debug, info, warn, error; the level is info',
    ]);
    expect(await warned('DEBUG')).toEqual([]);
  });

  test('a rule for an unknown command suggests the nearest one, at start-up and in config check', async () => {
    const rules =
      "role_map: { plna: ['123456789012345679'], deploy: [], ask: [] }\ncommands: { ask: { description: x } }";
    const expected = [
      'facteur.yaml:1:13: role_map.plna does not match any command, so it has no effect; did you mean plan?',
      'facteur.yaml:1:43: role_map.deploy does not match any command, so it has no effect',
    ];
    expect((await loadYaml(rules)).warnings.map(formatFault)).toEqual(expected);
    const checked = await checkConfig({ path: 'facteur.yaml', env: CLOSED_ENV, readFile: async () => rules });
    expect(checked).toMatchObject({ ok: true, lines: expected.map((line) => `warning: ${line}`).concat([VALID]) });
  });

  test('a role that is the id of the server is a warning, since nobody has it', async () => {
    const server = '300000000000000001';
    const { warnings } = await loadYaml(
      `role_map: { plan: ['500000000000000001', '${server}'] }\nknowledge: { reviewers: ['${server}'] }\n` +
        `commands_from_templates: { namespaces: [a], default_roles: ['${server}'] }`,
      { FACTEUR_DISCORD_GUILD_ID: server },
    );
    const why =
      'is the id of the server (@everyone), which Discord does not list among the roles of a member, so it admits nobody';
    expect(warnings.map(formatFault)).toEqual([
      `facteur.yaml:1:42: role_map.plan[1] ${why}`,
      `facteur.yaml:2:26: knowledge.reviewers[0] ${why}`,
      `facteur.yaml:3:61: commands_from_templates.default_roles[0] ${why}`,
    ]);
  });

  test('unknown keys and doubtful ids are errors in strict mode, as in config check', async () => {
    const options = { path: 'facteur.yaml', env: MINIMAL_ENV, readFile: async () => yaml, strict: true };
    await expect(loadConfig(options)).rejects.toMatchObject({
      faults: [
        { key: 'server.listenAddress' },
        { key: 'bot_token' },
        { key: 'role_map.plan[0]' },
        { key: 'discord.guild_id' },
      ],
    });
  });

  test('an error includes a warning that may explain it', async () => {
    const env = { FACTEUR_POSTGRES_DNS: 'pglite:memory' };
    await expect(loadConfig({ env, readFile: nothingToRead, require: ['postgres'] })).rejects.toMatchObject({
      message: expect.stringMatching(
        /^postgres DSN is required; .*; warning: FACTEUR_POSTGRES_DNS: .*FACTEUR_POSTGRES_DSN\?$/,
      ),
      faults: [{ key: 'postgres.dsn' }],
      warnings: [{ variable: 'FACTEUR_POSTGRES_DNS' }],
    });
  });

  test('variables of the deployment, the scripts and the cluster are ignored', async () => {
    const { warnings } = await loadYaml('', {
      FACTEUR_E2E_BASE_URL: 'x',
      FACTEUR_IMAGE_TAG: 'x',
      FACTEUR_SERVICE_HOST: '10.0.0.1',
      FACTEUR_REDIS_PORT_6379_TCP_ADDR: '10.0.0.2',
      FACTEUR_REDIS_PORT: 'tcp://10.0.0.2:6379',
      FACTEUR_UNSET: '',
    });
    expect(warnings).toEqual([]);
  });
});

test('keys to sign with are required to create workflows, but not to read the database', async () => {
  const yaml = 'server: { public_url: http://facteur-api.facteur.svc }';
  expect(await faultsOf(yaml)).toEqual([
    expect.stringContaining('server.run_token_keys is required when server.public_url is set'),
  ]);
  const read = { path: 'facteur.yaml', env: MINIMAL_ENV, readFile: async () => yaml, require: ['postgres'] } as const;
  expect((await loadConfig(read)).config.server.publicUrl).toBe('http://facteur-api.facteur.svc');
});
