import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** The state that a server reports; it may change while the server runs. */
export interface Kind {
  standby: boolean;
  readonly: boolean;
}

/** A server that answers only what a client needs to identify it and its state. */
export interface FakePostgres {
  readonly port: number;
  readonly kind: Kind;
  /** All statements in order, including the first ones of connections. */
  readonly statements: string[];
  /** Ends all connections, and accepts no more. */
  stop(): void;
}

/** Starts a server that answers `SELECT name` with its name, and stops with the test. */
export async function startFakePostgres(
  name: string,
  kind: Partial<Kind> & { refuses?: string } = {},
): Promise<FakePostgres> {
  const sockets = new Set<Socket>();
  const itself: Kind = { standby: false, readonly: false, ...kind };
  const statements: string[] = [];
  const answers = (text: string): Buffer => {
    statements.push(text);
    if (text.includes('pg_is_in_recovery')) {
      return rows([
        ['standby', 16, itself.standby ? 't' : 'f'],
        ['readonly', 16, itself.readonly ? 't' : 'f'],
      ]);
    }
    return rows([['name', 25, name]]);
  };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    socket.once('data', () => {
      if (kind.refuses !== undefined) {
        socket.end(message('E', text('SFATAL'), text('VFATAL'), text(`C${kind.refuses}`), text('Mno'), [0]));
        return;
      }
      socket.write(Buffer.concat([message('R', [0, 0, 0, 0]), message('Z', [0x49])]));
      socket.on('data', (data) => {
        if (data.toString('latin1', 0, 1) === 'Q') {
          socket.write(answers(data.toString('utf8', 5, data.length - 1)));
        }
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const stop = (): void => {
    server.close();
    sockets.forEach((socket) => socket.destroy());
  };
  onTestFinished(stop);
  return { port: (server.address() as AddressInfo).port, kind: itself, statements, stop };
}

/** One row of columns, each with a name, a type id and a text. */
function rows(columns: readonly (readonly [string, number, string])[]): Buffer {
  const described = columns.flatMap(([name, type]) => [
    ...text(name),
    ...[0, 0, 0, 0, 0, 0],
    ...int32(type),
    ...[255, 255, 255, 255, 255, 255],
    0,
    0,
  ]);
  const values = columns.flatMap(([, , value]) => [...int32(value.length), ...Buffer.from(value)]);
  return Buffer.concat([
    message('T', [0, columns.length], described),
    message('D', [0, columns.length], values),
    message('C', text('SELECT 1')),
    message('Z', [0x49]),
  ]);
}

function message(type: string, ...parts: readonly (readonly number[])[]): Buffer {
  const body = Buffer.from(parts.flat());
  return Buffer.concat([Buffer.from(type), Buffer.from(int32(body.length + 4)), body]);
}

const text = (value: string): number[] => [...Buffer.from(`${value}\0`)];

function int32(value: number): number[] {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return [...buffer];
}
