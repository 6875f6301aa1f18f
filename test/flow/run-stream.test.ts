import { expect } from 'vitest';
import { HEARTBEAT_MS, MAX_BACKLOG, MAX_STREAMS } from '../../src/entry/api/change-feed.ts';
import { isNewer } from '../../src/ledger/run-changes.ts';
import { recordRun } from '../../src/ledger/record-run.ts';
import { callApi } from '../support/api.ts';
import type { Json } from '../support/cluster.ts';
import { EventStream, type ServerEvent } from '../support/event-stream.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { unavailable } from '../support/faulty-database.ts';
import { expectRun } from '../support/ledger.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { event } from '../support/messages.ts';
import { newRun } from '../support/runs.ts';

/** Only the door: runs change only when the test changes them. */
const DOOR_ONLY = { roles: ['http'] } as const;

const stream = ({ url }: Facteur, lastId?: string): Promise<EventStream> =>
  EventStream.open(`${url}/v1/runs/stream`, lastId === undefined ? {} : { 'last-event-id': lastId });

const of =
  (deliveryId: string, fields: Record<string, unknown> = {}) =>
  ({ type, data }: ServerEvent): boolean =>
    type === 'run' && Object.entries({ deliveryId, ...fields }).every(([key, value]) => (data as Json)[key] === value);

const record = (deliveryId: string): Promise<unknown> => recordRun(db, { run: newRun({ deliveryId }), claim: false });

/** Changes a run like a statement that began `secondsAgo` and ended now. */
async function change(deliveryId: string, reason: string, secondsAgo = 0): Promise<void> {
  await db.query({
    text: `UPDATE facteur.runs SET reason = $2, revision = revision + 1, updated_at = now() - make_interval(secs => $3)
      WHERE delivery_id = $1`,
    values: [deliveryId, reason, secondsAgo],
  });
}

test('each change of a run is sent once, as an event with the current run', async () => {
  const facteur = await startFacteur({ db });
  await recordRun(db, { run: newRun({ deliveryId: 'before' }), claim: true });
  const watch = await stream(facteur);
  expect(watch.headers).toMatchObject({ 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  await facteur.send(event({ interactionId: 'd1', options: { objective: 'Watch' } }));
  await expectRun(db, 'd1', 'submitted');
  const { data } = await watch.event(of('d1', { state: 'submitted' }));
  const { body } = await callApi(facteur.url, `GET /v1/runs?command=plan&limit=1`);
  expect(data).toEqual({ ...body.runs[0], revision: expect.any(Number) });
  await change('d1', 'last');
  await watch.event(of('d1', { reason: 'last' }));
  expect(watch.events.filter(of('before'))).toEqual([]);
  const versions = watch.events.map(({ data: run }) => (run as Json).revision);
  expect(versions).toEqual([...new Set(versions)].toSorted());
});

test('a client that reconnects gets what it missed, each run once, and then live changes', async () => {
  const facteur = await startFacteur({ db, ...DOOR_ONLY });
  await record('d1');
  const first = await stream(facteur);
  await change('d1', 'seen');
  await first.event(of('d1', { reason: 'seen' }));
  first.close();
  for (const reason of ['missed', 'missed, too']) {
    await change('d1', reason);
  }
  const second = await stream(facteur, first.lastId);
  await second.event(of('d1', { reason: 'missed, too' }));
  await change('d1', 'live');
  await second.event(of('d1', { reason: 'live' }));
  expect(second.events.map(({ data }) => (data as Json).reason)).toEqual(['missed, too', 'live']);
});

test('a client that reconnects to another replica misses nothing', async () => {
  const one = await startFacteur({ db, ...DOOR_ONLY });
  const first = await stream(one);
  expect(first.lastId).not.toBe('');
  first.close();
  await record('d1');
  const other = await startFacteur({ db, ...DOOR_ONLY });
  await (await stream(other, first.lastId)).event(of('d1'));
});

test('changes that exceed one page all arrive once', async () => {
  const facteur = await startFacteur({ db, ...DOOR_ONLY });
  const [first, live] = [await stream(facteur), await stream(facteur)];
  const ids = Array.from({ length: 230 }, (_none, index) => `d${index}`);
  await db.transaction(async (tx) => {
    for (const deliveryId of ids) {
      await recordRun(tx, { run: newRun({ deliveryId }), claim: false });
    }
  });
  for (const watch of [live, await stream(facteur, first.lastId)]) {
    const told = (): string[] => watch.events.map(({ data }) => (data as Json).deliveryId as string);
    await expect.poll(() => new Set(told())).toEqual(new Set(ids));
    expect(told()).toHaveLength(ids.length);
  }
});

test('a change that commits late is not missed', async () => {
  const facteur = await startFacteur({ db, ...DOOR_ONLY });
  for (const id of ['new', 'late', 'very late']) {
    await record(id);
  }
  const watch = await stream(facteur);
  await change('new', 'now');
  await watch.event(of('new', { reason: 'now' }));
  await change('late', 'began before', 0.9);
  await watch.event(of('late', { reason: 'began before' }));
  await change('very late', 'began long before', 9);
  facteur.timer.advance(5_000);
  await watch.event(of('very late', { reason: 'began long before' }));
  const again = await stream(facteur, watch.events[0]?.id);
  await again.event(of('very late', { reason: 'began long before' }));
});

test('a hundred watchers cost one query', async () => {
  const facteur = await startFacteur({ db, ...DOOR_ONLY });
  await record('d1');
  const watchers: EventStream[] = [];
  for (let count = 0; count < MAX_STREAMS; count += 1) {
    watchers.push(await stream(facteur));
  }
  const { promise: never, resolve: end } = Promise.withResolvers<void>();
  let queries = 0;
  facteur.faults.before = (statement) => {
    queries += statement === 'list-changed-runs' ? 1 : 0;
    return statement === 'list-changed-runs' && queries > 1 ? never : undefined;
  };
  await change('d1', 'told to all');
  queries = 0;
  await Promise.all(watchers.map((watch) => watch.event(of('d1', { reason: 'told to all' }))));
  end();
});

test('one stream too many gets a 503 with Retry-After, until another ends', async () => {
  const facteur = await startFacteur({ db, ...DOOR_ONLY });
  // HEAD does not count.
  for (let count = 0; count < MAX_STREAMS; count += 1) {
    await fetch(`${facteur.url}/v1/runs/stream`, { method: 'HEAD' });
  }
  const watchers: EventStream[] = [];
  for (let count = 0; count < MAX_STREAMS; count += 1) {
    watchers.push(await stream(facteur));
  }
  const refused = await callApi(facteur.url, 'GET /v1/runs/stream');
  expect(refused).toMatchObject({ status: 503, body: { code: 'too_many_streams' } });
  expect(refused.headers.get('retry-after')).toBe('5');
  watchers[0]?.close();
  await expect.poll(async () => (await callApi(facteur.url, 'GET /v1/runs/stream')).status).toBe(200);
});

test('streams that cannot start without Postgres do not count', async () => {
  const facteur = await startFacteur({ db, ...DOOR_ONLY });
  facteur.faults.before = (statement) => (statement === 'database-time' ? unavailable() : undefined);
  for (let count = 0; count < MAX_STREAMS; count += 1) {
    expect(await callApi(facteur.url, 'GET /v1/runs/stream')).toMatchObject({ status: 503 });
  }
  facteur.faults.before = () => undefined;
  const watch = await stream(facteur);
  await record('d1');
  await watch.event(of('d1'));
});

test('an idle stream has a heartbeat', async () => {
  const facteur = await startFacteur({ db, ...DOOR_ONLY });
  const watch = await stream(facteur);
  for (const beats of [1, 2]) {
    await facteur.timer.pass(HEARTBEAT_MS);
    await expect.poll(() => watch.received.match(/^:$/gm)?.length).toBe(beats);
  }
  await record('d1');
  await watch.event(of('d1'));
});

test('shutdown ends the streams gracefully', async () => {
  const facteur = await startFacteur({ db, ...DOOR_ONLY });
  const watch = await stream(facteur);
  await facteur.app.close();
  expect(await watch.end()).toBe('whole');
});

test('a client that does not read is disconnected, and can resume where it stopped', async () => {
  const facteur = await startFacteur({ db, ...DOOR_ONLY });
  const ids = Array.from({ length: 30 }, (_none, index) => `d${index}`);
  await Promise.all(ids.map(record));
  const [watch, reader] = [await stream(facteur), await stream(facteur)];
  watch.pause();
  const told = ({ received }: EventStream, round: number): number => received.split(`"reason":"${round}x`).length - 1;
  // More than the backlog, and more than the kernel buffers for a connection.
  for (const round of [1, 2, 3, 4, 5, 6]) {
    await db.query({
      text: `UPDATE facteur.runs SET reason = $1 || repeat('x', $2), revision = revision + 1, updated_at = now()`,
      values: [round, Math.round((0.75 * MAX_BACKLOG) / ids.length)],
    });
    await expect.poll(() => told(reader, round)).toBe(ids.length);
  }
  watch.resume();
  expect(await watch.end()).toBe('broken');
  expect(reader.ended).toBeUndefined();
  const again = await stream(facteur, watch.lastId);
  await expect.poll(() => told(again, 6)).toBe(ids.length);
});

test('an invalid Last-Event-ID is rejected with the name of the header', async () => {
  const facteur = await startFacteur({ db, ...DOOR_ONLY });
  expect(await callApi(facteur.url, 'GET /v1/runs/stream', { headers: { 'last-event-id': 'x' } })).toMatchObject({
    status: 400,
    body: { errors: [{ field: 'header.last-event-id', message: expect.any(String) }] },
  });
});

test('without the database no stream opens, and open streams catch up when it is back', async () => {
  const facteur = await startFacteur({ db, ...DOOR_ONLY });
  await record('d1');
  facteur.faults.before = unavailable;
  const refused = await callApi(facteur.url, 'GET /v1/runs/stream');
  expect(refused).toMatchObject({ status: 503, body: { code: 'unavailable' } });
  facteur.faults.before = () => undefined;
  const watch = await stream(facteur);
  facteur.faults.before = unavailable;
  await change('d1', 'unseen');
  await expect.poll(() => facteur.log.some((line) => line.includes('worker pass failed'))).toBe(true);
  facteur.faults.before = () => undefined;
  await watch.event(of('d1', { reason: 'unseen' }));
});

test('a stream that cannot read the missed changes is disconnected, and can be reopened', async () => {
  const facteur = await startFacteur({ db, ...DOOR_ONLY });
  const first = await stream(facteur);
  await record('d1');
  await first.event(of('d1'));
  facteur.faults.before = (statement) => (statement === 'list-changed-runs' ? unavailable() : undefined);
  expect(await (await stream(facteur, first.lastId)).end()).toBe('broken');
  facteur.faults.before = () => undefined;
  await (await stream(facteur, first.lastId)).event(of('d1'));
  expect(first.ended).toBeUndefined();
});

test('the revision decides which version is newer, then the time', () => {
  const version = { revision: 2, changedAt: 10 };
  expect(isNewer(version, undefined)).toBe(true);
  expect(isNewer({ revision: 3, changedAt: 9 }, version)).toBe(true);
  expect(isNewer({ revision: 2, changedAt: 11 }, version)).toBe(true);
  expect(isNewer(version, version)).toBe(false);
  expect(isNewer({ revision: 1, changedAt: 11 }, version)).toBe(false);
});
