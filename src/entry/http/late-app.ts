import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { errorMessage } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';

/** An app that serves some of a server's requests. It is built for the first of them. */
export class LateApp {
  readonly #build: () => Promise<FastifyInstance>;
  readonly #logger: Logger;
  #built: Promise<FastifyInstance> | undefined;

  constructor(build: () => Promise<FastifyInstance>, logger: Logger) {
    this.#build = build;
    this.#logger = logger;
  }

  /** Takes over requests for these URLs from the current listeners. */
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
    // The request that needed the build reports its failure.
    const app = await this.#built?.catch(() => undefined);
    await app?.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      this.#built ??= this.#build();
      const app = await this.#built;
      // The app would never notice that a client has already disconnected.
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
