import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A request and its response, from the end of the headers to the end of the answer. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** What a broken request is told, by the parser's code. The connection ends with it. */
const COMPLAINTS: Readonly<Record<string, readonly [status: string, error: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'request timeout'],
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'request headers too large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['413 Payload Too Large', 'payload too large'],
};
const BAD_REQUEST = ['400 Bad Request', 'bad request'] as const;

/** Knows the sockets of a server and what is under way on each, which Node does not tell. */
export class Connections {
  readonly #sockets = new Set<Socket>();
  readonly #exchanges = new WeakMap<Socket, Set<Exchange>>();

  watch(server: Server): void {
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    server.on('request', (request, response) => this.#begin({ request, response }));
  }

  /**
   * Answers bytes that are no HTTP, or that never came, and ends the connection. Answers that are still owed to complete
   * requests on the same connection go out first: what was accepted must not look refused.
   */
  refuse(error: NodeJS.ErrnoException, socket: Socket): void {
    const exchanges = [...(this.#exchanges.get(socket) ?? [])];
    const owed = exchanges.findLast(({ request }) => request.complete);
    if (owed !== undefined) {
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

  /** Ends connections on which nothing ever came: Node counts them as busy, and they would hold up a shutdown. */
  closeUnused(): void {
    for (const socket of this.#sockets) {
      if (socket.bytesRead === 0) {
        socket.destroy();
      }
    }
  }

  #begin(exchange: Exchange): void {
    const { socket } = exchange.request;
    const exchanges = this.#exchanges.get(socket) ?? new Set();
    exchanges.add(exchange);
    this.#exchanges.set(socket, exchanges);
    exchange.response.once('close', () => exchanges.delete(exchange));
  }
}

function complaint(code: string | undefined): string {
  const [status, error] = COMPLAINTS[code ?? ''] ?? BAD_REQUEST;
  const body = JSON.stringify({ error });
  return [
    `HTTP/1.1 ${status}`,
    'content-type: application/json',
    `content-length: ${body.length}`,
    'connection: close',
    '',
    body,
  ].join('\r\n');
}
