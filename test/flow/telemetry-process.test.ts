import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { fillDirectory } from '../support/database.ts';
import { FacteurProcess, temporaryFolder } from '../support/facteur-process.ts';
import { event } from '../support/messages.ts';
import { startOtlpReceiver, type OtlpReceiver } from '../support/otlp.ts';

// One database for both tests: they do not test it.
const folder = temporaryFolder();
const database = join(folder.path, 'postgres');
beforeAll(() => fillDirectory(database));
afterAll(() => folder.remove());

/** A separate process that exports to the receiver and submits nothing. */
async function start(receiver: OtlpReceiver): Promise<FacteurProcess> {
  const facteur = new FacteurProcess({
    env: {
      FACTEUR_POSTGRES_DSN: `pglite:${database}`,
      FACTEUR_DISABLE_DISPATCHER: 'true',
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
      OTEL_SERVICE_NAMESPACE: 'ns',
    },
  });
  onTestFinished(() => (facteur.isRunning ? facteur.kill() : undefined));
  return facteur.ready();
}

test('a process sends its remaining telemetry before it exits', async () => {
  const receiver = await startOtlpReceiver();
  const facteur = await start(receiver);
  expect(await facteur.send(event({ interactionId: 'd1' }))).toMatchObject({ status: 202 });
  expect(await facteur.stop()).toEqual({ code: 0, signal: null });
  expect(receiver.spansOf('POST /events')).toMatchObject([
    { resource: { 'service.name': 'facteur', 'service.namespace': 'ns' } },
  ]);
  expect(receiver.metrics().has('http.server.request.duration')).toBe(true);
  const printed = facteur.log.map((line) => JSON.parse(line).message);
  expect(receiver.logs().map(({ body }) => body)).toEqual(printed.slice(printed.indexOf('the dispatcher is disabled')));
  expect(printed.at(-1)).toBe('stopped');
});

test('a collector that hangs delays neither requests nor the exit', async () => {
  const receiver = await startOtlpReceiver();
  receiver.behave('hang');
  const facteur = await start(receiver);
  expect(await facteur.send(event({ interactionId: 'd1' }))).toMatchObject({ status: 202 });
  expect(await facteur.stop()).toEqual({ code: 0, signal: null });
  expect(facteur.log.at(-1)).toContain('telemetry: could not send the remaining data');
});
