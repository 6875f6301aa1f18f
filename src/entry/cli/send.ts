import { Option, type Command } from 'commander';
import { FacteurError, errorMessage } from '../../base/errors.ts';
import { readInput, type CliIo } from './io.ts';
import type { RegisterCommand } from './program.ts';

interface SendOptions {
  readonly url: string;
  readonly token?: string;
  readonly json?: boolean;
}

/** `facteur send event|codex-task FILE.json`: plays the outside world against a running facteur. */
export const sendCommand: RegisterCommand = (program, io) => {
  const send = program.command('send').description('play the outside world against a running facteur');
  for (const door of [
    { name: 'event', path: '/events', what: 'a CommandEvent' },
    { name: 'codex-task', path: '/codex/tasks', what: 'a CodexTask' },
  ]) {
    withTarget(send.command(door.name))
      .argument('<file>', `${door.what} as JSON; - reads standard input`)
      .description(`send ${door.what} to ${door.path}`)
      .action(async (file: string, options: SendOptions) => {
        const answer = await post(io, new URL(door.path, options.url), await readInput(io, file), options.token);
        printAnswer(io, answer, options.json === true);
      });
  }
};

function withTarget(command: Command): Command {
  return command
    .addOption(new Option('--url <url>', 'where facteur listens').env('FACTEUR_URL').default('http://127.0.0.1:8080'))
    .addOption(new Option('--token <token>', 'bearer token (server.intake_tokens)').env('FACTEUR_TOKEN'))
    .option('--json', 'print the answer as it came');
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

async function post(io: CliIo, url: URL, body: Buffer, token: string | undefined): Promise<Answer> {
  try {
    const response = await io.fetch(url, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      signal: AbortSignal.timeout(30_000),
    });
    return { status: response.status, body: await response.text() };
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new FacteurError('cli.unreachable', `${url.origin} does not answer: ${errorMessage(cause)}`, {
      retryable: true,
      cause: error,
    });
  }
}

function printAnswer(io: CliIo, { status, body }: Answer, asJson: boolean): void {
  io.stdout.write(asJson ? `${body}\n` : `${status} ${readable(body)}\n`);
  if (status >= 400) {
    throw new FacteurError('cli.refused', `facteur answered ${status}`, { retryable: status >= 500 });
  }
}

/** `key: value` lines of a flat JSON object, or the text as it is. */
function readable(body: string): string {
  try {
    const fields = Object.entries(JSON.parse(body) as Record<string, unknown>);
    return fields.map(([name, value]) => `\n  ${name}: ${String(value)}`).join('');
  } catch {
    return body;
  }
}
