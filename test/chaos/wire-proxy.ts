import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A moment on the wire. */
export interface Tripwire {
  /** A text that a client sends, such as the name of a statement or the start of a request. */
  readonly text: string;
  /**
   *   before    the server does not get it
   *   sent      the server gets it, and its answer is held back
   *   answered  the server has answered, and the answer is held back
   */
  readonly phase: 'before' | 'sent' | 'answered';
}

/** The tripwire was hit, and the connection is blocked. */
export interface Hit {
  /** Resets the client's side, as a broken network does. */
  cut(): void;
}

/** A proxy between a process and a server that can stop at a given moment. */
export interface WireProxy {
  readonly port: number;
  /** Waits until the tripwire is hit next. Replaces an armed tripwire. */
  arm(tripwire: Tripwire): Promise<Hit>;
  disarm(): void;
  /** While it is deaf, the server gets nothing that clients send. Connections that sent something then stay deaf. */
  deafen(deaf: boolean): void;
  close(): void;
}

interface Armed {
  readonly tripwire: Tripwire;
  readonly hit: (hit: Hit) => void;
  /** True until it is hit or replaced. */
  waiting: boolean;
}

/** Starts a proxy to a server on 127.0.0.1. The server may finish requests that it got before a client died. */
export async function startWireProxy(serverPort: number): Promise<WireProxy> {
  const sockets = new Set<Socket>();
  let armed: Armed | undefined;
  /** The last armed tripwire, which may have been hit meanwhile. */
  let latest: Armed | undefined;
  let isDeaf = false;
  const forget = (): void => {
    armed = undefined;
    if (latest !== undefined) {
      latest.waiting = false;
    }
  };
  const server = createServer((client) => {
    const upstream = connect(serverPort, '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
    }
    let touched: Armed | undefined;
    joinSockets(client, upstream, (chunk) => {
      if (isDeaf) {
        return 'deaf';
      }
      if (armed === undefined || !chunk.includes(armed.tripwire.text)) {
        return undefined;
      }
      touched = armed;
      armed = undefined;
      return touched;
    });
    // A connection that breaks before the answer does not count as a hit: wait for the next one.
    upstream.on('close', () => {
      if (touched?.waiting === true) {
        armed ??= touched;
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    arm: (tripwire) => {
      const { promise, resolve } = Promise.withResolvers<Hit>();
      forget();
      const mine: Armed = {
        tripwire,
        hit: (hit) => {
          mine.waiting = false;
          resolve(hit);
        },
        waiting: true,
      };
      latest = armed = mine;
      return promise;
    },
    disarm: () => {
      forget();
    },
    deafen: (deaf) => {
      isDeaf = deaf;
    },
    close: () => {
      server.close();
      sockets.forEach((socket) => socket.destroy());
    },
  };
}

/** Passes bytes both ways until the tripwire stops them. */
function joinSockets(client: Socket, upstream: Socket, touch: (chunk: Buffer) => Armed | 'deaf' | undefined): void {
  let [upOpen, downOpen] = [true, true];
  let onAnswer: (() => void) | undefined;
  const stop = ({ hit }: Armed): void => {
    downOpen = false;
    hit({ cut: () => client.resetAndDestroy() });
  };
  client.on('data', (chunk) => {
    if (!upOpen) {
      return;
    }
    const armed = touch(chunk);
    if (armed === 'deaf') {
      upOpen = false;
      return;
    }
    if (armed?.tripwire.phase === 'before') {
      upOpen = false;
    } else {
      upstream.write(chunk);
    }
    if (armed?.tripwire.phase === 'answered') {
      onAnswer = () => stop(armed);
    } else if (armed !== undefined) {
      stop(armed);
    }
  });
  upstream.on('data', (chunk) => {
    onAnswer?.();
    onAnswer = undefined;
    if (downOpen) {
      client.write(chunk);
    }
  });
  // An error on one side ends the other; chaos tests cause such errors on purpose.
  client.on('error', () => upstream.end());
  client.on('close', () => upstream.end());
  upstream.on('error', () => client.destroy());
  upstream.on('close', () => client.destroy());
}
