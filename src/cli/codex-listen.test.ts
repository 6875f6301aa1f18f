import { expect, test } from 'vitest';
import { runCommandLine } from '../../test/support/cli.ts';
import { codexListenCommand, type CodexListenRequest } from './codex-listen.ts';

const TASK = {
  key: 'k\u001b[2J',
  stage: 'CODEX_TASK_STAGE_IMPLEMENTATION',
  repository: 'acme/rocket',
  issue: '7',
  task: '{"prompt":"Mend\\nit"}',
};

async function run(...args: string[]) {
  const requests: CodexListenRequest[] = [];
  const command = codexListenCommand(async (_, request) => {
    requests.push(request);
    request.print(TASK);
  });
  return { ...(await runCommandLine(['codex-listen', ...args], [command])), requests };
}

test('prints one line per task, as the Go service does, and escapes what would move the cursor', async () => {
  const { code, stdout, requests } = await run();
  expect(stdout).toBe(
    'codex task key=k\\u001b[2J stage=CODEX_TASK_STAGE_IMPLEMENTATION repo=acme/rocket issue=7 payload={"prompt":"Mend\\nit"}\n',
  );
  expect(code).toBe(0);
  expect(requests).toMatchObject([{ configPath: undefined, fromBeginning: false }]);
  expect(requests[0]).not.toHaveProperty('limit');
});

test('prints JSON, and passes the options on', async () => {
  const { stdout, requests } = await run('--json', '--from-beginning', '--limit', '3', '--config', 'f.yaml');
  expect(JSON.parse(stdout)).toEqual({ ...TASK, task: { prompt: 'Mend\nit' } });
  expect(requests).toMatchObject([{ configPath: 'f.yaml', fromBeginning: true, limit: 3 }]);
});

test.each(['0', '-1', 'many'])('--limit %s is a usage error', async (limit) => {
  const { code, requests } = await run('--limit', limit);
  expect([code, requests]).toEqual([2, []]);
});
