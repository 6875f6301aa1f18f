import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { openTestPostgres } from '../../../test/support/database.ts';

const FIXTURES = new URL('../../../test/fixtures/tls/', import.meta.url);
const authority = fileURLToPath(new URL('ca.crt', FIXTURES));

let server: Server;

afterEach(() => {
  server.close();
});

/** A minimal server that negotiates TLS and answers one statement with whether it came encrypted. */
async function serve(tls: boolean): Promise<number> {
  server = createServer((socket) => {
    socket.once('data', (first) => {
      const asked = first.readUInt32BE(4) === 80877103;
      if (asked && tls) {
        socket.write('S');
        answer(new TLSSocket(socket, { isServer: true, ...certificate() }), 'tls');
      } else if (asked) {
        socket.write('N');
        answer(socket, 'plain');
      } else {
        answer(socket, 'plain');
        socket.emit('data', first);
      }
    });
    socket.on('error', () => socket.destroy());
  });
  server.listen(0);
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function certificate(): { cert: Buffer; key: Buffer } {
  return {
    cert: readFileSync(new URL('server.crt', FIXTURES)),
    key: readFileSync(new URL('server.key', FIXTURES)),
  };
}

function answer(socket: Socket, how: string): void {
  const ready = message('Z', Buffer.from('I'));
  socket.on('error', () => socket.destroy());
  socket.once('data', () => {
    socket.write(Buffer.concat([message('R', Buffer.alloc(4)), ready]));
    socket.on('data', (data) => {
      if (String.fromCodePoint(data[0] ?? 0) === 'Q') {
        const row = Buffer.concat([Buffer.from([0, 1, 0, 0, 0, how.length]), Buffer.from(how)]);
        const column = Buffer.concat([
          Buffer.from([0, 1]),
          Buffer.from('how\0'),
          Buffer.from('000000000000000000190000ffffffff0000', 'hex'),
        ]);
        socket.write(
          Buffer.concat([message('T', column), message('D', row), message('C', Buffer.from('SELECT 1\0')), ready]),
        );
      }
    });
  });
}

function message(type: string, body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

/** How the statement reached the server, or why it did not. */
async function reach(host: string, port: number, parameters: string): Promise<string> {
  const db = openTestPostgres(`postgres://u:p@${host}:${port}/d?${parameters}`);
  try {
    const { rows } = await db.query<{ how: string }>({ text: 'SELECT how' });
    return rows[0]?.how ?? 'nothing';
  } catch (error) {
    return error instanceof Error ? error.message : 'not an error';
  } finally {
    await db.close();
  }
}

describe('a server with TLS, whose certificate is for localhost and 127.0.0.1, from an unknown CA', () => {
  test.each([
    ['sslmode=disable', 'localhost', 'plain'],
    ['', 'localhost', 'tls'],
    ['sslmode=prefer', 'localhost', 'tls'],
    ['sslmode=require', 'localhost', 'tls'],
    ['sslmode=verify-ca', 'localhost', /unable to verify|self-signed|local issuer/],
    ['sslmode=verify-full', 'localhost', /unable to verify|self-signed|local issuer/],
    [`sslmode=require&sslrootcert=${authority}`, '127.0.0.2', 'tls'],
    [`sslmode=verify-ca&sslrootcert=${authority}`, '127.0.0.2', 'tls'],
    [`sslmode=verify-full&sslrootcert=${authority}`, 'localhost', 'tls'],
    [`sslmode=verify-full&sslrootcert=${authority}`, '127.0.0.2', /does not match certificate/],
    ['sslmode=require&sslrootcert=/nowhere.pem', 'localhost', /ENOENT.*nowhere\.pem/],
  ])('%s at %s', async (parameters, host, expected) => {
    expect(await reach(host, await serve(true), parameters)).toMatch(expected);
  });

  test('sslmode=require fails if a CA is named that did not sign the certificate', async () => {
    const other = fileURLToPath(new URL('server.crt', FIXTURES));
    expect(await reach('localhost', await serve(true), `sslmode=require&sslrootcert=${other}`)).toMatch(
      /unable|self-signed|issuer/,
    );
  });
});

describe('a server without TLS', () => {
  test.each([
    ['sslmode=disable', 'plain'],
    ['', 'plain'],
    ['sslmode=prefer', 'plain'],
    ['sslmode=require', /does not support SSL/],
    ['sslmode=verify-full', /does not support SSL/],
  ])('%s', async (parameters, expected) => {
    expect(await reach('localhost', await serve(false), parameters)).toMatch(expected);
  });
});

test('a server that resets the connection is unavailable', async () => {
  server = createServer((socket) => socket.resetAndDestroy());
  server.listen(0);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  expect(await reach('localhost', port, '')).toMatch(/^postgres is not available: /);
});
