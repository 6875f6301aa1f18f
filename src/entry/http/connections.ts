import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A request and its response, from the end of the headers to the end of the answer. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** The answer to a broken request, by the parser's code. It ends the connection. */
const COMPLAINTS: Readonly<Record<string, readonly [status: string, error: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'request timeout'],
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'request headers too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['413 Payload Too Large', 'payload too large'],
};
const BAD_REQUEST = ['400 Bad Request', 'bad request'] as const;

/**
 * Maximum number of excess clients: each takes about 10 KiB. Another one replaces the oldest, so a client that sends its request
 * quickly, such as a probe, gets a response in any flood.
 */
const MAX_EXCESS = 1000;
/** How long an excess client may take to send its request and receive the answer, in milliseconds. */
const TURN_AWAY_MS = 10_000;

/** Tracks the sockets of a server and their requests, which Node does not expose. */
export class Connections {
  readonly #max: number;
  readonly #sockets = new Set<Socket>();
  readonly #excess = new Set<Socket>();
  readonly #exchanges = new WeakMap<Socket, Set<Exchange>>();
  /** Sockets that end after a pending response. More broken bytes may arrive in the meantime. */
  readonly #ending = new WeakSet<Socket>();

  /** @param max number of concurrent connections: each active one takes about 30 KiB */
  constructor(max: number) {
    this.#max = max;
  }

  watch(server: Server): void {
    const serve = server.listeners('connection');
    server.removeAllListeners('connection');
    server.on('connection', (socket: Socket) => {
      if (this.#sockets.size >= this.#max) {
        this.#turnAway(socket);
        return;
      }
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      for (const listener of serve) {
        Reflect.apply(listener, server, [socket]);
      }
    });
    server.on('request', (request, response) => this.#begin({ request, response }));
  }

  /**
   * Responds to bytes that are not HTTP, and to requests that timed out, and closes the connection. Pending responses to complete
   * requests on the connection are sent first: accepted requests must not appear refused.
   */
  refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    if (this.#ending.has(socket)) {
      return;
    }
    const exchanges = [...(this.#exchanges.get(socket) ?? [])];
    const owed = exchanges.findLast(({ request }) => request.complete);
    if (owed !== undefined) {
      this.#ending.add(socket);
      owed.response.once('close', () => socket.destroySoon());
    } else if (
      socket.writable &&
      error.code !== 'ECONNRESET' &&
      !exchanges.some(({ response }) => response.headersSent)
    ) {
      socket.write(complaint(error.code));
      socket.destroySoon();
    } else {
      socket.destroy();
    }
  }

  /**
   * Closes connections that would delay a shutdown: those without any data, since Node counts them as busy, and those of excess
   * clients, which Node does not know about.
   */
  closeUnused(): void {
    for (const socket of this.#excess) {
      socket.destroy();
    }
    for (const socket of this.#sockets) {
      if (socket.bytesRead === 0) {
        socket.destroy();
      }
    }
  }

  #turnAway(socket: Socket): void {
    const [oldest] = this.#excess;
    if (this.#excess.size >= MAX_EXCESS) {
      oldest?.destroy();
    }
    this.#excess.add(socket);
    socket.once('close', () => this.#excess.delete(socket));
    turnAway(socket);
  }

  #begin(exchange: Exchange): void {
    const { socket } = exchange.request;
    const exchanges = this.#exchanges.get(socket) ?? new Set();
    exchanges.add(exchange);
    this.#exchanges.set(socket, exchanges);
    exchange.response.once('close', () => exchanges.delete(exchange));
  }
}

/**
 * Responds to excess clients without the memory that HTTP takes: 200 to the probe, which must not restart an overloaded process,
 * and 503 with `Retry-After` to all others.
 */
function turnAway(socket: Socket): void {
  // Not a socket timeout, which each byte restarts.
  const limit = setTimeout(() => socket.destroy(), TURN_AWAY_MS);
  socket.once('close', () => clearTimeout(limit));
  // The client may disconnect before it receives the response.
  socket.on('error', () => socket.destroy());
  socket.once('data', (data: Buffer) => {
    const isProbe = data.toString('latin1', 0, PROBE.length) === PROBE;
    socket.end(isProbe ? plainAnswer('200 OK', { status: 'ok' }) : plainAnswer(...BUSY, ['retry-after: 5']));
    socket.resume();
  });
}

const PROBE = 'GET /healthz ';
const BUSY = ['503 Service Unavailable', { error: 'dispatcher unavailable' }] as const;

function complaint(code: string | undefined): string {
  const [status, error] = COMPLAINTS[code ?? ''] ?? BAD_REQUEST;
  return plainAnswer(status, { error });
}

function plainAnswer(status: string, content: object, headers: readonly string[] = []): string {
  const body = JSON.stringify(content);
  return [
    `HTTP/1.1 ${status}`,
    'content-type: application/json',
    `content-length: ${body.length}`,
    ...headers,
    'connection: close',
    '',
    body,
  ].join('\r\n');
}
