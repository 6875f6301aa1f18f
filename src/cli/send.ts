import { STATUS_CODES } from 'node:http';
import { Option, type Command } from 'commander';
import { FacteurError } from '../base/errors.ts';
import { readInput, type CliIo } from './io.ts';
import type { RegisterCommand } from './program.ts';
import { registerSendCommand, type PlayDeps } from './send-command.ts';
import { post, urlOption, type PostAnswer } from './send-post.ts';
import { printable } from './table.ts';

interface SendOptions {
  readonly url: URL;
  readonly token?: string;
  readonly json?: boolean;
}

/** `facteur send event|codex-task FILE.json`, `send command NAME`: plays the outside world against a running facteur. */
export function sendCommand(deps: PlayDeps): RegisterCommand {
  return (program, io) => {
    const send = program.command('send').description('send commands, events and Codex tasks to a running facteur');
    registerSendCommand(send, io, deps);
    for (const door of [
      { name: 'event', path: '/events', what: 'a CommandEvent', example: 'examples/command-event.json' },
      { name: 'codex-task', path: '/codex/tasks', what: 'a CodexTask', example: 'examples/codex-task.json' },
    ]) {
      withTarget(send.command(door.name))
        .argument('<file>', `${door.what} as JSON; - reads standard input`)
        .description(`send ${door.what} to ${door.path}`)
        .addHelpText('after', `\nExamples:\n  facteur send ${door.name} ${door.example}`)
        .action(async (file: string, { url, token, json }: SendOptions) => {
          const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
          const headers = { 'content-type': 'application/json', ...authorization };
          const answer = await post(io, url, { path: door.path, body: await readInput(io, file), headers });
          printAnswer(io, answer, json === true);
        });
    }
  };
}

function withTarget(command: Command): Command {
  return command
    .addOption(urlOption())
    .addOption(new Option('--token <token>', 'bearer token (server.intake_tokens)').env('FACTEUR_TOKEN'))
    .option('--json', 'print the raw response');
}

function printAnswer(io: CliIo, { status, body }: PostAnswer, asJson: boolean): void {
  io.stdout.write(asJson ? `${body}\n` : `${status} ${STATUS_CODES[status] ?? ''}${readable(body)}\n`);
  if (status >= 300) {
    const hint = status === 401 ? '; set FACTEUR_TOKEN to one of its server.intake_tokens' : '';
    throw new FacteurError('cli.refused', `facteur answered ${status}${hint}`, { retryable: status >= 500 });
  }
}

/** `key: value` lines of a flat JSON object, or the text unchanged. */
function readable(body: string): string {
  try {
    const fields = Object.entries(JSON.parse(body) as Record<string, unknown>);
    return fields.map(([name, value]) => `\n  ${printable(name)}: ${printable(String(value))}`).join('');
  } catch {
    return body === '' ? '' : `\n  ${printable(body)}`;
  }
}
