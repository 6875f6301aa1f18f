import { expect, onTestFinished, test, vi } from 'vitest';
import { openDoor } from '../../../test/support/http-door.ts';
import { RawClient } from '../../../test/support/raw-client.ts';
import type { Readiness } from './deps.ts';

const PROBE = 'GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n';
const READY: Readiness = { ready: true, checks: { postgres: 'ok' } };

test('in a flood of probes, only 50 wait for the checks, and the others get the last result', async () => {
  const slow = Promise.withResolvers<Readiness>();
  const checks = [READY];
  let asked = 0;
  const door = await openDoor({
    readiness: () => {
      asked += 1;
      return checks.pop() ?? slow.promise;
    },
  });
  onTestFinished(() => door.close());
  expect((await fetch(`${door.url}/readyz`)).status).toBe(200);
  const flood = await RawClient.connect(door.port);
  await flood.send(PROBE.repeat(100));
  await vi.waitFor(() => expect(asked).toBe(51));
  const other = await RawClient.connect(door.port);
  await other.send(PROBE);
  await other.answers(1);
  expect(other.statuses).toEqual([200]);
  expect(asked).toBe(51);
  slow.resolve({ ready: false, checks: { postgres: 'timeout' } });
  await flood.answers(100);
  expect(flood.statuses.filter((status) => status === 503)).toHaveLength(50);
  flood.close();
  other.close();
  expect((await fetch(`${door.url}/readyz`)).status).toBe(503);
});
