import { execFileSync } from 'node:child_process';
import { Argument, Command, Option } from 'commander';
import { expect, test } from 'vitest';
import { runCommandLine } from '../../test/support/cli.ts';
import { completionCommand, completionsOf } from './completion.ts';
import { wordsOption } from './option-pairs.ts';
import { runsCommand } from './runs.ts';
import { systemClock } from '../base/clock.ts';
import type { WithStore } from './store-access.ts';

const program = new Command('facteur').option('--debug', 'x');
const runs = program.command('runs');
program.command('completion').addArgument(new Argument('<shell>').choices(['bash', 'zsh']));
runs
  .command('list')
  .addOption(wordsOption('--state <states>', 'x', { words: ['failed', 'error'], read: String }))
  .addOption(new Option('-o, --output <format>', 'x').choices(['wide', 'json']))
  .option('--watch', 'x');
runs.command('cancel').argument('<runs...>', 'x');
program.command('hidden', { hidden: true });

test.each<[string, readonly string[] | 'runs']>([
  ['', ['runs', 'completion', 'help']],
  ['completion ', ['bash', 'zsh']],
  ['runs list --state ', ['failed', 'error']],
  ['runs ', ['list', 'cancel', 'help']],
  ['runs list -', ['--state', '--output', '--watch', '--help']],
  ['runs list -o ', ['wide', 'json']],
  ['runs list --watch ', []],
  ['runs cancel ', 'runs'],
  ['runs cancel abc', 'runs'],
])('completes "%s"', (line, found) => {
  expect(completionsOf(program, line.split(' '))).toEqual(found);
});

const withoutStore: WithStore = () => Promise.reject(new Error('no store'));
const complete = async (...args: string[]) => runCommandLine(args, [completionCommand(withoutStore)]);

test('offers only candidates that begin with the last word', async () => {
  expect(await complete('complete', '--', 'com')).toMatchObject({ code: 0, stdout: 'completion\n', stderr: '' });
  expect((await complete('complete', '--', '--de')).stdout).toBe('--debug\n');
});

test('completes an item of a list after earlier items', async () => {
  const line = ['complete', '--', 'runs', 'list', '--state', 'failed,su'];
  const commands = [completionCommand(withoutStore), runsCommand(withoutStore, systemClock)];
  expect((await runCommandLine(line, commands)).stdout).toBe('failed,submitted\nfailed,succeeded\n');
});

test.each(['bash', 'zsh', 'fish'])('the script for %s calls facteur complete', async (shell) => {
  expect((await complete('completion', shell)).stdout).toMatch(/complete -- /);
});

test('bash completes with its script', async () => {
  const { stdout } = await complete('completion', 'bash');
  const script = `facteur() { printf 'list\\n'; }\n${stdout}COMP_WORDS=(facteur runs li); COMP_CWORD=2; _facteur; echo "$COMPREPLY"`;
  expect(execFileSync('bash', ['-c', script]).toString()).toBe('list\n');
});

test('bash calls facteur by the path that was typed', async () => {
  const { stdout } = await complete('completion', 'bash');
  const script = `/bin/facteur-1() { printf 'there\\n'; }\n${stdout}COMP_WORDS=(/bin/facteur-1 x); COMP_CWORD=1; _facteur /bin/facteur-1; echo "$COMPREPLY"`;
  expect(execFileSync('bash', ['-c', script]).toString()).toBe('there\n');
});

test('an unknown shell is a usage error', async () => {
  expect(await complete('completion', 'tcsh')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('bash, zsh, fish'),
  });
});
