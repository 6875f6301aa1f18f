import { expect, test } from 'vitest';
import { runCommandLine } from '../../test/support/cli.ts';
import { consumeCommand } from './consume.ts';

test('reports that the consumer is disabled, and succeeds', async () => {
  const { code, stdout, stderr } = await runCommandLine(['consume'], [consumeCommand(async () => undefined)]);
  expect([code, stdout, stderr]).toEqual([0, '', 'the consumer is disabled; set consumer.enabled to true to run it\n']);
});

test('runs until the signal is aborted, then closes', async () => {
  const stop = new AbortController();
  const seen: unknown[] = [];
  const start = async (_: unknown, configPath: string | undefined) => {
    seen.push(configPath);
    setImmediate(() => stop.abort());
    return { ready: Promise.resolve(), consumed: Promise.resolve(), close: async () => void seen.push('closed') };
  };
  const args = ['consume', '--config', 'f.yaml'];
  const { code } = await runCommandLine(args, [consumeCommand(start)], { signal: stop.signal });
  expect([code, seen]).toEqual([0, ['f.yaml', 'closed']]);
});

test('reports a fatal error in one line, with exit code 1', async () => {
  const start = async () => ({
    ready: Promise.resolve(),
    consumed: Promise.reject(new Error('kafka rejected the credentials')),
    close: async () => undefined,
  });
  const { code, stderr } = await runCommandLine(['consume'], [consumeCommand(start)]);
  expect([code, stderr]).toEqual([1, 'facteur: kafka rejected the credentials\n']);
});
