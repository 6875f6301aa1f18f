import type { IncomingMessage, ServerResponse } from 'node:http';
import { parseObject, readBody } from '../cluster/body.ts';
import { sendText } from '../simulation-server.ts';
import type { Command, Control } from './control.ts';
import { DiscordFailure } from './discord-failure.ts';
import type { World } from './world.ts';

interface AdminDeps {
  readonly control: Control;
  readonly world: World;
  readonly state: () => Readonly<Record<string, unknown>>;
}

const MAX_ENTRIES = 10_000;

/**
 * The simulation's own paths, for other processes: `POST /__sim/control` (one `Command`), `GET /__sim/history?after=SEQ` (10,000
 * at most), `GET /__sim/messages?channel=ID` (every version), `GET /__sim/state`.
 */
export async function answerAdmin(
  request: IncomingMessage,
  response: ServerResponse,
  { control, world, state }: AdminDeps,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://discord');
  switch (`${request.method ?? ''} ${url.pathname}`) {
    case 'POST /__sim/control':
      await applied(request, response, control);
      return;
    case 'GET /__sim/history': {
      const after = Number(url.searchParams.get('after') ?? 0);
      const { entries } = world.history;
      sendJson(response, { entries: entries.slice(after, after + MAX_ENTRIES), total: entries.length });
      return;
    }
    case 'GET /__sim/messages':
      sendJson(response, { messages: world.messages.list(url.searchParams.get('channel') ?? undefined) });
      return;
    case 'GET /__sim/state':
      sendJson(response, state());
      return;
    default:
      sendText(response, 404, 'text/plain', 'no such path of the simulation\n');
  }
}

function sendJson(response: ServerResponse, value: unknown): void {
  sendText(response, 200, 'application/json', JSON.stringify(value));
}

async function applied(request: IncomingMessage, response: ServerResponse, control: Control): Promise<void> {
  try {
    // The sender is our own test or sandbox, so the command's type is trusted.
    sendJson(response, await control.apply(parseObject(await readBody(request)) as unknown as Command));
  } catch (error) {
    if (!(error instanceof DiscordFailure)) {
      throw error;
    }
    sendText(response, error.status, 'application/json', JSON.stringify(error.body));
  }
}
