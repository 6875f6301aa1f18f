import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { vi } from 'vitest';

/** A TCP connection that sends exact bytes, for requests that no HTTP client would send. */
export class RawClient {
  readonly #socket: Socket;
  #received = '';
  #closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => (this.#received += text));
    socket.on('close', () => (this.#closed = true));
    // A reset is one way for a server to hang up; `closed` covers it.
    socket.on('error', () => undefined);
  }

  static async connect(port: number): Promise<RawClient> {
    const client = new RawClient(connect(port, '127.0.0.1'));
    await once(client.#socket, 'connect');
    return client;
  }

  /** Everything received so far. */
  get received(): string {
    return this.#received;
  }

  /** The status codes of the answers so far, in order. */
  get statuses(): number[] {
    return [...this.#received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1]));
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves when the bytes are sent, or the connection is closed. */
  async send(data: string | Uint8Array): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#socket.write(data, () => resolve());
    await promise;
  }

  /** Waits for `count` answers. */
  async answers(count: number): Promise<void> {
    await vi.waitFor(
      () => {
        if (this.statuses.length < count) {
          throw new Error(`${this.statuses.length} of ${count} answers: ${this.#received}`);
        }
      },
      { interval: 5 },
    );
  }

  /** Waits until the server has hung up. */
  async hungUp(): Promise<void> {
    if (!this.#closed) {
      const { promise, resolve } = Promise.withResolvers<void>();
      // Not `once` of node:events, which would fail after a reset.
      this.#socket.on('close', () => resolve());
      await promise;
    }
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** A POST as sent over the wire. */
export function post(path: string, body: string, headers: Readonly<Record<string, string>> = {}): string {
  const lines = Object.entries({ 'content-length': String(Buffer.byteLength(body)), ...headers });
  return `POST ${path} HTTP/1.1\r\nhost: x\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`;
}
