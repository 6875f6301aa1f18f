import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { onTestFinished, vi } from 'vitest';

/** One server-sent event. Comments and blocks without data do not count. */
export interface ServerEvent {
  readonly id: string;
  readonly type: string;
  readonly data: unknown;
}

/** A client of server-sent events over a real socket, which can stop reading. */
export class EventStream {
  readonly #response: IncomingMessage;
  #received = '';
  #ended: 'whole' | 'broken' | undefined;

  private constructor(response: IncomingMessage) {
    this.#response = response;
    response.setEncoding('utf8');
    response.on('data', (text: string) => (this.#received += text));
    response.on('end', () => (this.#ended ??= 'whole'));
    // The server broke off the stream.
    response.on('error', () => (this.#ended = 'broken'));
  }

  /** Closed when the test ends. */
  static async open(url: string, headers: Readonly<Record<string, string>> = {}): Promise<EventStream> {
    const request = get(url, { headers, agent: false });
    onTestFinished(() => void request.destroy());
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    // Either side may close the connection while nothing is read.
    request.on('error', () => undefined);
    const stream = new EventStream(response);
    await vi.waitUntil(() => stream.#received.includes('\n\n'));
    return stream;
  }

  get headers(): IncomingMessage['headers'] {
    return this.#response.headers;
  }

  get received(): string {
    return this.#received;
  }

  /** How the server ended it; undefined while it is open. */
  get ended(): 'whole' | 'broken' | undefined {
    return this.#ended;
  }

  get events(): ServerEvent[] {
    const blocks = this.#received.split('\n\n').slice(0, -1);
    return blocks.filter((block) => block.includes('\ndata: ')).map(toEvent);
  }

  /** The id from which another stream resumes. */
  get lastId(): string {
    return [...this.#received.matchAll(/^id: (.*)\n/gm)].at(-1)?.[1] ?? '';
  }

  /** Waits for the first matching event. */
  async event(fits: (event: ServerEvent) => boolean): Promise<ServerEvent> {
    return vi.waitFor(() => {
      const found = this.events.find(fits);
      if (found === undefined) {
        throw new Error(`no such event among ${this.events.length}`);
      }
      return found;
    });
  }

  /** Waits for its end. */
  async end(): Promise<'whole' | 'broken'> {
    return vi.waitFor(() => {
      if (this.#ended === undefined) {
        throw new Error('the stream goes on');
      }
      return this.#ended;
    });
  }

  pause(): void {
    this.#response.pause();
  }

  resume(): void {
    this.#response.resume();
  }

  close(): void {
    this.#response.destroy();
  }
}

function toEvent(block: string): ServerEvent {
  const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? '';
  return { id: field('id'), type: field('event'), data: JSON.parse(field('data')) };
}
