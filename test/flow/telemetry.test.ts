import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, vi } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import { inSpan } from '../../src/base/telemetry.ts';
import { createDiscordClient } from '../../src/clients/discord/client.ts';
import { validTraceparent } from '../../src/base/traceparent.ts';
import { ANNOTATIONS } from '../../src/domain/workflow-plan.ts';
import { clientFor, startCluster } from '../support/cluster.ts';
import { openDiscordDoor, ROLE } from '../support/discord-door.ts';
import { startFacteur } from '../support/facteur.ts';
import { unavailable } from '../support/faulty-database.ts';
import { expectRun, runOf } from '../support/ledger.ts';
import { codexTask, event } from '../support/messages.ts';
import type { OtlpReceiver, ReceivedSpan } from '../support/otlp.ts';
import { startTestTelemetry } from '../support/telemetry.ts';
import { db, test } from '../support/ledger-fixture.ts';

const QUICK = { defaults: { outcome: 'succeed', at: 1, pendingMs: 0, startMs: 0, stepMs: 0 } } as const;
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const TRACEPARENT = `00-${TRACE}-00f067aa0ba902b7-01`;

/** The chain of names from the first span of the trace to this one. */
function pathTo(span: ReceivedSpan, receiver: OtlpReceiver): string[] {
  const parent = receiver.spans().find(({ spanId }) => spanId === span.parentSpanId);
  return [...(parent === undefined ? [] : pathTo(parent, receiver)), span.name];
}

/** The paths of all spans of a trace, once each. */
function pathsOf(traceId: string, receiver: OtlpReceiver): string[] {
  const paths = receiver
    .spans()
    .flatMap((span) => (span.traceId === traceId ? [pathTo(span, receiver).join(' > ')] : []));
  return [...new Set(paths)].toSorted();
}

describe('one trace per run', () => {
  test('from the sender through two processes to the end of the workflow', async () => {
    const { receiver, end } = await startTestTelemetry();
    const cluster = await startCluster(QUICK);
    const door = await startFacteur({ db, cluster, roles: ['http'] });
    await startFacteur({ db, cluster, roles: ['submit', 'follow'] });
    await door.send(event({ interactionId: 'd1' }), { traceparent: TRACEPARENT });
    const { traceparent, workflow_name: name } = await expectRun(db, 'd1', 'succeeded');
    await end();

    const below = 'POST /events > facteur.consumer.process_event';
    // Whether the door has to look again depends on milliseconds.
    expect(pathsOf(TRACE, receiver).filter((path) => !path.endsWith('find-submission'))).toEqual([
      'POST /events',
      below,
      `${below} > facteur.bridge.dispatch`,
      `${below} > facteur.bridge.dispatch > POST create the workflow`,
      `${below} > facteur.follow.move`,
      `${below} > record-runs`,
    ]);
    const [processed] = receiver.spansOf('facteur.consumer.process_event');
    expect(traceparent).toBe(`00-${TRACE}-${processed?.spanId}-01`);
    expect(processed?.attributes).toMatchObject({
      'facteur.command': 'plan',
      'facteur.door': 'http',
      'facteur.delivery_id': 'd1',
      'facteur.workflow_name': name,
      'facteur.correlation_id': name,
    });
    expect(receiver.spansOf('facteur.bridge.dispatch')).toMatchObject([
      {
        kind: 3,
        status: 0,
        attributes: {
          'facteur.command': 'plan',
          'facteur.state': 'submitted',
          'facteur.workflow_namespace': 'argo-workflows',
        },
      },
    ]);
    expect(receiver.spansOf('facteur.follow.move').at(-1)?.attributes).toMatchObject({ 'facteur.state': 'succeeded' });
    const [workflow] = [...cluster.store.all('workflows')].map(({ json }) => JSON.parse(json));
    expect(workflow.metadata.annotations[ANNOTATIONS.traceparent]).toBe(traceparent);
  });

  test('a Codex task without a trace starts one, with the names of the Go service', async () => {
    const { receiver, end } = await startTestTelemetry();
    const facteur = await startFacteur({ db, cluster: await startCluster(QUICK) });
    const answer = await facteur.send(codexTask({ deliveryId: 'd1' }));
    await end();
    const [implement] = receiver.spansOf('facteur.orchestrator.implement');
    expect(pathTo(implement!, receiver)).toEqual([
      'POST /codex/tasks',
      'facteur.server.codex_tasks',
      'facteur.orchestrator.implement',
    ]);
    const codex = {
      'codex.stage': 'implementation',
      'codex.repository': 'acme/rocket',
      'codex.issue_number': 7,
      'codex.delivery_id': 'd1',
    };
    const submitted = {
      'facteur.codex.namespace': answer.body.namespace,
      'facteur.codex.workflow': answer.body.workflowName,
      'facteur.codex.duplicate': false,
    };
    expect(receiver.spansOf('facteur.server.codex_tasks')).toMatchObject([
      { kind: 2, attributes: { ...codex, ...submitted } },
    ]);
    expect(implement?.attributes).toMatchObject({
      ...codex,
      ...submitted,
      'facteur.codex.repository': 'acme/rocket',
      'facteur.codex.issue_number': 7,
      'facteur.codex.delivery_id': 'd1',
    });
    expect((await runOf(db, 'd1')).traceparent).toBe(`00-${implement?.traceId}-${implement?.spanId}-01`);
    expect(receiver.spansOf('facteur.bridge.dispatch')[0]?.traceId).toBe(implement?.traceId);
  });

  test('an event with its own trace continues it, with a link to its request', async () => {
    const { receiver, end } = await startTestTelemetry();
    const facteur = await startFacteur({ db, env: { FACTEUR_DISABLE_DISPATCHER: 'true' } });
    const body = JSON.stringify({
      ...{ specversion: '1.0', id: '1', source: '/kafka', type: 'x', traceparent: TRACEPARENT },
      data: { command: 'plan' },
    });
    await facteur.send({ path: '/events', contentType: 'application/cloudevents+json', body });
    await end();
    const [processed] = receiver.spansOf('facteur.consumer.process_event');
    expect(processed).toMatchObject({ traceId: TRACE, parentSpanId: '00f067aa0ba902b7' });
    expect(processed?.links).toEqual([receiver.spansOf('POST /events')[0]?.spanId]);
  });

  test('without telemetry, the row and the workflow keep the trace of the sender', async () => {
    const cluster = await startCluster(QUICK);
    const facteur = await startFacteur({ db, cluster });
    await facteur.send(event({ interactionId: 'd1' }), { traceparent: TRACEPARENT });
    expect((await expectRun(db, 'd1', 'submitted')).traceparent).toBe(TRACEPARENT);
    const [workflow] = [...cluster.store.all('workflows')].map(({ json }) => JSON.parse(json));
    expect(workflow.metadata.annotations[ANNOTATIONS.traceparent]).toBe(TRACEPARENT);
  });

  test('with neither telemetry nor a trace of the sender, the workflow has a valid trace', async () => {
    const cluster = await startCluster(QUICK);
    const facteur = await startFacteur({ db, cluster });
    await facteur.send(event({ interactionId: 'd1' }));
    const { traceparent } = await expectRun(db, 'd1', 'submitted');
    const [workflow] = [...cluster.store.all('workflows')].map(({ json }) => JSON.parse(json));
    expect(workflow.metadata.annotations[ANNOTATIONS.traceparent]).toBe(traceparent);
    expect(validTraceparent(traceparent)).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  });

  test('from Discord to the last update of the message', async () => {
    const { receiver, end } = await startTestTelemetry();
    const cluster = await startCluster(QUICK);
    const { discord } = await openDiscordDoor({ db, cluster, roles: ['http', 'submit', 'follow', 'notify'] });
    const { interactionId } = await discord.people.command('plan', [{ name: 'objective', value: 'x' }], {
      id: '200000000000000001',
      roles: [ROLE],
    });
    await expectRun(db, interactionId, 'succeeded');
    await vi.waitFor(() => {
      const tells = receiver.spansOf('facteur.notify.tell');
      expect(tells.at(-1)?.attributes).toMatchObject({ 'facteur.state': 'succeeded', 'facteur.outcome': 'told' });
    });
    await end();
    const [first] = receiver.spansOf('POST /discord/interactions');
    const names = new Set(receiver.spans().flatMap(({ traceId, name }) => (traceId === first?.traceId ? [name] : [])));
    for (const name of [
      'facteur.consumer.process_event',
      'facteur.bridge.dispatch',
      'facteur.follow.move',
      'facteur.notify.tell',
      'PATCH edit the answer',
    ]) {
      expect(names).toContain(name);
    }
  });

  test('/status reads the template in a span with the name of the Go service', async () => {
    const { receiver, end } = await startTestTelemetry();
    const { discord } = await openDiscordDoor({ db });
    await discord.people.command('status');
    await end();
    const [status] = receiver.spansOf('facteur.bridge.status');
    expect(status).toMatchObject({
      kind: 3,
      attributes: { 'facteur.workflow_template': 'plan', 'facteur.target_namespace': 'argo-workflows' },
    });
    expect(pathTo(status!, receiver)).toEqual(['POST /discord/interactions', 'facteur.bridge.status']);
  });
});

test('requests to the cluster carry the trace, those to Discord do not', async () => {
  const { receiver, end } = await startTestTelemetry();
  const told: Record<string, string | undefined> = {};
  const server = createServer((request, response) => {
    told[String(request.url)] = request.headers['traceparent'] as string | undefined;
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end('{"id":"1","channel_id":"2","metadata":{"name":"one","namespace":"ns","uid":"u","resourceVersion":"1"}}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const discord = createDiscordClient({ apiBaseUrl: url, applicationId: '1', botToken: new Secret('t'), version: '0' });
  await inSpan('outer', {}, async () => {
    await clientFor(url).getWorkflow('ns', 'one');
    await discord.editMessage('2', '3', { content: '' } as never);
  });
  await Promise.all([discord.close(), end()]);
  const [{ traceId, spanId } = { traceId: '', spanId: '' }] = receiver.spansOf('GET get the workflow');
  expect(told).toEqual({
    '/apis/argoproj.io/v1alpha1/namespaces/ns/workflows/one': `00-${traceId}-${spanId}-01`,
    '/v10/channels/2/messages/3': undefined,
  });
  expect(receiver.spansOf('PATCH edit the message')).toMatchObject([
    {
      kind: 3,
      traceId,
      attributes: {
        'service.peer.name': 'discord',
        'http.response.status_code': 200,
        'server.address': '127.0.0.1',
        'server.port': Number(new URL(url).port),
      },
    },
  ]);
});

test('background polling is in no trace, and starts none', async () => {
  const { receiver, end } = await startTestTelemetry();
  const facteur = await startFacteur({
    db,
    cluster: await startCluster(QUICK),
    roles: ['http', 'submit', 'follow', 'notify'],
  });
  await facteur.send(event({ interactionId: 'd1' }));
  await expectRun(db, 'd1', 'succeeded');
  await end();
  const names = new Set(receiver.spans().map(({ name }) => name));
  for (const statement of ['claim-due-runs', 'claim-due-messages', 'claim-lease', 'observe-workflows', 'backlog']) {
    expect(names).not.toContain(statement);
  }
});

describe('counts of command events', () => {
  test('processed, failed and dead-lettered, by command, with made-up commands as one', async () => {
    const { scrape } = await startTestTelemetry();
    const facteur = await startFacteur({
      db,
      env: { FACTEUR_DISABLE_DISPATCHER: 'true', FACTEUR_ROLE_MAP: '{"review":["123456789012345678"]}' },
    });
    const cloudEvent = (id: string) => ({
      'ce-id': id,
      'ce-source': 'test',
      'ce-type': 'test',
      'ce-specversion': '1.0',
    });
    for (const command of ['plan', 'PLAN', 'made-up-1', 'made-up-2']) {
      expect(await facteur.send(event({ command }))).toMatchObject({ status: 202 });
    }
    await facteur.send(event({ command: 'review' }), cloudEvent('1'));
    await facteur.send({ ...event({}), body: '{}' }, cloudEvent('2'));
    facteur.faults.before = unavailable;
    await facteur.send(event({ command: 'plan' }));
    facteur.faults.before = () => undefined;

    const counts = (await scrape())
      .split('\n')
      .filter((line) => /^facteur_command_events_(?!duration.*bucket)/.test(line));
    expect(counts.filter((line) => !line.includes('_sum') && !line.endsWith(' 0')).toSorted()).toEqual([
      'facteur_command_events_dlq_total{command="(unknown)"} 1',
      'facteur_command_events_dlq_total{command="review"} 1',
      'facteur_command_events_duration_ms_count{command="(other)"} 2',
      'facteur_command_events_duration_ms_count{command="plan"} 2',
      'facteur_command_events_failed_total{command="(unknown)"} 1',
      'facteur_command_events_failed_total{command="plan"} 1',
      'facteur_command_events_failed_total{command="review"} 1',
      'facteur_command_events_processed_total{command="(other)"} 2',
      'facteur_command_events_processed_total{command="plan"} 2',
    ]);
  });
});

test('the submit latency is measured even if the mark cannot be written', async () => {
  const { scrape } = await startTestTelemetry();
  const facteur = await startFacteur({ db });
  facteur.faults.before = (statement) => (statement === 'mark-submitted' ? unavailable() : undefined);
  expect((await facteur.send(event({}))).body.status).toBe('submitted');
  expect((await scrape()).split('\n')).toContain('facteur_submit_latency_seconds_count 1');
});
