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

/** The variable of a parameter. Parameters that facteur adds already have its prefix. */
const variableOf = (name: string): string => `FACTEUR_${name.replace(/^facteur_/, '').toUpperCase()}_BASE64`;

/** Text that a script would run, a shell would expand and that would break JSON. */
const HOSTILE = `'"; $$ $(GITHUB_TOKEN) $$(HOME) touch pwned; $(touch pwned) \`touch pwned\` \${IFS} $PATH \\ \n JSON\n{"a": 1} -n %s Objective: `;

describe('the dispatch template', () => {
  test('passes user input only in variables, one per parameter', () => {
    const { env, ...rest } = container;
    expect(JSON.stringify(rest)).not.toContain('{{');
    const { templates, arguments: given, ...around } = SPEC;
    expect(templates).toHaveLength(1);
    expect(JSON.stringify({ around, given, others: { ...templates[0], container: {} } })).not.toContain('{{');
    const tagged = VARIABLES.filter(({ value }) => value?.includes('{{'));
    const names: string[] = given.parameters.map(({ name }: { name: string }) => name);
    expect(tagged).toEqual(
      names.map((name) => ({ name: variableOf(name), value: `{{=sprig.b64enc(workflow.parameters.${name})}}` })),
    );
    expect(env).toBe(VARIABLES);
  });

  test('has a value for every parameter of the built-in commands', () => {
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
    // The part of jq that the script uses.
    executable(
      'jq',
      `
      const args = process.argv.slice(2);
      if (args[0] === '-rR') {
        const [, claims] = require('node:fs').readFileSync(0, 'utf8').split('.');
        console.log(JSON.parse(Buffer.from(claims, 'base64url')).sub);
        process.exit();
      }
      const [, , , name, filter] = args;
      if (filter !== '.[$name] // empty') { throw new Error('unknown filter ' + filter); }
      const value = JSON.parse(require('node:fs').readFileSync(0, 'utf8'))[name];
      if (value !== undefined && value !== null && value !== false) { console.log(String(value)); }`,
    );
    executable(
      'curl',
      `
      const sent = { args: process.argv.slice(2), stdin: require('node:fs').readFileSync(0, 'utf8') };
      require('node:fs').writeFileSync('report.json', JSON.stringify(sent));
      process.exit(22);`,
    );
    executable('codex-implement', `require('node:fs').writeFileSync('seen.json', JSON.stringify(process.env))`);
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  function executable(name: string, source: string): void {
    const path = join(folder, 'bin', name);
    writeFileSync(path, `#!${process.execPath}\n${source}\n`);
    chmodSync(path, 0o755);
  }

  /** Runs the script with these parameters. @returns the environment of the agent */
  function run(parameters: Readonly<Record<string, string>>): Record<string, string> {
    const given = Object.fromEntries(
      SPEC.arguments.parameters.map((one: { name: string; value: string }) => [one.name, one.value]),
    );
    const env = Object.entries({ ...given, ...parameters }).map(([name, value]) => [
      variableOf(name),
      Buffer.from(value).toString('base64'),
    ]);
    const [shell, flags, script] = container.args;
    expect([shell, flags]).toEqual(['/bin/bash', '-lc']);
    // Without -l: a developer's profile must have no effect.
    execFileSync(shell, ['-c', script], {
      cwd: folder,
      env: {
        PATH: `${join(folder, 'bin')}:${process.env['PATH']}`,
        ...Object.fromEntries(env),
        IMPLEMENTATION_OUTPUT_PATH: join(folder, 'none'),
      },
      stdio: 'pipe',
    });
    return JSON.parse(readFileSync(join(folder, 'seen.json'), 'utf8'));
  }

  test('passes the prompt of the payload to the agent unchanged, and runs none of it', () => {
    const payload = JSON.stringify({
      prompt: HOSTILE,
      title: HOSTILE,
      runId: '42',
      stage: 'review',
      postToGithub: 'TRUE',
    });
    const seen = run({ action: 'plan', payload, content: 'not this' });
    expect(seen).toMatchObject({
      CODEX_PROMPT: HOSTILE,
      CODEX_STAGE: 'review',
      CODEX_CHANNEL_RUN_ID: '42',
      POST_TO_GITHUB: 'true',
    });
    expect(seen['ISSUE_TITLE']).toBe(HOSTILE);
    expect(existsSync(join(folder, 'pwned'))).toBe(false);
  });

  test('builds a prompt from the options of a command without a payload', () => {
    const seen = run({ action: 'review', project: HOSTILE, artifact: 'https://example.org/1' });
    expect(seen['CODEX_PROMPT']).toBe(`Action: review\nProject: ${HOSTILE}\nArtifact: https://example.org/1\n`);
    expect(seen).toMatchObject({
      CODEX_STAGE: 'implementation',
      ISSUE_REPO: '',
      ISSUE_NUMBER: '',
      POST_TO_GITHUB: 'false',
    });
    expect(existsSync(join(folder, 'pwned'))).toBe(false);
  });

  test('reports once on its own run, and ignores a failed report', () => {
    const claims = Buffer.from(JSON.stringify({ sub: 'run-1' })).toString('base64url');
    const token = `head.${claims}.signature`;
    run({ action: 'plan', facteur_url: 'http://facteur-api.facteur.svc', facteur_token: token });
    const { args, stdin } = JSON.parse(readFileSync(join(folder, 'report.json'), 'utf8'));
    expect(args).toContain('http://facteur-api.facteur.svc/v1/runs/run-1/events');
    expect(args).toContain('{"type": "agent.finished"}');
    // Arguments are visible in the list of processes.
    expect(args.join(' ')).not.toContain(token);
    expect({ stdin, header: args[args.indexOf('@-') - 1] }).toEqual({
      stdin: `Authorization: Bearer ${token}\n`,
      header: '-H',
    });
  });

  test('reports nothing without a URL and a token', () => {
    run({ action: 'plan' });
    expect(existsSync(join(folder, 'report.json'))).toBe(false);
  });

  test('uses the text of a form as the prompt', () => {
    expect(run({ action: 'plan', content: HOSTILE })['CODEX_PROMPT']).toBe(HOSTILE);
  });

  test('fails without a prompt and options, like the Go service’s template without a prompt', () => {
    expect(() => run({})).toThrow(/neither a prompt nor options/);
    expect(existsSync(join(folder, 'seen.json'))).toBe(false);
  });

  test('fails with a payload that is not JSON', () => {
    expect(() => run({ payload: HOSTILE })).toThrow(/SyntaxError/);
    expect(existsSync(join(folder, 'seen.json'))).toBe(false);
  });
});
