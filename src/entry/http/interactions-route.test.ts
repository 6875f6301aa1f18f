import { gzipSync } from 'node:zlib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { openDoor } from '../../../test/support/http-door.ts';
import { TurnableTimer } from '../../../test/support/turnable-timer.ts';
import { FacteurError } from '../../base/errors.ts';
import { createLogger } from '../../base/logger.ts';
import type { Chat } from '../../dispatch/chat.ts';
import { createSigner } from '../../../sandbox/discord/signer.ts';
import { Admission } from './admission.ts';
import type { InteractionsRoute } from './interactions-route.ts';

const NOW = new Date('2026-02-03T04:05:06Z');
const signer = createSigner();

const down = async (): Promise<never> => {
  throw new FacteurError('app.unready', 'facteur is starting', { retryable: true });
};

interface Sent {
  readonly status: number;
  readonly headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- any JSON: the assertion that follows checks its shape.
  readonly body: any;
}

async function open(overrides: Partial<InteractionsRoute> = {}) {
  const log: string[] = [];
  const interactions: InteractionsRoute = {
    admission: new Admission({ bytes: 2 ** 20, requests: 100 }),
    publicKey: signer.publicKey,
    guildId: undefined,
    rules: () => ({ commands: {}, roleMap: {} }),
    clock: { now: () => NOW },
    timer: new TurnableTimer(),
    logger: createLogger('debug', { write: (line) => log.push(line) }),
    gate: { pass: () => undefined },
    urgent: { run: (work) => work() },
    chat: { command: down, form: down, press: down, decide: down, review: down } satisfies Chat,
    ...overrides,
  };
  const door = await openDoor({ interactions });
  onTestFinished(() => door.close());
  const post = async (body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string>): Promise<Sent> => {
    const response = await fetch(`${door.url}/discord/interactions`, { method: 'POST', body, headers });
    return { status: response.status, headers: response.headers, body: await response.json() };
  };
  const timestamp = String(NOW.getTime() / 1000);
  return {
    log: () => [...log, ...door.log].join('\n'),
    url: door.url,
    post,
    signed: (body: string, at = timestamp, more: Record<string, string> = {}) =>
      post(body, {
        'content-type': 'application/json',
        'x-signature-timestamp': at,
        'x-signature-ed25519': signer.sign(at, body),
        ...more,
      }),
  };
}

const PING = JSON.stringify({ type: 1, id: '1', application_id: '2', token: 'canary', version: 1 });
const COMMAND = JSON.stringify({ type: 2, id: '1', token: 'canary', data: { name: 'plan', type: 1 } });

describe('POST /discord/interactions', () => {
  test('answers Discord’s probes before anything else is up', async () => {
    const { signed, post } = await open();
    expect(await signed(PING)).toMatchObject({ status: 200, body: { type: 1 } });
    expect((await signed(PING)).headers.get('content-type')).toBe('application/json');
    const forged = await post(PING, { 'x-signature-timestamp': '1', 'x-signature-ed25519': '0'.repeat(128) });
    expect(forged).toMatchObject({ status: 401, body: { error: 'invalid request signature' } });
  });

  test.each([
    ['no headers', {}],
    ['no signature', { 'x-signature-timestamp': String(NOW.getTime() / 1000) }],
    ['no timestamp', { 'x-signature-ed25519': '0'.repeat(128) }],
  ])('%s is 401, for any body', async (_what, headers) => {
    const { post } = await open();
    for (const body of [PING, 'not json', '', '\0'.repeat(1000)]) {
      expect(await post(body, headers)).toMatchObject({ status: 401 });
    }
  });

  test('a modified body is 401', async () => {
    const { post } = await open();
    const at = String(NOW.getTime() / 1000);
    const headers = { 'x-signature-timestamp': at, 'x-signature-ed25519': signer.sign(at, PING) };
    expect(await post(`${PING} `, headers)).toMatchObject({ status: 401 });
    // The same JSON, formatted differently.
    expect(await post(JSON.stringify(JSON.parse(PING), undefined, 1), headers)).toMatchObject({ status: 401 });
    expect(await post(PING, headers)).toMatchObject({ status: 200 });
  });

  test('a timestamp more than five minutes in the past or the future is 401', async () => {
    const { signed } = await open();
    const at = (seconds: number) => String(NOW.getTime() / 1000 + seconds);
    expect((await signed(PING, at(-300))).status).toBe(200);
    expect((await signed(PING, at(-301))).status).toBe(401);
    expect((await signed(PING, at(300))).status).toBe(200);
    expect((await signed(PING, at(301))).status).toBe(401);
  });

  test('without a public key every request is 503', async () => {
    const { signed } = await open({ publicKey: undefined });
    expect(await signed(PING)).toMatchObject({
      status: 503,
      body: { error: 'discord interactions are not configured' },
    });
  });

  test('a signed body that is not an interaction is 400', async () => {
    const { signed } = await open();
    expect(await signed('{')).toMatchObject({ status: 400, body: { error: 'invalid payload' } });
    expect(await signed('[]')).toMatchObject({ status: 400 });
  });

  test('a compressed body is 401 or 415: nothing is decompressed before it is verified', async () => {
    const { post } = await open();
    const at = String(NOW.getTime() / 1000);
    const zipped = Uint8Array.from(gzipSync(PING));
    const headers = { 'content-encoding': 'gzip', 'x-signature-timestamp': at };
    expect(await post(zipped, { ...headers, 'x-signature-ed25519': '0'.repeat(128) })).toMatchObject({ status: 401 });
    const signature = signer.sign(at, 'x');
    expect(await post('x', { ...headers, 'x-signature-ed25519': signature })).toMatchObject({ status: 415 });
  });

  test('other methods are 405', async () => {
    const { url } = await open();
    const response = await fetch(`${url}/discord/interactions`);
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
  });

  test('while runs cannot be recorded, answers the user at once, visible only to them', async () => {
    const { signed, log } = await open();
    const answer = await signed(COMMAND);
    expect(answer).toMatchObject({ status: 200, body: { type: 4, data: { flags: 64 } } });
    expect(answer.body.data.content).toContain('try again');
    expect(log()).toContain('cannot be handled now');
    expect(log()).not.toContain('canary');
  });

  test('an unexpected error is in the log and not in the answer', async () => {
    const broken = async () => {
      throw new Error('canary in pieces');
    };
    const { signed, log } = await open({
      chat: { command: broken, form: broken, press: broken, decide: broken, review: broken },
    });
    const answer = await signed(COMMAND);
    expect(answer.body.data.content).toContain('went wrong');
    expect(JSON.stringify(answer.body)).not.toContain('canary');
    expect(log()).toContain('canary in pieces');
  });

  test('is not served unless configured', async () => {
    const door = await openDoor();
    onTestFinished(() => door.close());
    expect((await fetch(`${door.url}/discord/interactions`, { method: 'POST' })).status).toBe(404);
  });
});
