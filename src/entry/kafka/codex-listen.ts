import { toJsonString } from '@bufbuild/protobuf';
import { errorMessage, FacteurError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { KafkaClient, PartitionReader } from '../../clients/kafka/client.ts';
import { openKafka } from '../../clients/kafka/open-kafka.ts';
import type { ConsumedRecord } from '../../clients/kafka/records.ts';
import type { CodexListenerConfig } from '../../config/config.ts';
import {
  CodexTaskSchema,
  type CodexTaskStage,
  CodexTaskStageSchema,
} from '../../proto/proompteng/froussard/v1/codex_task_pb.ts';
import { decodeCodexDelivery } from '../decode/codex-task.ts';
import { readableOf, sourceOf } from './incoming.ts';
import { stayMember } from './membership.ts';

/** A Codex task of the topic, in printable form. */
export interface HeardTask {
  /** The record's key as text; empty if it has none. */
  readonly key: string;
  /** The stage's name in the contract. */
  readonly stage: string;
  readonly repository: string;
  /** The number of the issue. */
  readonly issue: string;
  /** The task in proto3 JSON. */
  readonly task: string;
}

export interface ListenOptions {
  /** Reads the topic from its first record; the group's committed offsets do not change. */
  readonly fromBeginning: boolean;
  /** Exits after this many tasks. */
  readonly limit?: number;
}

interface ListenDeps {
  readonly config: CodexListenerConfig;
  readonly print: (task: HeardTask) => void;
  readonly logger: Logger;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Replaces the client that is opened from the configuration. */
  readonly kafka?: KafkaClient;
}

const FETCH = { minBytes: 1, maxBytes: 10 * 1024 * 1024, maxWaitMs: 1_000 };

/**
 * Prints the tasks of the Codex topic and commits the printed ones; runs nothing. Records that are not tasks are logged and
 * skipped. Resolves when the signal or the limit ends it.
 *
 * @throws FacteurError `codex_listener.disabled`, KafkaError if the configuration cannot work
 */
export async function listenToCodex(options: ListenOptions, deps: ListenDeps): Promise<void> {
  const { config, random, logger } = deps;
  if (!config.enabled) {
    const message = 'the codex listener is disabled; set codex_listener.enabled to true';
    throw new FacteurError('codex_listener.disabled', message, { retryable: false });
  }
  logger.info({ topic: config.topic, group: config.groupId }, 'listening for Codex tasks');
  const enough = new AbortController();
  const signal = AbortSignal.any([deps.signal, enough.signal]);
  const kafka = deps.kafka ?? (await openKafka({ config, group: 'codex_listener', random }));
  let left = options.limit ?? Infinity;
  const hear = (record: ConsumedRecord): void => {
    const task = heardTask(record, logger);
    if (task !== undefined) {
      deps.print(task);
      left -= 1;
    }
    if (left === 0) {
      enough.abort();
    }
  };
  try {
    await stayMember(
      {
        ...FETCH,
        ...{ topic: config.topic, groupId: config.groupId, signal, startAt: 'earliest' },
        fromBeginning: options.fromBeginning,
        onPartition: (reader) => readPartition(reader, { hear, signal }),
      },
      { kafka, logger, random },
    );
  } finally {
    await kafka.close();
  }
}

interface Ear {
  readonly hear: (record: ConsumedRecord) => void;
  readonly signal: AbortSignal;
}

async function readPartition(reader: PartitionReader, { hear, signal }: Ear): Promise<void> {
  for (let records = await reader.next(); records !== undefined; records = await reader.next()) {
    for (const record of records) {
      // The limit counts tasks of all partitions.
      if (signal.aborted || reader.signal.aborted) {
        return;
      }
      hear(record);
      reader.handled(record.offset + 1n);
    }
  }
}

function heardTask(record: ConsumedRecord, logger: Logger): HeardTask | undefined {
  try {
    const { task } = decodeCodexDelivery(readableOf(record), 'kafka');
    return {
      key: record.key?.toString('utf8') ?? '',
      stage: stageName(task.stage),
      repository: task.repository,
      issue: String(task.issueNumber),
      task: toJsonString(CodexTaskSchema, task),
    };
  } catch (error) {
    logger.warn({ source: sourceOf(record), error: errorMessage(error) }, 'not a Codex task; skipped');
    return undefined;
  }
}

function stageName(stage: CodexTaskStage): string {
  const value = CodexTaskStageSchema.values.find(({ number }) => number === stage);
  return value?.name ?? String(stage);
}
