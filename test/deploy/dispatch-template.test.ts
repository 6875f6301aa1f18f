import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { builtinCommands } from '../../src/domain/builtin-commands.ts';
import { DEPLOY, parseManifests } from './manifests.ts';

const [TEMPLATE] = parseManifests(readFileSync(join(DEPLOY, 'components/workflows/dispatch.yaml'), 'utf8'));
const SPEC = TEMPLATE!['spec'];
const { container } = SPEC.templates[0];
const VARIABLES: readonly { name: string; value?: string; valueFrom?: object }[] = container.env;

/** What a script would run, a shell would expand and JSON would break on. */
const HOSTILE = `'"; touch pwned; $(touch pwned) \`touch pwned\` \${IFS} $PATH \\ \n JSON\n{"a": 1} -n %s Objective: `;

describe('the dispatch template', () => {
  test('takes what users wrote into variables only, one parameter each', () => {
    const { env, ...rest } = container;
    expect(JSON.stringify(rest)).not.toContain('{{');
    const { templates, arguments: given, ...around } = SPEC;
    expect(templates).toHaveLength(1);
    expect(JSON.stringify({ around, given, others: { ...templates[0], container: {} } })).not.toContain('{{');
    const tagged = VARIABLES.filter(({ value }) => value?.includes('{{'));
    const names: string[] = given.parameters.map(({ name }: { name: string }) => name);
    expect(tagged).toEqual(
      names.map((name) => ({ name: `FACTEUR_${name.toUpperCase()}`, value: `{{workflow.parameters.${name}}}` })),
    );
    expect(env).toBe(VARIABLES);
  });

  test('sets what users wrote before any secret, so that $(NAME) finds none', () => {
    const last = VARIABLES.findLastIndex(({ value }) => value?.includes('{{'));
    const first = VARIABLES.findIndex(({ valueFrom }) => valueFrom !== undefined);
    expect(last).toBeLessThan(first);
    expect(VARIABLES.slice(0, last + 1).every(({ value }) => value?.includes('{{'))).toBe(true);
    expect(container.envFrom).toBeUndefined();
  });

  test('has a value for every parameter that the commands out of the box send', () => {
    const given = new Map<string, string>(
      SPEC.arguments.parameters.map((one: { name: string; value: string }) => [one.name, one.value]),
    );
    const sent = Object.values(builtinCommands()).flatMap((command) => command.options.map(({ name }) => name));
    expect(sent.length).toBeGreaterThan(5);
    expect([...sent, 'action', 'last_correlation_id', 'content', 'payload'].filter((name) => !given.has(name))).toEqual(
      [],
    );
    expect([...given.values()].filter((value) => typeof value !== 'string')).toEqual([]);
  });
});

describe('its script', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'dispatch-'));
    mkdirSync(join(folder, 'bin'));
    // As much of jq as the script asks for.
    executable(
      'jq',
      `
      const [, , , name, filter] = process.argv.slice(2);
      if (filter !== '.[$name] // empty') { throw new Error('unknown filter ' + filter); }
      const value = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))[name];
      if (value !== undefined && value !== null && value !== false) { console.log(String(value)); }`,
    );
    executable('codex-plan', `require('node:fs').writeFileSync('seen.json', JSON.stringify(process.env))`);
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  function executable(name: string, source: string): void {
    const path = join(folder, 'bin', name);
    writeFileSync(path, `#!${process.execPath}\n${source}\n`);
    chmodSync(path, 0o755);
  }

  /** What the agent finds in its environment after the script was run with these parameters. */
  function run(parameters: Readonly<Record<string, string>>): Record<string, string> {
    const given = Object.fromEntries(
      SPEC.arguments.parameters.map((one: { name: string; value: string }) => [one.name, one.value]),
    );
    const env = Object.entries({ ...given, ...parameters }).map(([name, value]) => [
      `FACTEUR_${name.toUpperCase()}`,
      value,
    ]);
    const [shell, flags, script] = container.args;
    expect([shell, flags]).toEqual(['/bin/bash', '-lc']);
    // Without -l: a developer's profile has no part in this.
    execFileSync(shell, ['-c', script], {
      cwd: folder,
      env: {
        PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
        ...Object.fromEntries(env),
        OUTPUT: '',
        PLAN_OUTPUT_PATH: join(folder, 'none'),
      },
      stdio: 'pipe',
    });
    return JSON.parse(readFileSync(join(folder, 'seen.json'), 'utf8'));
  }

  test('gives the agent the prompt of the payload, letter by letter, and runs none of it', () => {
    const payload = JSON.stringify({
      prompt: HOSTILE,
      title: HOSTILE,
      runId: '42',
      stage: 'implementation',
      postToGithub: true,
    });
    const seen = run({ action: 'plan', payload, content: 'not this' });
    expect(seen).toMatchObject({
      CODEX_PROMPT: HOSTILE,
      CODEX_STAGE: 'implementation',
      CODEX_RELAY_RUN_ID: '42',
      POST_TO_GITHUB: 'true',
    });
    expect(seen['ISSUE_TITLE']).toBe(HOSTILE);
    expect(existsSync(join(folder, 'pwned'))).toBe(false);
  });

  test('makes a prompt of the options of a command that brings no payload', () => {
    const seen = run({ action: 'review', project: HOSTILE, artifact: 'https://example.org/1' });
    expect(seen['CODEX_PROMPT']).toBe(`Action: review\nProject: ${HOSTILE}\nArtifact: https://example.org/1\n`);
    expect(seen).toMatchObject({
      CODEX_STAGE: 'planning',
      FACTEUR_ACTION: 'review',
      ISSUE_REPO: '',
      ISSUE_NUMBER: '',
      POST_TO_GITHUB: 'false',
    });
    expect(existsSync(join(folder, 'pwned'))).toBe(false);
  });

  test('takes the text of a form', () => {
    expect(run({ action: 'plan', content: HOSTILE })['CODEX_PROMPT']).toBe(HOSTILE);
  });

  test('fails with a payload that is no JSON', () => {
    expect(() => run({ payload: HOSTILE })).toThrow(/SyntaxError/);
    expect(existsSync(join(folder, 'seen.json'))).toBe(false);
  });
});
