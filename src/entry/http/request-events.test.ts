import { connect } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { openDoor, RECEIPT, type OpenDoor } from '../../../test/support/http-door.ts';
import { RawClient } from '../../../test/support/raw-client.ts';
import { startTestTelemetry } from '../../../test/support/telemetry.ts';
import { currentTraceparent } from '../../base/telemetry.ts';
import type { HttpDeps } from './deps.ts';

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const EVENT = { method: 'POST', body: '{"command":"plan"}', headers: { 'content-type': 'application/json' } };

async function open(overrides: Partial<HttpDeps> = {}): Promise<OpenDoor> {
  const door = await openDoor(overrides);
  onTestFinished(() => door.close());
  return door;
}

test('the span of a request belongs to the sender’s trace and is active during its dispatch', async () => {
  const { receiver, end } = await startTestTelemetry();
  const door = await open();
  let inside = '';
  door.dispatch.answer = async () => {
    inside = currentTraceparent();
    return RECEIPT;
  };
  await fetch(`${door.url}/events`, { ...EVENT, headers: { ...EVENT.headers, traceparent: TRACEPARENT } });
  await vi.waitFor(() => expect(receiver.spansOf('POST /events')).toHaveLength(1));
  const [span] = receiver.spansOf('POST /events');
  expect(span).toMatchObject({
    kind: 2,
    traceId: TRACEPARENT.slice(3, 35),
    parentSpanId: TRACEPARENT.slice(36, 52),
    status: 0,
    attributes: { 'http.request.method': 'POST', 'http.route': '/events', 'http.response.status_code': 202 },
  });
  expect(inside).toBe(`00-${span?.traceId}-${span?.spanId}-01`);
  await end();
});

test('a request without a trace starts one, and the log line has its id', async () => {
  const { receiver } = await startTestTelemetry();
  const door = await open();
  await fetch(`${door.url}/events`, EVENT);
  await vi.waitFor(() => expect(receiver.spansOf('POST /events')).toHaveLength(1));
  const [span] = receiver.spansOf('POST /events');
  expect(span?.parentSpanId).toBe('');
  expect(door.log.at(-1)).toContain(`"traceId":"${span?.traceId}"`);
});

test('without telemetry the log line still has the id of the sender’s trace', async () => {
  const door = await open();
  await fetch(`${door.url}/events`, { ...EVENT, headers: { ...EVENT.headers, traceparent: TRACEPARENT } });
  await vi.waitFor(() => expect(door.log.at(-1)).toContain(`"traceId":"${TRACEPARENT.slice(3, 35)}"`));
});

test('measures request durations by method, route and status, with no label that a caller can choose', async () => {
  const { scrape } = await startTestTelemetry();
  const door = await open();
  door.dispatch.answer = () => Promise.reject(new Error('broken'));
  await fetch(`${door.url}/events`, EVENT);
  await fetch(`${door.url}/healthz`);
  await fetch(`${door.url}/made-up-1?token=CANARY`);
  await fetch(`${door.url}/made-up-2`, { method: 'PROPFIND' });
  await vi.waitFor(async () => {
    const counts = (await scrape())
      .split('\n')
      .filter((line) => line.startsWith('http_server_request_duration_seconds_count'));
    expect(counts.toSorted()).toEqual([
      'http_server_request_duration_seconds_count{http_request_method="GET",url_scheme="http",http_response_status_code="404"} 1',
      'http_server_request_duration_seconds_count{http_request_method="GET",url_scheme="http",http_route="/healthz",http_response_status_code="200"} 1',
      'http_server_request_duration_seconds_count{http_request_method="POST",url_scheme="http",http_route="/events",http_response_status_code="500",error_type="500"} 1',
      'http_server_request_duration_seconds_count{http_request_method="_OTHER",url_scheme="http",http_response_status_code="404"} 1',
    ]);
  });
});

test('a failed request is a failed span; probes have no span', async () => {
  const { receiver, end } = await startTestTelemetry();
  const door = await open();
  door.dispatch.answer = () => Promise.reject(new Error('broken'));
  for (const path of ['/healthz', '/readyz']) {
    await fetch(`${door.url}${path}`);
  }
  await fetch(`${door.url}/nowhere`);
  await fetch(`${door.url}/events`, EVENT);
  await vi.waitFor(() => expect(receiver.spans()).toHaveLength(2));
  await end();
  expect(receiver.spans().map(({ name, status }) => [name, status])).toEqual([
    ['GET', 0],
    ['POST /events', 2],
  ]);
});

test('a client that disconnects before its answer ends the span too', async () => {
  const { receiver } = await startTestTelemetry();
  const door = await open();
  const reached = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  door.dispatch.answer = async () => {
    reached.resolve();
    await gone.promise;
    return RECEIPT;
  };
  const socket = connect(door.port, '127.0.0.1');
  socket.write(
    `POST /events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${EVENT.body.length}\r\n\r\n${EVENT.body}`,
  );
  await reached.promise;
  socket.destroy();
  await vi.waitFor(() =>
    expect(receiver.spansOf('POST /events')).toMatchObject([{ attributes: { 'error.type': 'aborted' }, status: 2 }]),
  );
  gone.resolve();
});

test('serves the metrics route only if it is configured', async () => {
  const door = await open({ scrape: async () => 'a 1\n' });
  const answer = await fetch(`${door.url}/metrics`);
  expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
    'a 1\n',
  ]);
  expect((await fetch(`${(await open()).url}/metrics`)).status).toBe(404);
});

test('in a flood of scrapes, 5 are served and the others get 503', async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const scrape = vi.fn(() => promise);
  const door = await open({ scrape });
  const flood = await RawClient.connect(door.port);
  onTestFinished(() => flood.close());
  await flood.send('GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(20));
  await vi.waitFor(() => expect(scrape).toHaveBeenCalled());
  resolve('a 1\n');
  await flood.answers(20);
  expect(scrape).toHaveBeenCalledTimes(5);
  expect(flood.statuses.filter((status) => status === 503)).toHaveLength(15);
  expect((await fetch(`${door.url}/metrics`)).status).toBe(200);
});
