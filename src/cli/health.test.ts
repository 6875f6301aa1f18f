import { expect, test } from 'vitest';
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
])('%s of the file is asked at %s', async (listen, url) => {
  expect(await ask(listen, 200)).toMatchObject({ code: 0, stdout: '', stderr: '', asked: [url] });
  expect(await ask(listen, 503)).toMatchObject({ code: 1, stderr: `facteur: ${url}: HTTP 503\n` });
});

test('what is wrong in a group that serve does not read makes nobody unhealthy', async () => {
  const { code, stderr } = await ask(':9090', 200, 'consumer: { enabled: true }');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});
