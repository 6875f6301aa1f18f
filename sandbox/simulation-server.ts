import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorMessage } from '../src/base/errors.ts';

type AnswerRequest = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** An HTTP server with the simulation's own paths under `/__sim/`; all other paths belong to the simulated system. */
export function createSimulationServer(answerOwn: AnswerRequest, answerSimulated: AnswerRequest): Server {
  const server = createServer((request, response) => {
    const answer = request.url?.startsWith('/__sim/') === true ? answerOwn : answerSimulated;
    answer(request, response).catch((error: unknown) => {
      // A request that the client aborted also ends here; then no answer is possible.
      if (response.headersSent || response.destroyed) {
        response.destroy();
      } else {
        sendText(response, 500, 'text/plain', `simulation failed: ${errorMessage(error)}\n`);
      }
    });
  });
  // As long as on a real server, so the client's own limit applies first.
  server.keepAliveTimeout = 90_000;
  return server;
}

/** Listens on 127.0.0.1; 0 takes a free port. @returns the port */
export async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

/** Breaks all connections; new ones are refused. */
export async function stopListening(server: Server): Promise<void> {
  if (!server.listening) {
    return;
  }
  const closed = new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
  });
  server.closeAllConnections();
  await closed;
}

/** The whole body. Undefined for a larger one, which is read to its end, so the client sees the 413. */
export async function readUpTo(request: IncomingMessage, maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= maxBytes) {
      chunks.push(chunk);
    }
  }
  return size > maxBytes ? undefined : Buffer.concat(chunks).toString('utf8');
}

/** A whole answer in one piece. */
export function sendText(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** Sends RST instead of FIN, so the client sees ECONNRESET instead of a normal end. */
export function resetConnection(response: ServerResponse): void {
  response.socket?.resetAndDestroy();
}
