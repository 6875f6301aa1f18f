import { SignJWT, UnsecuredJWT } from 'jose';
import { expect, test } from 'vitest';
import { mintRunToken, runOfToken } from './run-token.ts';
import { Secret } from './secret.ts';

const RUN = '0190f3a2-0000-7000-8000-000000000001';
const ACCEPTED = new Date('2026-02-03T04:05:06.789Z');
const SOON = new Date('2026-02-03T05:00:00Z');
const key = (id: string) => ({ id, secret: new Secret(`${id}-`.padEnd(40, 'x')) });
const [OLD, NEW] = [key('old'), key('new')];

/** A token, signed with the right key, that differs in one thing. */
async function forged(change: { typ?: string; aud?: string; kid?: string; alg?: string; sub?: string; exp?: number }) {
  const bytes = new TextEncoder().encode(NEW.secret.reveal());
  const jwt = new SignJWT().setIssuedAt(SOON).setAudience(change.aud ?? 'facteur');
  jwt.setProtectedHeader({
    alg: change.alg ?? 'HS256',
    typ: change.typ ?? 'facteur-run+jwt',
    kid: change.kid ?? 'new',
  });
  if (change.sub !== '') {
    jwt.setSubject(change.sub ?? RUN);
  }
  return jwt.setExpirationTime(change.exp ?? 2_000_000_000).sign(bytes);
}

test('a token names its run, is the same for every attempt, and survives a key rotation', async () => {
  const token = await mintRunToken(OLD, RUN, ACCEPTED);
  expect(await mintRunToken(OLD, RUN, ACCEPTED)).toBe(token);
  expect(await runOfToken([OLD], token, SOON)).toBe(RUN);
  expect(await runOfToken([NEW, OLD], token, SOON)).toBe(RUN);
  expect(await runOfToken([NEW], token, SOON)).toBeUndefined();
});

test('expires seven days after the run was accepted', async () => {
  const token = await mintRunToken(NEW, RUN, ACCEPTED);
  expect(await runOfToken([NEW], token, new Date('2026-02-10T04:05:05Z'))).toBe(RUN);
  expect(await runOfToken([NEW], token, new Date('2026-02-10T04:05:07Z'))).toBeUndefined();
});

test('the unchanged token is valid', async () => {
  expect(await runOfToken([NEW], await forged({}), SOON)).toBe(RUN);
});

const NONE = new UnsecuredJWT({ sub: RUN, aud: 'facteur', iat: 1, exp: 2_000_000_000 }).encode();
const FORGED: readonly [string, () => Promise<string> | string][] = [
  ['with the wrong type', () => forged({ typ: 'JWT' })],
  ['for the wrong audience', () => forged({ aud: 'elsewhere' })],
  ['with an unknown key id', () => forged({ kid: 'unknown' })],
  ['with the wrong algorithm', () => forged({ alg: 'HS384' })],
  ['without a run', () => forged({ sub: '' })],
  ['that has expired', () => forged({ exp: 1_000_000_000 })],
  ['without a signature', () => NONE],
  [
    'that was tampered with',
    async () =>
      (await forged({})).replace(/\.[^.]+\./, `.${Buffer.from(JSON.stringify({ sub: 'x' })).toString('base64url')}.`),
  ],
  ['with three empty parts', () => '..'],
];

test.each(FORGED)('rejects a token %s', async (_what, make) => {
  expect(await runOfToken([NEW], await make(), SOON)).toBeUndefined();
});
