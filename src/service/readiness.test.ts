import { expect, test, vi } from 'vitest';
import { createReadiness, type ReadinessSubjects } from './readiness.ts';

function setUp() {
  let nowMs = 0;
  const ping = vi.fn<() => Promise<void>>(async () => undefined);
  const serverVersion = vi.fn<() => Promise<string>>(async () => 'v1.31.0');
  const subjects: ReadinessSubjects = {
    stopping: () => false,
    gate: { isOpen: true },
    db: { ping },
    argo: { serverVersion },
    sessions: { status: () => ({ store: 'memory', ok: true }) },
    now: () => nowMs,
  };
  return { subjects, readiness: createReadiness(subjects), ping, serverVersion, pass: (ms: number) => (nowMs += ms) };
}

test('checks Postgres at every probe, the cluster once in 10 seconds', async () => {
  const { readiness, ping, serverVersion, pass } = setUp();
  for (let second = 0; second < 20; second += 1) {
    expect(await readiness()).toMatchObject({ ready: true, checks: { postgres: 'ok', cluster: 'ok' } });
    pass(1000);
  }
  expect(ping).toHaveBeenCalledTimes(20);
  expect(serverVersion).toHaveBeenCalledTimes(2);
});

test('shows Kafka if it is consumed, without effect on readiness', async () => {
  const { subjects } = setUp();
  let isUp: boolean | undefined = false;
  const readiness = createReadiness({ ...subjects, kafka: { isUp: () => isUp } });
  expect(await readiness()).toMatchObject({ ready: true, checks: { kafka: 'unavailable' } });
  isUp = true;
  expect(await readiness()).toMatchObject({ ready: true, checks: { kafka: 'ok' } });
  isUp = undefined;
  expect(await readiness()).toMatchObject({ ready: true, checks: { kafka: 'idle' } });
  expect(Object.keys((await createReadiness(subjects)()).checks)).not.toContain('kafka');
});

test('concurrent probes check the cluster once', async () => {
  const { readiness, serverVersion } = setUp();
  await Promise.all([readiness(), readiness(), readiness()]);
  expect(serverVersion).toHaveBeenCalledTimes(1);
});

test('shows the last state of the cluster until the next check, without effect on readiness', async () => {
  const { readiness, serverVersion, pass } = setUp();
  serverVersion.mockRejectedValueOnce(new Error('gone'));
  expect(await readiness()).toMatchObject({ ready: true, checks: { cluster: 'unavailable' } });
  pass(9_999);
  expect(await readiness()).toMatchObject({ ready: true, checks: { cluster: 'unavailable' } });
  pass(1);
  expect(await readiness()).toMatchObject({ ready: true, checks: { cluster: 'ok' } });
});
