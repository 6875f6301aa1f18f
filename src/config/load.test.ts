import { loadYaml, MINIMAL_ENV } from '../../test/support/config.ts';
import fc from 'fast-check';
import { describe, expect, expectTypeOf, test } from 'vitest';
import type { Config, ConfigWith, PostgresConfig } from './config.ts';
import type { ConfigError } from './fault.ts';
import { formatFault } from './fault.ts';
import { DOORS } from './listeners.ts';
import { loadConfig } from './load.ts';

const nothingToRead = async (): Promise<string> => {
  throw new Error('no file was named');
};

describe('the sources of values', () => {
  test('the environment alone is enough', async () => {
    const { config, warnings } = await loadConfig({ env: MINIMAL_ENV, readFile: nothingToRead });
    expect(warnings).toEqual([]);
    expect(config.server).toMatchObject({ maxBodyBytes: 4_194_304 });
    expect(config.server.listeners).toEqual([{ key: 'server.listen_address', host: '', port: 8080, doors: DOORS }]);
    expect(config.discord.botToken.reveal()).toBe('token');
    expect(config.argo).toEqual({
      namespace: 'argo',
      workflowTemplate: 'facteur-dispatch',
      serviceAccount: '',
      parameters: {},
    });
    expect(config.codex).toEqual({
      enabled: false,
      autonomousWorkflowTemplate: 'codex-autonomous',
      autonomousNamePrefix: 'codex-autonomous-',
      judgePrompt: '',
      reports: true,
      reflections: false,
      parameters: {},
    });
    expect(config.consumer).toMatchObject({ enabled: false, maxAttempts: 5, maxBytes: 10_485_760, maxWaitMs: 1000 });
    expect(config).not.toHaveProperty('embeddings');
  });

  test('FACTEUR_CONFIG_FILE names the file when the caller does not', async () => {
    const env = { ...MINIMAL_ENV, FACTEUR_CONFIG_FILE: '/etc/facteur.yaml' };
    const readFile = async (path: string): Promise<string> => `server: { listen_address: ':${path.length}' }`;
    expect((await loadConfig({ env, readFile })).config.server.listeners[0].port).toBe('/etc/facteur.yaml'.length);
    expect((await loadConfig({ path: 'a', env, readFile })).config.server.listeners[0].port).toBe(1);
    expect((await loadConfig({ path: '', env, readFile })).config.server.listeners[0].port).toBe(
      '/etc/facteur.yaml'.length,
    );
    expect(
      (await loadConfig({ path: '', env: MINIMAL_ENV, readFile: nothingToRead })).config.server.listeners[0].port,
    ).toBe(8080);
  });

  test('a variable that is not empty wins over the file', async () => {
    const yaml = "server: { listen_address: ':1' }\nargo: { service_account: file }";
    const { config, sources } = await loadYaml(yaml, {
      FACTEUR_SERVER_LISTEN_ADDRESS: '127.0.0.1:2',
      FACTEUR_ARGO_SERVICE_ACCOUNT: '',
    });
    expect(config.server.listeners[0]).toMatchObject({ host: '127.0.0.1', port: 2 });
    expect(config.argo.serviceAccount).toBe('file');
    expect(sources['server.listen_address']).toEqual({ variable: 'FACTEUR_SERVER_LISTEN_ADDRESS' });
    expect(sources['argo.service_account']).toEqual({ file: 'facteur.yaml', line: 2, column: 26 });
    expect(sources).not.toHaveProperty('server.max_body_bytes');
  });

  test('the variables of libpq complete the DSN, as in the Go service, and are checked', async () => {
    const dsn = { FACTEUR_POSTGRES_DSN: 'dbname=kb' };
    const { config, shown } = await loadYaml('', { ...dsn, PGHOST: '/run/postgresql', PGPASSWORD: 'hunter2' });
    expect(config.postgres.dsn.reveal()).toBe("dbname=kb host='/run/postgresql' password='hunter2'");
    expect(JSON.stringify(shown)).not.toContain('hunter2');
    await expect(loadYaml('', { ...dsn, PGSSLMODE: 'hunter2' })).rejects.toThrow(
      /^postgres.dsn, completed by the PG variables of the environment, has an unknown sslmode; expected [a-z, -]+$/,
    );
  });

  test('white space around the DSN is ignored, as in the Go service', async () => {
    const { config } = await loadYaml('', { FACTEUR_POSTGRES_DSN: ' postgres://h/kb\n', PGUSER: 'kim' });
    expect(config.postgres.dsn.reveal()).toBe('postgres://h/kb?user=kim&');
  });

  test('an empty list is an empty map, and vice versa, as in the Go service', async () => {
    const yaml = 'role_map: { plan: {} }\nargo: { parameters: [] }\ncodex_listener: []';
    const { config } = await loadYaml(yaml);
    expect(config.roleMap).toEqual({ plan: [] });
    expect(config.argo.parameters).toEqual({});
    expect(config.codexListener.enabled).toBe(false);
  });

  test('a map in a variable is JSON and replaces the map of the file; the names of parameters keep their case', async () => {
    const yaml = 'argo: { parameters: { old: x } }\nrole_map: { plan: [] }';
    const { config } = await loadYaml(yaml, {
      FACTEUR_ARGO_PARAMETERS: '{\n\t"rawEvent": "",\n\t"constructor": "x",\n\t"count": 3\n}',
      FACTEUR_ROLE_MAP: '{"Deploy": [123456789012345678, "223456789012345678"]}',
    });
    expect(config.argo.parameters).toEqual({ rawEvent: '', constructor: 'x', count: '3' });
    expect(config.roleMap).toEqual({ deploy: ['123456789012345678', '223456789012345678'] });
    expect(config.roleMap['constructor']).toBeUndefined();
  });

  test('any JSON object of strings is kept unchanged, whatever its layout', async () => {
    const name = fc.string({ unit: 'binary', minLength: 1 }).filter((text) => text !== '__proto__');
    const map = fc.dictionary(name, fc.string({ unit: 'binary' }));
    await fc.assert(
      fc.asyncProperty(map, fc.constantFrom(0, 2, '\t'), async (parameters, indent) => {
        const env = { FACTEUR_ARGO_PARAMETERS: JSON.stringify(parameters, undefined, indent) };
        expect({ ...(await loadYaml('', env)).config.argo.parameters }).toEqual({ ...parameters });
      }),
    );
  });

  test.each([
    ['kafka-0:9092,kafka-1:9092', ['kafka-0:9092', 'kafka-1:9092']],
    [' kafka-0:9092 , kafka-1:9092, ', ['kafka-0:9092', 'kafka-1:9092']],
    ['["kafka-0:9092"]', ['kafka-0:9092']],
    ['[::1]:9092', ['[::1]:9092']],
  ])('a variable may contain the list %j', async (text, brokers) => {
    const { config } = await loadYaml('', { FACTEUR_CONSUMER_BROKERS: text });
    expect(config.consumer.brokers).toEqual(brokers);
  });

  test.each(['.5', '0.5', '5e-1', '5.E-1'])('the number %s is the same in a variable and in the file', async (text) => {
    expect((await loadYaml('', { FACTEUR_KNOWLEDGE_HOLDOUT: text })).config.knowledge.holdout).toBe(0.5);
    expect((await loadYaml(`knowledge: { holdout: ${text} }`)).config.knowledge.holdout).toBe(0.5);
  });

  test.each(['31', '031', '+31', '0x1F', '0o37', '3.1e1'])(
    'the whole number %s is the same in a variable and in the file',
    async (text) => {
      expect((await loadYaml('', { FACTEUR_ARGO_MAX_ACTIVE: text })).config.argo.maxActive).toBe(31);
      expect((await loadYaml(`argo: { max_active: ${text} }`)).config.argo.maxActive).toBe(31);
    },
  );

  test.each(['true', '1', 't', 'TRUE'])('the older name of a flag is accepted, as %s', async (value) => {
    const env = { FACTEUR_CODEX_ENABLE_IMPLEMENTATION_ORCHESTRATION: value };
    expect((await loadYaml('codex_implementation_orchestrator: { enabled: false }', env)).config.codex.enabled).toBe(
      true,
    );
  });

  test("the key's own variable wins over its older name", async () => {
    const env = {
      FACTEUR_CODEX_ENABLE_IMPLEMENTATION_ORCHESTRATION: 'true',
      FACTEUR_CODEX_IMPLEMENTATION_ORCHESTRATOR_ENABLED: 'false',
    };
    expect((await loadYaml('', env)).config.codex.enabled).toBe(false);
  });

  test.each([
    [undefined, false],
    ['', false],
    ['0', false],
    ['False', false],
    ['no', false],
    ['true', true],
    ['1', true],
    ['anything', true],
  ])('FACTEUR_DISABLE_DISPATCHER=%s is %s', async (value, disabled) => {
    expect((await loadYaml('', { FACTEUR_DISABLE_DISPATCHER: value })).config.dispatcherDisabled).toBe(disabled);
  });

  test('the kubeconfig variables and the build are passed on unchanged', async () => {
    const env = { FACTEUR_KUBECONFIG: '/a', KUBECONFIG: '/b:/c', FACTEUR_VERSION: '1.2.3', FACTEUR_COMMIT: 'abc' };
    expect((await loadYaml('', env)).config).toMatchObject({
      facteurKubeconfig: '/a',
      kubeconfig: '/b:/c',
      version: '1.2.3',
      commit: 'abc',
    });
  });

  test.each([
    ['without a model', '', 0.3],
    ['with an E5 model', 'embeddings: { url: http://x/v1, model: intfloat/multilingual-e5-small }', 0.84],
    ['with another model', 'embeddings: { url: http://x/v1, model: text-embedding-3-small }', 0.35],
    ['if it is set', 'embeddings: { url: http://x/v1, model: e5-large }\nknowledge: { min_similarity: 0.9 }', 0.9],
  ])('the minimum similarity %s', async (_where, yaml, expected) => {
    expect((await loadYaml(yaml)).config.knowledge.minSimilarity).toBe(expected);
  });
});

describe('the format of the file', () => {
  test('scalars keep their text, whatever their type in YAML', async () => {
    const yaml = [
      'discord: { guild_id: 987654321098765432 }',
      'argo: { parameters: { zip: 01234, yes: yes, flag: true, version: 1.10, nothing: , tilde: ~ } }',
      'role_map: { plan: [123456789012345679] }',
    ].join('\n');
    const { config } = await loadYaml(yaml);
    expect(config.discord.guildId).toBe('987654321098765432');
    expect(config.argo.parameters).toEqual({
      zip: '01234',
      yes: 'yes',
      flag: 'true',
      version: '1.10',
      nothing: '',
      tilde: '',
    });
    expect(config.roleMap).toEqual({ plan: ['123456789012345679'] });
  });

  test('keys are read in any case, as in the Go service, and names in maps keep theirs', async () => {
    const yaml = "Server: { Listen_Address: ':1' }\nARGO: { SERVICE_ACCOUNT: runner, Parameters: { rawEvent: x } }";
    const { config, warnings, sources } = await loadYaml(yaml);
    expect(warnings).toEqual([]);
    expect(config.server.listeners[0].port).toBe(1);
    expect(config.argo).toMatchObject({ serviceAccount: 'runner', parameters: { rawEvent: 'x' } });
    expect(sources['argo.service_account']).toMatchObject({ line: 2, column: 26 });
  });

  test('of keys that differ only in case, one counts, and the others are unknown', async () => {
    const { config, warnings } = await loadYaml('Argo: { max_active: 1 }\nargo: { max_active: 2, MAX_ACTIVE: 3 }');
    expect(config.argo.maxActive).toBe(2);
    expect(warnings.map(({ key }) => key)).toEqual(['Argo', 'argo.MAX_ACTIVE']);
    expect((await loadYaml('Argo: { max_active: 1 }\nARGO: { max_active: 2 }')).config.argo.maxActive).toBe(1);
  });

  test('quoted flags and numbers and comma-separated lists are read as in the Go service', async () => {
    const { config } = await loadYaml(
      "consumer: { enabled: 'true', max_attempts: '7', brokers: 'a:1,b:2', topic: t, group_id: g }",
    );
    expect(config.consumer).toMatchObject({ enabled: true, maxAttempts: 7, brokers: ['a:1', 'b:2'] });
  });

  test('a broker without a port gets the default port of Kafka, as in the Go service', async () => {
    const { config } = await loadYaml("codex_listener: { brokers: [kafka, 'kafka-1:9093', '[::1]', '[::1]:9094'] }");
    expect(config.codexListener.brokers).toEqual(['kafka:9092', 'kafka-1:9093', '[::1]:9092', '[::1]:9094']);
  });

  test('an empty value counts as absent', async () => {
    const yaml = "server: { listen_address: '' }\ndiscord: { guild_id: '', public_key: }\nrole_map: { plan: }\nredis:";
    const { config, warnings } = await loadYaml(yaml);
    expect(warnings).toEqual([]);
    expect(config.server.listeners[0].port).toBe(8080);
    expect(config.discord).not.toHaveProperty('guildId');
    expect(config.roleMap).toEqual({});
  });

  test('anchors, aliases and merge keys work, and own keys win', async () => {
    const yaml = [
      'consumer: &kafka',
      '  enabled: true',
      '  brokers: &brokers [a:1]',
      '  topic: commands',
      '  group_id: facteur',
      'codex_listener:',
      '  <<: { enabled: true, brokers: *brokers }',
      '  topic: tasks',
    ].join('\n');
    const { config } = await loadYaml(yaml);
    expect(config.codexListener).toMatchObject({ enabled: true, brokers: ['a:1'], topic: 'tasks' });
  });

  test('a file without content is valid', async () => {
    expect((await loadYaml('# nothing yet\n')).config.server.listeners[0].port).toBe(8080);
  });

  test('the Kafka groups sasl and tls are complete or absent', async () => {
    const yaml = `consumer:
  enabled: true
  brokers: [a:1]
  topic: t
  group_id: g
  max_wait: 250ms
  tls: { enabled: true, ca_file: /etc/kafka/ca.crt }
  sasl: { enabled: true, mechanism: SCRAM-SHA-512, username: u, password: p }
codex_listener:
  sasl: { mechanism: '', username: u }
  tls: { ca_file: /etc/kafka/ca.crt }
`;
    const { config } = await loadYaml(yaml);
    expect(config.consumer).toMatchObject({
      maxWaitMs: 250,
      tls: { insecureSkipVerify: false, caFile: '/etc/kafka/ca.crt' },
      sasl: { mechanism: 'scram-sha-512', username: 'u' },
    });
    expect(config.consumer.sasl?.password.reveal()).toBe('p');
    expect(config.codexListener).not.toHaveProperty('sasl');
    expect(config.codexListener).not.toHaveProperty('tls');
  });

  test('trailing slashes of URLs are removed', async () => {
    const { config } = await loadYaml('', {
      FACTEUR_ARGO_UI_URL: 'https://argo.example.org/',
      FACTEUR_EMBEDDINGS_URL: 'http://127.0.0.1:1/v1//',
      FACTEUR_EMBEDDINGS_MODEL: 'small',
    });
    expect(config.argo.uiUrl).toBe('https://argo.example.org');
    expect(config.embeddings).toEqual({
      url: 'http://127.0.0.1:1/v1',
      model: 'small',
      queryPrefix: '',
      passagePrefix: '',
      timeoutMs: 3000,
    });
  });

  test('a public key is kept in lower case, and any other text is only a warning', async () => {
    const key = 'AB'.repeat(32);
    expect((await loadYaml('', { FACTEUR_DISCORD_PUBLIC_KEY: key })).config.discord.publicKey).toBe(key.toLowerCase());
    const { config, warnings } = await loadYaml('discord:\n  public_key: your-discord-public-key');
    expect(config.discord).not.toHaveProperty('publicKey');
    expect(warnings.map(formatFault)).toEqual([
      'facteur.yaml:2:15: discord.public_key is not 64 hex digits, so /discord/interactions answers 503',
    ]);
    const blank = await loadYaml('', { FACTEUR_DISCORD_PUBLIC_KEY: '\n' });
    expect(blank.config.discord).not.toHaveProperty('publicKey');
    const padded = await loadYaml('', { FACTEUR_DISCORD_PUBLIC_KEY: `${'AB'.repeat(32)}\n` });
    expect(padded.config.discord.publicKey).toBe('ab'.repeat(32));
  });
});

describe('what each command requires', () => {
  test('migrate requires only the DSN, and its error has the known message', async () => {
    const options = { readFile: nothingToRead, require: ['postgres'] as const };
    await expect(loadConfig({ env: {}, ...options })).rejects.toMatchObject({
      code: 'config.invalid',
      message: 'postgres DSN is required; set FACTEUR_POSTGRES_DSN or configure postgres.dsn',
      faults: [{ key: 'postgres.dsn' }],
    });
    const { config } = await loadConfig({ env: { FACTEUR_POSTGRES_DSN: 'postgres://h/db' }, ...options });
    expect(config.postgres.dsn.reveal()).toBe('postgres://h/db');
    expect(config).not.toHaveProperty('discord');
    expectTypeOf(config.postgres).toEqualTypeOf<PostgresConfig>();
    expectTypeOf(config.redis).toEqualTypeOf<Config['redis'] | undefined>();
  });

  test('an error in a group that the command does not read is only a warning', async () => {
    const yaml = 'codex_listener: { enabled: true, brokers: [a:1], sasl: { enabled: true } }\nredis: { url: unused }';
    const source = {
      path: 'facteur.yaml',
      env: { FACTEUR_POSTGRES_DSN: 'postgres://h/db' },
      readFile: async () => yaml,
    };
    const { config, warnings } = await loadConfig({
      ...source,
      require: ['postgres'],
      reads: (group) => group === 'postgres',
    });
    expect(config.codexListener.enabled).toBe(false);
    expect(config).not.toHaveProperty('redis');
    expect(warnings.map(({ key }) => key)).toEqual([
      'codex_listener.sasl.username',
      'codex_listener.sasl.password',
      'redis.url',
    ]);
    const reading = loadConfig({ ...source, require: [], reads: (group) => group === 'codex_listener' });
    await expect(reading).rejects.toMatchObject({
      faults: [{ key: 'codex_listener.sasl.username' }, { key: 'codex_listener.sasl.password' }],
      warnings: [{ key: 'redis.url' }],
    });
    const broken = { ...source, readFile: async () => 'redis: unused\npostgres: [a]', env: {} };
    await expect(
      loadConfig({ ...broken, require: ['postgres'], reads: (group) => group === 'postgres' }),
    ).rejects.toMatchObject({ faults: [{ key: 'postgres' }], warnings: [{ key: 'redis' }] });
  });

  test('invalid variables of libpq do not stop a command that reads no database', async () => {
    const source = { env: { FACTEUR_POSTGRES_DSN: 'postgres://h/db', PGSSLMODE: 'no' }, readFile: nothingToRead };
    const { config, warnings } = await loadConfig({
      ...source,
      require: [],
      reads: (group) => group === 'codex_listener',
    });
    expect(config).not.toHaveProperty('postgres');
    expect(warnings.map(({ key }) => key)).toEqual(['postgres.dsn']);
    await expect(loadConfig({ ...source, require: ['argo'] })).rejects.toMatchObject({
      faults: expect.arrayContaining([expect.objectContaining({ key: 'postgres.dsn' })]),
    });
  });

  test('everything is required by default, and all that is missing is reported', async () => {
    const error = await loadConfig({ env: {}, readFile: nothingToRead }).catch((reason: unknown) => reason);
    expect((error as ConfigError).faults.map((fault) => fault.key)).toEqual([
      'discord.bot_token',
      'discord.application_id',
      'redis.url',
      'postgres.dsn',
      'argo.namespace',
      'argo.workflow_template',
    ]);
    expect((error as ConfigError).message).toContain('discord.application_id is required; set');
  });

  test('the whole configuration is a Config, which can be used where less is required', async () => {
    const { config } = await loadYaml('');
    expectTypeOf(config).toExtend<Config>();
    expectTypeOf<Config>().toExtend<ConfigWith<'postgres'>>();
    const nothing = await loadConfig({ env: {}, readFile: nothingToRead, require: [] });
    expect(Object.keys(nothing.config.commands)).toEqual(['plan', 'implement', 'review', 'status']);
  });
});
