import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { errorMessage } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';

/** An app that answers some of the requests of a server. It is built for the first of them. */
export class LateApp {
  readonly #build: () => Promise<FastifyInstance>;
  readonly #logger: Logger;
  #built: Promise<FastifyInstance> | undefined;

  constructor(build: () => Promise<FastifyInstance>, logger: Logger) {
    this.#build = build;
    this.#logger = logger;
  }

  /** Takes the requests for these URLs from those who listen for all of them so far. */
  take(server: Server, mine: RegExp): void {
    const others = server.listeners('request') as RequestListener[];
    server.removeAllListeners('request');
    server.on('request', (request, response) => {
      if (mine.test(request.url ?? '')) {
        void this.#answer(request, response);
      } else {
        others.forEach((listener) => Reflect.apply(listener, server, [request, response]));
      }
    });
  }

  async close(): Promise<void> {
    // Whoever asked for a build that fails says so.
    const app = await this.#built?.catch(() => undefined);
    await app?.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      this.#built ??= this.#build();
      const app = await this.#built;
      // Whoever has hung up meanwhile would never be seen to do so.
      if (!response.destroyed) {
        app.routing(request, response);
      }
    } catch (error) {
      this.#built = undefined;
      this.#logger.error(
        { error: errorMessage(error) },
        'requests cannot be answered: the code for them does not load',
      );
      response.destroy();
    }
  }
}
