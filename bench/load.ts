import { setTimeout as wait } from 'node:timers/promises';
import { Pool } from 'undici';

/** The results of a load. */
export interface LoadResult {
  readonly count: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Number of failed operations. */
  readonly failures: number;
}

/**
 * Keeps `clients` operations in flight for `seconds`: each client starts its next one when the last has ended.
 *
 * @param operation gets a new number each time; resolves to whether it succeeded
 */
export async function closedLoop(
  clients: number,
  seconds: number,
  operation: (index: number) => Promise<boolean>,
): Promise<LoadResult> {
  const latencies: number[] = [];
  let next = 0;
  let failures = 0;
  const startedAt = performance.now();
  const endAt = startedAt + seconds * 1000;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < endAt) {
        const from = performance.now();
        next += 1;
        if (!(await operation(next))) {
          failures += 1;
        }
        latencies.push(performance.now() - from);
      }
    }),
  );
  return summary(latencies, failures, (performance.now() - startedAt) / 1000);
}

/**
 * Starts `perSecond` operations per second for `seconds`, regardless of how long each takes. Latency counts from the time at
 * which an operation should have started, so a stalled server cannot hide it.
 */
export async function openLoop(
  perSecond: number,
  seconds: number,
  operation: (index: number) => Promise<boolean>,
): Promise<LoadResult> {
  const total = Math.round(perSecond * seconds);
  const latencies: number[] = [];
  const running = new Set<Promise<void>>();
  let failures = 0;
  const startedAt = performance.now();
  for (let index = 0; index < total;) {
    const due = Math.min(total, Math.floor(((performance.now() - startedAt) / 1000) * perSecond) + 1);
    for (; index < due; index += 1) {
      const from = startedAt + (index / perSecond) * 1000;
      const ended = operation(index).then((succeeded) => {
        failures += succeeded ? 0 : 1;
        latencies.push(performance.now() - from);
        running.delete(ended);
      });
      running.add(ended);
    }
    await wait(1);
  }
  await Promise.all(running);
  return summary(latencies, failures, (performance.now() - startedAt) / 1000);
}

function summary(latencies: number[], failures: number, elapsedSeconds: number): LoadResult {
  latencies.sort((a, b) => a - b);
  return {
    count: latencies.length,
    perSecond: latencies.length / elapsedSeconds,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    maxMs: latencies.at(-1) ?? 0,
    failures,
  };
}

function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

export interface PostLoad {
  readonly url: string;
  readonly path: string;
  readonly clients: number;
  readonly seconds: number;
  /** The body of the request with this number. */
  readonly body: (index: number) => Uint8Array;
  /** A fixed rate per second (open loop) instead of a closed loop. */
  readonly offered?: number | undefined;
}

/** POSTs protobuf over as many kept-alive connections as there are clients; anything but 202 is a failure. */
export async function postLoad({ url, path, clients, seconds, body, offered }: PostLoad): Promise<LoadResult> {
  const pool = new Pool(url, { connections: clients, pipelining: 1 });
  const post = async (index: number): Promise<boolean> => {
    const response = await pool.request({
      method: 'POST',
      path,
      headers: { 'content-type': 'application/x-protobuf' },
      body: body(index),
    });
    await response.body.dump();
    return response.statusCode === 202;
  };
  try {
    return await (offered === undefined ? closedLoop(clients, seconds, post) : openLoop(offered, seconds, post));
  } finally {
    await pool.close();
  }
}
