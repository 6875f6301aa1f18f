import { expect, test } from 'vitest';
import { Refusal } from '../domain/refusal.ts';
import { changeEach } from './change-each.ts';
import type { CliIo } from './io.ts';
import { UsageError } from './program.ts';

test('an error names its target, and includes the details of a refusal', async () => {
  const apply = () => Promise.reject(new Refusal('command_changed', 'version must be one of v1, v2'));
  const change = { targets: ['17'], verb: 'retry', noun: 'run', nameOf: String, idOf: String, apply };
  await expect(changeEach(change, {}, {} as CliIo)).rejects.toThrow(
    /^run 17: command has changed: version must be one of v1, v2$/,
  );
});

test('a usage error stays one, however many targets there are', async () => {
  const apply = () => Promise.reject(new UsageError('--by: the server records the name of the token'));
  const change = { targets: ['17', '18'], verb: 'cancel', noun: 'run', nameOf: String, idOf: String, apply };
  await expect(changeEach(change, { yes: true }, {} as CliIo)).rejects.toThrow(UsageError);
});
