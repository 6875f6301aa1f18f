import { expect, test, vi } from 'vitest';
import { runCommandLine } from '../../test/support/cli.ts';
import { serveHttp } from '../../test/support/serve-http.ts';
import { reportCommand } from './report.ts';

const TOKEN = ['', Buffer.from('{"sub":"a-run"}').toString('base64url'), ''].join('.');

test('a report that gets no answer is sent again', async () => {
  let asked = 0;
  await using server = await serveHttp((_request, response) => {
    asked += 1;
    if (asked > 1) {
      response.end('{}');
    }
  });
  const [late, inTime] = [new AbortController(), new AbortController()];
  const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValueOnce(late.signal).mockReturnValue(inTime.signal);
  void vi.waitUntil(() => asked === 1).then(() => late.abort(new DOMException('too late', 'TimeoutError')));
  const timer = { elapsedMs: () => 0, sleep: async () => undefined };
  const sent = await runCommandLine(
    ['report', 'event', 'tests.passed'],
    [reportCommand({ timer, random: () => 0.5 })],
    { env: { FACTEUR_URL: server.url, FACTEUR_TOKEN: TOKEN } },
  );
  expect([sent.code, sent.stderr, asked]).toEqual([0, '', 2]);
  expect(timeout.mock.calls).toEqual([[30_000], [30_000]]);
});
