import { setTimeout as pause } from 'node:timers/promises';
import { backoffMs } from '../../base/backoff.ts';
import { errorMessage } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { ConsumeEvents, ConsumeOptions, KafkaClient } from '../../clients/kafka/client.ts';
import { KafkaError } from '../../clients/kafka/errors.ts';

interface MembershipDeps {
  readonly kafka: Pick<KafkaClient, 'consume'>;
  readonly logger: Logger;
  /** A number in [0, 1). */
  readonly random: () => number;
  /** Called on every commit. */
  readonly committed?: ConsumeEvents['committed'];
}

/** Delays between memberships, in milliseconds: brokers that restart are back in seconds. */
const BACKOFF = { firstMs: 500, maxMs: 10_000 };

/**
 * Stays in the group until the signal: waits for brokers and topics that do not exist yet, and
 * rejoins after a lost membership.
 *
 * @throws KafkaError if the first attempt shows that the configuration is wrong: rejected credentials, an untrusted
 * certificate. Later the same errors may be transient.
 */
export async function stayMember(
  options: Omit<ConsumeOptions, 'events'>,
  { kafka, logger, random, committed }: MembershipDeps,
): Promise<void> {
  let failures = 0;
  let everJoined = false;
  const events: ConsumeEvents = {
    assigned(partitions) {
      failures = 0;
      everJoined = true;
      logger.info({ topic: options.topic, group: options.groupId, partitions }, 'partitions assigned');
    },
    committed: (partition, offset) => committed?.(partition, offset),
    troubled(what, error) {
      logger.warn({ what, error: errorMessage(error) }, 'kafka failed; retrying');
    },
    outOfRange(partition, offset) {
      logger.warn({ partition, offset }, 'the offset is no longer in the log; continuing from its beginning');
    },
  };
  while (!options.signal.aborted) {
    try {
      await kafka.consume({ ...options, events });
    } catch (error) {
      if (!(error instanceof KafkaError) || (!everJoined && !error.retryable)) {
        throw error;
      }
      failures += 1;
      const delayMs = backoffMs(failures, BACKOFF, random());
      const news = everJoined ? 'lost the group membership; rejoining' : 'kafka is not ready yet; waiting for it';
      logger.warn({ error: error.message, failures, delayMs }, news);
      // The loop checks for an abort.
      await pause(delayMs, undefined, { signal: options.signal }).catch(() => undefined);
    }
  }
}
