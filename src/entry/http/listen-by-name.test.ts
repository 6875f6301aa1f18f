import { expect, onTestFinished, test } from 'vitest';
import { openDoor } from '../../../test/support/http-door.ts';
import type { HttpDeps } from './deps.ts';

/** Resolves `both` like the resolvers of most containers resolve `localhost`. */
const lookup: HttpDeps['lookup'] = async (name, { order }) => {
  if (name !== 'both') {
    throw new Error(`getaddrinfo ENOTFOUND ${name}`);
  }
  return { address: { ipv4first: '127.0.0.1' }[order] };
};

test('a host with addresses of both families listens on its IPv4 address, as in the Go service', async () => {
  const door = await openDoor({ lookup }, { host: 'both', port: 0 });
  onTestFinished(() => door.close());
  expect((await fetch(`http://127.0.0.1:${door.port}/healthz`)).status).toBe(200);
});

test('an unknown host is one clear error', async () => {
  await expect(openDoor({ lookup }, { host: 'none', port: 8 })).rejects.toMatchObject({
    code: 'http.listen',
    message: 'server.listen_address: cannot listen on none:8: getaddrinfo ENOTFOUND none',
  });
});
