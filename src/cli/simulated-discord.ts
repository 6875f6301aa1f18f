import { setTimeout } from 'node:timers/promises';
import { FacteurError, fetchProblem } from '../base/errors.ts';
import { isRecord } from '../base/json.ts';
import type { CliIo } from './io.ts';

/** The result of an interaction with the simulated Discord. */
interface PlayedExchange {
  readonly interactionId: string;
  readonly outcome: string;
  readonly status: number;
  readonly answer: Readonly<Record<string, unknown>>;
  readonly milliseconds: number;
  readonly problem: string;
}

/** One version of a message, as the channel shows it. */
interface ShownVersion {
  readonly content: string;
  readonly loading: boolean;
  /** Whether the run has not ended: its message still has the Cancel button. */
  readonly live: boolean;
}

const POLL_MS = 100;

/**
 * Access to the simulated Discord of `facteur sandbox` from another process. The simulation plays a person's actions, with its
 * own signature and a working token, and knows what the channel shows.
 */
export class SimulatedDiscordClient {
  readonly #io: CliIo;
  readonly #base: URL;

  /** @param url any URL of the simulated Discord, such as its `discord.api_base_url` */
  constructor(io: CliIo, url: URL) {
    this.#io = io;
    this.#base = new URL('/', url);
  }

  /** @param action a command of the simulation's switchboard: `{op: 'command', name, options, who}` and the like */
  async play(action: object): Promise<PlayedExchange> {
    return (await this.#ask('/__sim/control', action)) as unknown as PlayedExchange;
  }

  /**
   * Every version of the message that answers an interaction, as it appears; ends when the run is over, or when the signal
   * aborts.
   */
  async *versions(interactionId: string): AsyncGenerator<ShownVersion, void, undefined> {
    let shown = 0;
    for (let live = true; live && !this.#io.signal.aborted;) {
      const versions = versionsOf(await this.#ask('/__sim/messages'), interactionId);
      for (const version of versions.slice(shown)) {
        yield version;
        live = version.live;
      }
      shown = versions.length;
      await setTimeout(POLL_MS);
    }
  }

  async #ask(path: string, body?: object): Promise<Readonly<Record<string, unknown>>> {
    const url = new URL(path, this.#base);
    try {
      const response = await this.#io.fetch(url, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(30_000),
      });
      const answer: unknown = await response.json();
      if (response.ok && isRecord(answer)) {
        return answer;
      }
      throw new Error(`HTTP ${response.status}`);
    } catch (error) {
      throw new FacteurError(
        'cli.unreachable',
        `cannot reach a simulated Discord at ${url.origin}: ${fetchProblem(error)}`,
        {
          retryable: true,
          cause: error,
        },
      );
    }
  }
}

function versionsOf(answer: Readonly<Record<string, unknown>>, interactionId: string): readonly ShownVersion[] {
  const messages = Array.isArray(answer['messages']) ? (answer['messages'] as unknown[]).filter(isRecord) : [];
  const message = messages.find((candidate) => candidate['interactionId'] === interactionId);
  const versions = Array.isArray(message?.['versions']) ? (message['versions'] as unknown[]).filter(isRecord) : [];
  return versions.map((version) => {
    const loading = version['loading'] === true;
    const buttons = JSON.stringify(version['components'] ?? []);
    const content = typeof version['content'] === 'string' ? version['content'] : '';
    return { content, loading, live: loading || buttons.includes('facteur:cancel:') };
  });
}
