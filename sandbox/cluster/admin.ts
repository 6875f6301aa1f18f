import type { IncomingMessage, ServerResponse } from 'node:http';
import { ApiFailure } from './api-failure.ts';
import { parseObject, readBody } from './body.ts';
import type { Command, Control } from './control.ts';
import { sendText } from '../simulation-server.ts';
import type { History } from './history.ts';

export interface AdminDeps {
  readonly control: Control;
  readonly history: History;
  readonly state: () => Readonly<Record<string, unknown>>;
}

const MAX_ENTRIES = 10_000;

/**
 * The simulation's own paths, for other processes: `POST /__sim/faults` (one `Command`), `GET /__sim/history?after=SEQ` (10,000
 * at most), `GET /__sim/state`.
 */
export async function answerAdmin(
  request: IncomingMessage,
  response: ServerResponse,
  { control, history, state }: AdminDeps,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://cluster');
  switch (`${request.method ?? ''} ${url.pathname}`) {
    case 'POST /__sim/faults':
      sendText(response, ...(await applied(request, control)));
      return;
    case 'GET /__sim/history': {
      const after = Number(url.searchParams.get('after') ?? 0);
      const entries = history.entries.slice(after, after + MAX_ENTRIES);
      sendText(response, 200, 'application/json', JSON.stringify({ entries, total: history.entries.length }));
      return;
    }
    case 'GET /__sim/state':
      sendText(response, 200, 'application/json', JSON.stringify(state()));
      return;
    default:
      sendText(response, 404, 'text/plain', 'no such path of the simulation\n');
  }
}

async function applied(request: IncomingMessage, control: Control): Promise<[number, string, string]> {
  try {
    // The sender is our own test or sandbox, so the command's type is trusted.
    const result = control.apply(parseObject(await readBody(request)) as unknown as Command);
    return [200, 'application/json', JSON.stringify(result)];
  } catch (error) {
    if (error instanceof ApiFailure) {
      return [error.code, 'application/json', JSON.stringify(error.status)];
    }
    throw error;
  }
}
