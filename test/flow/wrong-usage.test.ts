import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { runProgram } from '../support/cli.ts';
import { temporaryFolder } from '../support/facteur-process.ts';

// Exit code 2, and one line that names the mistake.

test.each([
  [['sreve'], "unknown command 'sreve'"],
  [['help', 'sreve'], "unknown command 'sreve' (did you mean serve?)"],
  [['sreve', '--help'], "unknown command 'sreve' (did you mean serve?)"],
  [['--debug', 'sreve', '--help'], "unknown command 'sreve' (did you mean serve?)"],
  [['--help', 'sreve'], "unknown command 'sreve' (did you mean serve?)"],
  [['runs', '--help', 'lsit'], 'unknown command \'lsit\' (did you mean list?); see "facteur runs --help"'],
  [['runs', 'help', 'lsit'], 'unknown command \'lsit\' (did you mean list?); see "facteur runs --help"'],
  [['serve', '--port', '80'], "unknown option '--port'"],
  [['serve', 'now'], 'too many arguments'],
  [['serve', '--config'], 'argument missing'],
  [['send', 'event'], "missing required argument 'file'"],
  [['send', 'event', '-', '--url', 'facteur'], 'Expected a URL such as http://127.0.0.1:8080'],
  [['send', 'command', 'plan', '--discord', 'nope'], 'Expected a URL such as http://127.0.0.1:8080'],
  [['report', 'check', 'tests', 'passed'], 'Allowed choices are pass, fail, waived'],
  [['report', 'anomaly', 'drift', 'maybe'], 'Allowed choices are pass, fail, waived'],
  [['report', 'router', 'retrieve', 'maybe'], 'Allowed choices are true, false'],
  [['runs'], 'Usage: facteur runs'],
  [[], 'Usage: facteur'],
])('%j is wrong usage', async (args, said) => {
  const { code, stdout, stderr } = await runProgram(args, {});
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(said);
});

test.each([
  [['runs', 'list', '--state', 'x'], '--state: unknown state x; expected live, '],
  [['runs', 'list', '--since', 'yesterday'], '--since: must be a duration'],
  [['runs', 'list', '--limit', '0'], '--limit: must be a whole number of at least 1'],
  [['runs', 'list', '--limit', '99999999'], '--limit: must be at most 9999999'],
  [['runs', 'list', '--json', 'titel'], '--json: unknown field "titel"; expected runId, '],
  [['runs', 'list', '--server', 'ftp://facteur'], '--server: must be an http or https URL'],
  [['runs', 'list', '--server', 'http://127.0.0.1:9', '--config', 'x'], '--config: a running facteur has its own'],
  [['runs', 'cancel', 'x', '--by', 'me', '--server', 'http://127.0.0.1:9'], '--by: the server records'],
  [['dead-letters', 'list', '--after', 'x'], 'invalid dead letter id x'],
  [['dead-letters', 'list', '--json', 'x'], '--json: unknown field "x"'],
  [['dead-letters', 'show', 'x'], 'invalid dead letter id x'],
  [['dead-letters', 'replay', '17', 'x'], 'invalid dead letter id x'],
  [['dead-letters', 'drop'], 'give the ids of dead letters, or --all'],
  [['refusals', 'list', '--before', 'x'], '--before: must be the id of a refusal'],
  [['refusals', 'list', '--limit', 'x'], '--limit: must be a whole number of at least 1'],
  [['approvals', 'list', '--limit', '-1'], '--limit: must be a whole number of at least 1'],
  [['knowledge', 'search', 'x', '--limit', '51'], '--limit: must be at most 50'],
  [['knowledge', 'show', 'x'], 'x: give the whole id of a reflection'],
  [['knowledge', 'trust', 'x'], 'x: give the whole id of a reflection'],
  [['knowledge', 'stats', '--days', '10000'], '--days: must be at most 9999'],
  [['knowledge', 'check', '--sample', '0'], '--sample: must be a whole number of at least 1'],
  [['maintain', '--older-than', 'x'], '--older-than: must be an age'],
  [['codex-listen', '--limit', 'x'], '--limit: must be a whole number of at least 1'],
  [['commands', 'sync', '--guild', '../x'], '--guild: must be the id of a server'],
  [['serve', '--only', 'x'], '--only: unknown role x'],
])('%j is wrong usage, even if the configuration is broken', async (args, said) => {
  const folder = temporaryFolder();
  onTestFinished(() => folder.remove());
  const path = join(folder.path, 'broken.yaml');
  writeFileSync(path, 'nothing: [');
  const { code, stdout, stderr } = await runProgram(args, { env: { FACTEUR_CONFIG_FILE: path } });
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(`facteur: ${said}`);
});

test('--config takes precedence over FACTEUR_SERVER', async () => {
  const env = { FACTEUR_SERVER: 'http://127.0.0.1:9' };
  const { code, stderr } = await runProgram(['runs', 'list', '--config', '/none.yaml'], { env });
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining('/none.yaml: cannot read the file') });
});
