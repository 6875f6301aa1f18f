import { expect } from 'vitest';
import { accessTo, startCluster } from '../support/cluster.ts';
import { startFacteur } from '../support/facteur.ts';
import { unavailable } from '../support/faulty-database.ts';
import { created, wholeLedger } from '../support/ledger.ts';
import { asProtobuf, codexTask, event, type Answer } from '../support/messages.ts';
import { db, test } from '../support/ledger-fixture.ts';

// Invariant 6: nothing secret reaches a log, an error, an answer, a row or a workflow.

const INTERACTION_TOKEN = `${Buffer.from('interaction:123:').toString('base64').replaceAll('=', '')}CANARYinteraction`;

const ENV = {
  FACTEUR_SERVER_INTAKE_TOKENS: 'CANARY-intake',
  FACTEUR_SERVER_API_TOKENS: 'CANARY-api',
  FACTEUR_DISCORD_BOT_TOKEN: 'CANARY-bot',
  FACTEUR_POSTGRES_DSN: 'postgres://facteur:CANARY-dsn@127.0.0.1:1/facteur',
  FACTEUR_REDIS_URL: 'redis://user:CANARY-redis@127.0.0.1:1/0',
};

const AUTHORISED = { authorization: 'Bearer CANARY-intake' };
const CLOUD_EVENT = { ...AUTHORISED, 'ce-id': '1', 'ce-source': 'test', 'ce-type': 'test', 'ce-specversion': '1.0' };
const WRONG = { authorization: 'Bearer CANARY-guess' };

const secretEvent = (fields: Parameters<typeof event>[0]) => event({ token: INTERACTION_TOKEN, ...fields });

test('canaries in every place for a secret appear nowhere', async () => {
  const cluster = await startCluster({ tokens: ['CANARY-kube'] });
  const facteur = await startFacteur({
    db,
    cluster,
    env: ENV,
    context: { clusterAccess: async () => accessTo(cluster.url, 'CANARY-kube') },
  });
  const { requests } = cluster.faults;
  const answers: Answer[] = [];
  const said = async (answer: Promise<Answer>, status: number): Promise<void> => {
    answers.push(await answer);
    expect(answers.at(-1)).toMatchObject({ status });
  };

  // Deliveries that work, and a redelivery.
  for (const message of [secretEvent({ interactionId: 'd1' }), asProtobuf(secretEvent({ interactionId: 'd1' }))]) {
    await said(facteur.send(message, AUTHORISED), 202);
  }
  await said(facteur.send(codexTask({ deliveryId: 'd2' }), AUTHORISED), 202);
  // Deliveries that are refused, and kept with their bytes.
  const bad = secretEvent({ interactionId: 'd3', options: { objective: '{{CANARY-value}}' } });
  for (const message of [bad, asProtobuf(bad)]) {
    await said(facteur.send(message, CLOUD_EVENT), 422);
  }
  await said(
    facteur.send({ ...bad, body: `{"token":"${INTERACTION_TOKEN}","options":"CANARY-value"` }, CLOUD_EVENT),
    400,
  );
  await said(facteur.send({ ...bad, body: `{"command":["CANARY-value"]}` }, AUTHORISED), 400);
  await said(facteur.send({ ...bad, contentType: 'text/CANARY-type' }, AUTHORISED), 415);
  await said(facteur.send(bad, WRONG), 401);
  // Internal failures.
  facteur.faults.before = unavailable;
  await said(facteur.send(secretEvent({ interactionId: 'd4' }), AUTHORISED), 503);
  facteur.faults.before = () => {
    throw new Error('connection to postgres://facteur:CANARY-dsn@db:5432 failed');
  };
  await said(facteur.send(secretEvent({ interactionId: 'd5' }), AUTHORISED), 500);
  facteur.faults.before = () => undefined;
  // A refusal of the cluster that quotes the request.
  const message = 'denied: Authorization: Bearer CANARY-kube';
  requests.add({
    match: { verb: 'create' },
    action: { kind: 'answer', answer: { status: 422, reason: 'Invalid', message } },
    times: 1,
  });
  await said(facteur.send(secretEvent({ interactionId: 'd6' }), CLOUD_EVENT), 422);
  cluster.faults.apply({ op: 'tokens', tokens: ['another'] });
  await said(facteur.send(secretEvent({ interactionId: 'd7' }), AUTHORISED), 202);
  await cluster.disconnect();
  await said(facteur.send(secretEvent({ interactionId: 'd8' }), AUTHORISED), 202);

  expect(created(cluster)).toHaveLength(2);
  const workflows = [...cluster.store.all('workflows')].map(({ json }) => json);
  const places = {
    log: facteur.log.join(''),
    answers: JSON.stringify(answers),
    rows: await wholeLedger(db),
    workflows,
  };
  expect(places.log).toContain('request refused');
  expect(places.rows).toContain('facteur.dead_letters');
  // Values that are not secrets may appear in the rows that keep a refused event, and nowhere else.
  const { rows, ...elsewhere } = places;
  expect(findCanaries(JSON.stringify(elsewhere))).toEqual([]);
  expect(findCanaries(rows).filter((found) => !found.startsWith('CANARY-value'))).toEqual([]);
});

function findCanaries(text: string): string[] {
  return text.match(/CANARY[-\w]*/g) ?? [];
}

test('the canaries would be found', () => {
  expect(findCanaries(`x Bearer CANARY-kube, ${INTERACTION_TOKEN}`)).toHaveLength(2);
});
