import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { FacteurError } from '../../base/errors.ts';
import type { Timer } from '../../base/timer.ts';
import { within } from '../../base/within.ts';

/** The limits of a door for all its concurrent requests together. */
export interface AdmissionRoom {
  /** Bytes of bodies that were received and are not answered yet. */
  readonly bytes: number;
  /** Requests that are being read or handled. */
  readonly requests: number;
}

/** The limits of a single body. */
export interface BodyLimits {
  readonly maxBytes: number;
  /** Time from the end of the headers to the end of the body; by default, the server's limit for a whole request. */
  readonly deadline?: { readonly timer: Timer; readonly ms: number };
}

/** A body that did not arrive in time: answered with 408, and the connection is closed. */
export class LateBody extends FacteurError {
  readonly statusCode = 408;

  constructor(ms: number) {
    super('http.late_body', `the body did not arrive within ${ms} ms`, { retryable: false });
  }
}

/** A body as far as it was read. */
interface Received {
  readonly body: Buffer;
  /** The body exceeds the limit, so this is only its beginning. */
  readonly cut: boolean;
}

/**
 * Admits requests and reads their bodies within a budget, so senders cannot fill the memory with many or fast requests. Beyond
 * the budget a request gets 503 with `Retry-After`, and the rest of its body is discarded.
 */
export class Admission {
  readonly #room: AdmissionRoom;
  #bytes = 0;
  #requests = 0;

  constructor(room: AdmissionRoom) {
    this.#room = room;
  }

  /**
   * Holds a slot until `work` is done. Requests without a body need one too, because a client may send any number of them on one
   * connection.
   *
   * @throws FacteurError `http.busy` without a free slot, and what `work` throws
   */
  async admit<T>(work: () => Promise<T>): Promise<T> {
    if (this.#requests >= this.#room.requests) {
      throw busy('too many requests in flight');
    }
    this.#requests += 1;
    try {
      return await work();
    } finally {
      this.#requests -= 1;
    }
  }

  /**
   * The same for a request with a body: reads it, and counts its bytes toward the budget until `work` is done.
   *
   * @throws FacteurError `http.busy` without a free slot or enough budget, LateBody, and what `work` throws
   */
  async admitBody<T>(
    request: IncomingMessage,
    limits: BodyLimits,
    work: (received: Received) => Promise<T>,
  ): Promise<T> {
    return this.admit(() => this.#read(request, limits, work));
  }

  async #read<T>(request: IncomingMessage, limits: BodyLimits, work: (received: Received) => Promise<T>): Promise<T> {
    let taken = 0;
    const take = (bytes: number): boolean => {
      const fits = this.#bytes + bytes <= this.#room.bytes;
      if (fits) {
        this.#bytes += bytes;
        taken += bytes;
      }
      return fits;
    };
    try {
      return await work(await readInTime(request, limits, take));
    } finally {
      this.#bytes -= taken;
    }
  }
}

/** Whether the headers already announce a longer body, which then need not be read. */
export function announcesMore(headers: IncomingHttpHeaders, maxBytes: number): boolean {
  return Number(headers['content-length'] ?? 0) > maxBytes;
}

function busy(why: string): FacteurError {
  return new FacteurError('http.busy', why, { retryable: true });
}

/**
 * Collects the bytes of a body. Chunks are copied and released: a sender may send each byte in a separate chunk, and keeping one
 * costs some hundred bytes that no budget counts.
 */
class Gathered {
  readonly #maxBytes: number;
  #buffer: Buffer = Buffer.alloc(0);
  length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.length);
  }

  add(chunk: Buffer): void {
    const wanted = this.length + chunk.length;
    if (this.length === 0) {
      // Most bodies arrive in one chunk.
      this.#buffer = chunk;
    } else if (wanted > this.#buffer.length) {
      const room = Math.min(this.#maxBytes, Math.max(wanted, 2 * this.#buffer.length));
      const larger = Buffer.allocUnsafeSlow(room);
      this.#buffer.copy(larger, 0, 0, this.length);
      this.#buffer = larger;
    }
    chunk.copy(this.#buffer, this.length);
    this.length = wanted;
  }
}

type Take = (bytes: number) => boolean;

async function readInTime(request: IncomingMessage, { maxBytes, deadline }: BodyLimits, take: Take): Promise<Received> {
  if (deadline === undefined) {
    return read(request, maxBytes, take);
  }
  const { timer, ms } = deadline;
  const outcome = await within(timer, ms, (late) => read(request, maxBytes, take, late));
  if (!outcome.inTime) {
    throw new LateBody(ms);
  }
  return outcome.value;
}

/** @throws FacteurError `http.busy` if `take` returns false, Node's error if the client disconnects, and the signal's reason */
async function read(request: IncomingMessage, maxBytes: number, take: Take, late?: AbortSignal): Promise<Received> {
  const { promise, resolve, reject } = Promise.withResolvers<Received>();
  const gathered = new Gathered(maxBytes);
  const onData = (chunk: Buffer): void => {
    const wanted = chunk.subarray(0, maxBytes - gathered.length);
    if (!take(wanted.length)) {
      reject(busy('too many bytes in flight'));
    } else {
      gathered.add(wanted);
      if (wanted.length < chunk.length) {
        resolve({ body: gathered.bytes, cut: true });
      }
    }
  };
  const onEnd = (): void => resolve({ body: gathered.bytes, cut: false });
  const onError = (error: Error): void => reject(Object.assign(error, { statusCode: 400 }));
  const onClose = (): void => {
    // Every request closes at its end, and an unneeded error would cost a stack trace.
    if (!request.readableEnded) {
      onError(Object.assign(new Error('the client disconnected'), { code: 'ECONNRESET' }));
    }
  };
  late?.addEventListener('abort', () => reject(late.reason as Error), { once: true });
  request.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
  if (request.destroyed) {
    // The client disconnected while its token was checked, and there will be no event.
    onClose();
  }
  try {
    return await promise;
  } finally {
    // Discards the rest of the body.
    request.off('data', onData).off('end', onEnd);
    request.resume();
  }
}
