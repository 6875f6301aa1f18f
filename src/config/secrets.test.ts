import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadYaml, MINIMAL_ENV } from '../../test/support/config.ts';
import { ConfigError } from './fault.ts';
import { listKeys } from './keys.ts';
import { loadConfig } from './load.ts';
import { checkConfig, printConfig } from './report.ts';

const CANARY = 'c4n4ryValue';

/** Everything that an outcome could print: the message, the stack, every property, and what a logger would make of it. */
function everythingPrintable(outcome: unknown): string {
  const error = outcome instanceof Error ? `${outcome.message} ${outcome.stack} ${JSON.stringify(outcome)}` : '';
  return `${error} ${JSON.stringify(outcome)} ${inspect(outcome, { depth: 10, showHidden: true })}`;
}

async function outcomeOf(yaml: string, env: Record<string, string>): Promise<unknown> {
  return loadYaml(yaml, env).catch((error: unknown) => error);
}

describe('a secret', () => {
  test('is not printed if it is valid', async () => {
    const env = {
      FACTEUR_DISCORD_BOT_TOKEN: CANARY,
      FACTEUR_SERVER_INTAKE_TOKENS: `${CANARY}1,${CANARY}2`,
      FACTEUR_SERVER_API_TOKENS: `["${CANARY}", {"name": "board", "scope": "read", "token": "${CANARY}"}]`,
      FACTEUR_REDIS_URL: `redis://user:${CANARY}@redis:6379/0`,
      FACTEUR_POSTGRES_DSN: `postgres://user:${CANARY}@db/facteur?sslpassword=${CANARY}`,
      FACTEUR_CONSUMER_SASL_PASSWORD: CANARY,
      FACTEUR_CODEX_LISTENER_SASL_PASSWORD: CANARY,
      FACTEUR_EMBEDDINGS_API_KEY: CANARY,
      FACTEUR_EMBEDDINGS_URL: `https://user:${CANARY}@embeddings/v1`,
      FACTEUR_EMBEDDINGS_MODEL: 'small',
    };
    const result = await loadYaml('', env);
    expect(result.config.discord.botToken.reveal()).toBe(CANARY);
    // The only password outside of a `Secret` is in a URL that should not contain one.
    const { embeddings: _, ...config } = result.config;
    expect(everythingPrintable({ ...result, config })).not.toContain(CANARY);
    expect(printConfig(result, 'yaml')).not.toContain(CANARY);
    expect(printConfig(result, 'json')).not.toContain(CANARY);
    expect(printConfig(result, 'yaml')).toContain('redis://user:***@redis:6379/0');
  });

  test.each([
    `discord: { bot_token: [${CANARY}] }`,
    `discord: { bot_token: { ${CANARY}: x } }`,
    `discord:\n  bot_token: *${CANARY}`,
    `discord:\n  bot_token: !${CANARY} x`,
    `discord:\n  bot_token: @${CANARY}`,
    `discord:\n  bot_token: "\\q${CANARY}"`,
    `discord:\n  bot_token: "${CANARY}`,
    `discord:\n  bot_token: a: ${CANARY}`,
    `discord:\n  bot_token: x\n ${CANARY}`,
    `discord: ${CANARY}`,
    `redis: { url: 'http://user:${CANARY}@h' }`,
    `postgres: { dsn: 'postgres://user:${CANARY}@h:port/db' }`,
    `postgres: { dsn: 'host=h password=${CANARY}' }`,
    `server: { api_tokens: { a: ${CANARY} } }`,
    `consumer: { sasl: { enabled: true, mechanism: ${CANARY}, password: ${CANARY} } }`,
    `unknown: ${CANARY}`,
  ])('is not printed if it is invalid: %j', async (yaml) => {
    const env = { FACTEUR_DISCORD_BOT_TOKEN: '', FACTEUR_REDIS_URL: '', FACTEUR_POSTGRES_DSN: '' };
    const outcome = await outcomeOf(yaml, env);
    expect(outcome).toBeInstanceOf(ConfigError);
    expect(everythingPrintable(outcome)).not.toContain(CANARY);
  });

  test('is not printed for any text in any variable', async () => {
    const variables = listKeys().map((info) => info.variable);
    // Maps may happen to be valid, and then their values are not secrets but workflow parameters and role ids.
    const secretive = variables.filter((name) => !/PARAMETERS|ROLE_MAP|COMMANDS/.test(name));
    const shapes = [
      CANARY,
      `["${CANARY}"`,
      `{"a": "${CANARY}"}`,
      `{"${CANARY}`,
      `redis://u:${CANARY}@h`,
      `*${CANARY}`,
      `1${CANARY}`,
      ` ${CANARY}\n`,
    ];
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.constantFrom(...secretive), fc.constantFrom(...shapes)), async (env) => {
        const outcome = await outcomeOf('', env);
        const printed =
          outcome instanceof ConfigError
            ? everythingPrintable(outcome)
            : JSON.stringify((outcome as { warnings: unknown }).warnings);
        expect(printed).not.toContain(CANARY);
      }),
    );
  });

  test('is not in the report about a file of random text', async () => {
    const yaml = fc.array(
      fc.constantFrom(
        'discord:',
        '\n',
        '  ',
        'bot_token:',
        CANARY,
        ' ',
        '"',
        "'",
        '[',
        '{',
        '*',
        '&',
        '!',
        '-',
        ':',
        '#',
        '|',
      ),
      { maxLength: 30 },
    );
    await fc.assert(
      fc.asyncProperty(yaml, async (parts) => {
        // Without line breaks: in a key, it would not be a value.
        const text = `discord:\n  bot_token: ${parts.join('').replaceAll('\n', '')}\n`;
        const options = {
          path: 'f',
          env: { ...MINIMAL_ENV, FACTEUR_DISCORD_BOT_TOKEN: '' },
          readFile: async () => text,
        };
        const { lines } = await checkConfig(options);
        expect(lines.join('\n')).not.toContain(CANARY);
      }),
      { numRuns: 500 },
    );
  });

  test('the error about a file that cannot be read names the file', async () => {
    const readFile = async (): Promise<string> => {
      throw new TypeError('bad');
    };
    await expect(loadConfig({ path: 'f', env: {}, readFile })).rejects.toThrow('f: cannot read the file');
  });
});
