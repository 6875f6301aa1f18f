import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { onTestFinished } from 'vitest';

/** Where a request is held: on its way to the server, or after its execution, with the answer. */
export type HeldAt = 'request' | 'answer';

/** One held request. */
export interface Held {
  /** Resolves when the request has arrived. */
  readonly arrived: Promise<void>;
  letGo(): void;
  /** Resets the client's connection. Whether the server has seen the request depends on where it was held. */
  cut(): void;
}

/** A proxy to an HTTP server that can hold single requests for as long as a test wants. */
export interface HttpGate {
  readonly url: string;
  /** Holds the next create, or the one after `skip` others. */
  holdCreate(at: HeldAt, skip?: number): Held;
}

interface Trap {
  readonly at: HeldAt;
  skip: number;
  readonly caught: (client: IncomingMessage) => void;
  readonly open: Promise<void>;
}

/** A gate in front of `target`, closed when the test ends. */
export async function startHttpGate(target: string): Promise<HttpGate> {
  let traps: Trap[] = [];
  const trapFor = (method: string): Trap | undefined => {
    const [trap] = method === 'POST' ? traps : [];
    if (trap !== undefined && trap.skip > 0) {
      trap.skip -= 1;
      return undefined;
    }
    traps = traps.filter((other) => other !== trap);
    return trap;
  };
  const pass = async (client: IncomingMessage, answer: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = await client.toArray();
    const trap = trapFor(client.method ?? '');
    await holdAt('request', trap, client);
    // Executes the request even if the client gave up, like a server that had already read it.
    const upstream = request(new URL(client.url ?? '/', target), { method: client.method, headers: client.headers });
    upstream.end(Buffer.concat(chunks));
    answer.on('close', () => trap ?? upstream.destroy());
    const [reply]: [IncomingMessage] = (await once(upstream, 'response')) as [IncomingMessage];
    await holdAt('answer', trap, client);
    answer.writeHead(reply.statusCode ?? 500, reply.headers);
    reply.pipe(answer);
  };
  const server = createServer((client, answer) => {
    pass(client, answer).catch(() => answer.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return {
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    holdCreate(at, skip = 0) {
      const arrival = Promise.withResolvers<IncomingMessage>();
      const open = Promise.withResolvers<void>();
      traps.push({ at, skip, caught: arrival.resolve, open: open.promise });
      return {
        arrived: arrival.promise.then(() => undefined),
        letGo: open.resolve,
        cut: () => void arrival.promise.then((client) => client.socket.resetAndDestroy()),
      };
    },
  };
}

async function holdAt(at: HeldAt, trap: Trap | undefined, client: IncomingMessage): Promise<void> {
  if (trap?.at === at) {
    trap.caught(client);
    await trap.open;
  }
}
