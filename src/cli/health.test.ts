import { expect, onTestFinished, test, vi } from 'vitest';
import { runCommandLine } from '../../test/support/cli.ts';
import { healthCommand } from './health.ts';

const ask = async (listen: string, status: number, rest = '') => {
  const asked: string[] = [];
  const run = await runCommandLine(['health', '--config', 'f.yaml'], [healthCommand], {
    readFile: async () => Buffer.from(`server: { listen_address: "${listen}" }\n${rest}`),
    fetch: async (url) => {
      asked.push(String(url));
      return new Response('', { status });
    },
  });
  return { ...run, asked };
};

test.each([
  [':9090', 'http://127.0.0.1:9090/healthz'],
  ['0.0.0.0:9090', 'http://127.0.0.1:9090/healthz'],
  ['[::]:9090', 'http://127.0.0.1:9090/healthz'],
  ['[::1]:9090', 'http://[::1]:9090/healthz'],
  ['10.1.2.3:81', 'http://10.1.2.3:81/healthz'],
])('checks listen address %s at %s', async (listen, url) => {
  expect(await ask(listen, 200)).toMatchObject({ code: 0, stdout: '', stderr: '', asked: [url] });
  expect(await ask(listen, 503)).toMatchObject({ code: 1, stderr: `facteur: ${url}: HTTP 503\n` });
});

test('ignores an error in a group that serve does not read', async () => {
  const { code, stderr } = await ask(':9090', 200, 'consumer: { enabled: true }');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});

test('a server that does not answer in time is unhealthy', async () => {
  const late = new AbortController();
  const timeout = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(late.signal);
  onTestFinished(() => timeout.mockRestore());
  const { code, stderr } = await runCommandLine(['health'], [healthCommand], {
    fetch: async (_url, init) => {
      const { signal } = init as { readonly signal: AbortSignal };
      late.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
      return signal.aborted ? Promise.reject(signal.reason as Error) : new Response('');
    },
  });
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(/healthz: .*timeout\n$/) });
});
