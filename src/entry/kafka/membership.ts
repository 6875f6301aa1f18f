import { setTimeout as pause } from 'node:timers/promises';
import { backoffMs } from '../../base/backoff.ts';
import { errorMessage } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { ConsumeObserver, ConsumeOptions, KafkaClient } from '../../clients/kafka/client.ts';
import { KafkaError } from '../../clients/kafka/errors.ts';

export interface MembershipDeps {
  readonly kafka: Pick<KafkaClient, 'consume'>;
  readonly logger: Logger;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Told every commit. */
  readonly committed?: ConsumeObserver['committed'];
}

/** Between memberships, in milliseconds: brokers that restart are back in seconds. */
const BACKOFF = { firstMs: 500, maxMs: 10_000 };

/**
 * Stays in the group until the signal: waits for brokers that are not up yet, for a topic that is not there yet, and
 * joins anew when a membership breaks.
 *
 * @throws KafkaError when the first try shows that the configuration is wrong: refused credentials, an untrusted
 *   certificate. Later the same things may be a passing state of the brokers.
 */
export async function stayMember(
  options: Omit<ConsumeOptions, 'observe'>,
  { kafka, logger, random, committed }: MembershipDeps,
): Promise<void> {
  let failures = 0;
  let everJoined = false;
  const observe: ConsumeObserver = {
    assigned(partitions) {
      failures = 0;
      everJoined = true;
      logger.info({ topic: options.topic, group: options.groupId, partitions }, 'partitions assigned');
    },
    committed: (partition, offset) => committed?.(partition, offset),
    troubled(what, error) {
      logger.warn({ what, error: errorMessage(error) }, 'kafka failed; trying again');
    },
    outOfRange(partition, offset) {
      logger.warn({ partition, offset }, 'our place is no longer in the log; going on at its beginning');
    },
  };
  while (!options.signal.aborted) {
    try {
      await kafka.consume({ ...options, observe });
    } catch (error) {
      if (!(error instanceof KafkaError) || (!everJoined && !error.retryable)) {
        throw error;
      }
      failures += 1;
      const delayMs = backoffMs(failures, BACKOFF, random());
      const news = everJoined ? 'the membership broke; joining again' : 'kafka is not ready yet; waiting for it';
      logger.warn({ error: error.message, failures, delayMs }, news);
      // Aborting is looked at by the loop.
      await pause(delayMs, undefined, { signal: options.signal }).catch(() => undefined);
    }
  }
}
