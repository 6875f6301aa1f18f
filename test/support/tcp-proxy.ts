import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A proxy between a client and a server that can fail like a real network. */
export interface TcpProxy {
  readonly port: number;
  /** Connections stay open, but nothing passes in either direction. New ones work unless `newToo` is set. */
  mute(options?: { newToo?: boolean }): void;
  /** Resets all connections, including new ones. */
  refuse(): void;
  /** New connections work again; muted ones are reset, or stay muted. */
  restore(options?: { keepMuted?: boolean }): void;
  /** Resets the next connection on which the client sends this text. The server does not get it. */
  cutOn(text: string): void;
  close(): Promise<void>;
}

export async function startTcpProxy(host: string, port: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let refusing = false;
  let muting = false;
  let cut: string | undefined;
  const server = createServer((client) => {
    if (refusing) {
      client.resetAndDestroy();
      return;
    }
    if (muting) {
      sockets.add(client.pause());
      client.on('error', () => undefined).on('close', () => sockets.delete(client));
      return;
    }
    const upstream = connect({ host, port });
    client.prependListener('data', (chunk: Buffer) => {
      if (cut !== undefined && chunk.includes(cut)) {
        cut = undefined;
        client.unpipe();
        client.resetAndDestroy();
      }
    });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.pipe(other);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const reset = (): void => {
    for (const socket of sockets) {
      socket.resetAndDestroy();
    }
  };
  let muted = false;
  return {
    port: portOf(server),
    mute: ({ newToo = false } = {}) => {
      muted = true;
      muting = newToo;
      for (const socket of sockets) {
        socket.unpipe();
        socket.pause();
      }
    },
    refuse: () => {
      refusing = true;
      reset();
    },
    restore: ({ keepMuted = false } = {}) => {
      if (muted && !keepMuted) {
        reset();
      }
      muted = false;
      muting = false;
      refusing = false;
    },
    cutOn: (text) => {
      cut = text;
    },
    close: async () => {
      reset();
      server.close();
      await once(server, 'close');
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A proxy in front of the server of a Postgres DSN, and the DSN through it. */
export async function proxyTo(dsn: string): Promise<{ dsn: string; tcp: TcpProxy }> {
  const url = new URL(dsn);
  const tcp = await startTcpProxy(url.hostname, Number(url.port));
  url.port = `${tcp.port}`;
  return { dsn: url.href, tcp };
}
