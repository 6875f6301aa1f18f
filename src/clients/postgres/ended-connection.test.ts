import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { openPostgres } from './open-postgres.ts';

const message = (type: string, ...parts: (string | number[])[]): Buffer => {
  const body = Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : Buffer.from(part))),
  );
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, body]);
};

/** The server's greeting and the end of the connection at once, as when backends are terminated or a failover begins. */
const WELCOME_AND_END = Buffer.concat([
  message('R', [0, 0, 0, 0]),
  message('Z', [0x49]),
  message('E', 'SFATAL', 'VFATAL', 'C57P01', 'Mterminating connection due to administrator command', [0]),
]);

test('a connection that ends right after its greeting fails the statement, not the process', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(WELCOME_AND_END));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const db = openPostgres({
    dsn: `postgres://facteur@127.0.0.1:${port}/facteur?sslmode=disable`,
    random: Math.random,
    onLost: () => undefined,
  });
  onTestFinished(async () => {
    await db.close();
    server.close();
  });
  const text = 'SELECT 1';
  await expect(db.query({ text })).rejects.toMatchObject({ code: 'postgres.unavailable', retryable: true });
  await expect(db.query({ text })).rejects.toMatchObject({ code: 'postgres.unavailable', retryable: true });
});
