import { expect, onTestFinished, test } from 'vitest';
import { rehearse } from '../../scripts/rehearsal/rehearse.ts';
import { CACHE } from '../../scripts/services/command-line.ts';
import { kafka } from '../../scripts/services/kafka.ts';
import { stopService } from '../../scripts/services/lifecycle.ts';
import { postgres } from '../../scripts/services/postgres.ts';
import { redis } from '../../scripts/services/redis.ts';
import type { Service } from '../../scripts/services/service.ts';
import { useBench } from './bench.ts';
import { logIn } from './world.ts';

// The steps of docs/upgrade.md, on real servers and a real cluster.

const bench = useBench();

/** The address of a server: the one in its variable, else one started for this test. */
async function open(service: Service): Promise<string> {
  const present = process.env[service.variable] ?? '';
  if (present !== '') {
    return present;
  }
  const started = await service.start({ cache: CACHE, say: (line) => console.error(line) });
  onTestFinished(() => stopService(started));
  return started.value;
}

test('rehearses the upgrade from the Go service to facteur and back', { timeout: 600_000 }, async () => {
  const { kubeconfig } = await logIn(bench.world);
  const [dsn, redisUrl, broker] = [await open(postgres), await open(redis), await open(kafka)];
  const steps: string[] = [];
  const { FACTEUR_REHEARSAL_GO: goService } = process.env;
  await rehearse({
    dsn,
    redisUrl,
    broker,
    kubeconfig,
    ...(goService ? { goService } : {}),
    say: (line) => steps.push(line),
  });
  expect(steps).toHaveLength(8);
});
