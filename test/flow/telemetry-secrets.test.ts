import { expect } from 'vitest';
import { createLogger } from '../../src/base/logger.ts';
import { accessTo, startCluster } from '../support/cluster.ts';
import { openDiscordDoor } from '../support/discord-door.ts';
import { unavailable } from '../support/faulty-database.ts';
import { expectRun } from '../support/ledger.ts';
import { codexTask, event } from '../support/messages.ts';
import { startTestTelemetry } from '../support/telemetry.ts';
import { db, test } from '../support/ledger-fixture.ts';

// Invariant 6 for telemetry: spans, metrics and exported log lines.

const AUTHORISED = { authorization: 'Bearer CANARY-intake' };

test('canaries in every place for a secret appear in no telemetry', async () => {
  const telemetry = await startTestTelemetry({
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20CANARY-otlp',
    FACTEUR_POSTGRES_DSN: 'postgres://facteur:CANARY-dsn@db/facteur',
  });
  const cluster = await startCluster({
    tokens: ['CANARY-kube'],
    defaults: { outcome: 'succeed', at: 1, pendingMs: 0, startMs: 0, stepMs: 0 },
  });
  const printed: string[] = [];
  const { discord, facteur } = await openDiscordDoor({
    db,
    cluster,
    roles: ['http', 'submit', 'follow', 'notify'],
    discord: { botToken: 'CANARY-bot' },
    env: {
      FACTEUR_SERVER_INTAKE_TOKENS: 'CANARY-intake',
      FACTEUR_SERVER_API_TOKENS: 'CANARY-api',
      FACTEUR_POSTGRES_DSN: 'postgres://facteur:CANARY-dsn@127.0.0.1:1/facteur',
    },
    context: {
      clusterAccess: async () => accessTo(cluster.url, 'CANARY-kube'),
      logger: createLogger('debug', {
        write(line) {
          printed.push(line);
          telemetry.logSink.write(line);
        },
      }),
      scrape: telemetry.scrape,
    },
  });
  const secret = (fields: Parameters<typeof event>[0]) => event({ token: 'aW50ZXJhY3Rpb246CANARY', ...fields });

  // Runs that succeed, through both doors.
  await facteur.send(secret({ interactionId: 'd1', options: { objective: 'CANARY-value' } }), AUTHORISED);
  await facteur.send(codexTask({ deliveryId: 'd2', prompt: 'CANARY-value' }), AUTHORISED);
  const { interactionId } = await discord.people.command('plan', [{ name: 'objective', value: 'CANARY-value' }], {
    id: '200000000000000001',
  });
  for (const deliveryId of ['d1', 'd2', interactionId]) {
    await expectRun(db, deliveryId, 'succeeded');
  }
  await expect.poll(() => telemetry.receiver.spansOf('facteur.notify.tell')).not.toEqual([]);
  // Refusals, internal failures, and a refusal of the cluster that quotes the request.
  await facteur.send(secret({ interactionId: 'd3', options: { objective: '{{CANARY-value}}' } }), AUTHORISED);
  await facteur.send({ ...secret({}), body: '{"token":"CANARY-value"' }, AUTHORISED);
  await facteur.send(secret({ interactionId: 'd4' }), { authorization: 'Bearer CANARY-guess' });
  await fetch(`${facteur.url}/CANARY-path?token=CANARY-query`);
  facteur.faults.before = unavailable;
  await facteur.send(secret({ interactionId: 'd5' }), AUTHORISED);
  facteur.faults.before = () => {
    throw new Error('connection to postgres://facteur:CANARY-dsn@db:5432 failed');
  };
  await facteur.send(secret({ interactionId: 'd6' }), AUTHORISED);
  facteur.faults.before = () => undefined;
  cluster.faults.requests.add({
    match: { verb: 'create' },
    action: {
      kind: 'answer',
      answer: { status: 422, reason: 'Invalid', message: 'denied: Authorization: Bearer CANARY-kube' },
    },
    times: 1,
  });
  await facteur.send(secret({ interactionId: 'd7' }), AUTHORISED);
  const scraped = await (await fetch(`${facteur.url}/metrics`)).text();
  await telemetry.end();

  // All three signals are there with their expected content. Otherwise the test would check nothing.
  const { receiver } = telemetry;
  expect(receiver.spans().filter(({ status }) => status === 2).length).toBeGreaterThan(3);
  expect(receiver.logs().length).toBeGreaterThan(20);
  expect(receiver.metrics().has('http.server.request.duration')).toBe(true);
  expect(scraped).toContain('facteur_command_events_failed_total');
  expect(receiver.requests[0]?.headers['authorization']).toBe('Bearer CANARY-otlp');
  const sent = receiver.requests.map(({ bytes }) => bytes.toString('latin1')).join('\n');
  expect(sent).toContain(interactionId);
  expect(sent.match(/CANARY[-\w]*/g) ?? []).toEqual([]);
  expect([...printed, ...telemetry.complaints, scraped].join('\n').match(/CANARY[-\w]*/g) ?? []).toEqual([]);
});
