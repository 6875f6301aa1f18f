import type { Secret } from './secret.ts';

/** A key that signs run tokens. */
export interface RunTokenKey {
  /** Part of the token, to find the key after a rotation. */
  readonly id: string;
  /** At least 32 bytes. */
  readonly secret: Secret;
}

const TYPE = 'facteur-run+jwt';
const AUDIENCE = 'facteur';
const ALGORITHM = 'HS256';
/** Lifetime from the run's acceptance, as an outer limit. The ledger decides whether a run may still report. */
const LIFE_SECONDS = 7 * 24 * 60 * 60;

const bytesOf = ({ secret }: RunTokenKey): Uint8Array => new TextEncoder().encode(secret.reveal());

/**
 * The capability of a run: a JWT that contains only the run's id. The same run and key always give the same token, so
 * every attempt to create a workflow sends the same manifest.
 */
export async function mintRunToken(key: RunTokenKey, runId: string, acceptedAt: Date): Promise<string> {
  const { SignJWT } = await import('jose');
  const issuedAt = Math.floor(acceptedAt.getTime() / 1000);
  return new SignJWT()
    .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid: key.id })
    .setSubject(runId)
    .setAudience(AUDIENCE)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + LIFE_SECONDS)
    .sign(bytesOf(key));
}

/** The run of a token that one of the keys signed; undefined for anything else. */
export async function runOfToken(keys: readonly RunTokenKey[], token: string, now: Date): Promise<string | undefined> {
  const { jwtVerify, errors } = await import('jose');
  const keyOf = ({ kid }: { readonly kid?: string }): Uint8Array => {
    const key = keys.find(({ id }) => id === kid);
    if (key === undefined) {
      throw new errors.JWKSNoMatchingKey();
    }
    return bytesOf(key);
  };
  try {
    const { payload } = await jwtVerify(token, keyOf, {
      algorithms: [ALGORITHM],
      typ: TYPE,
      audience: AUDIENCE,
      requiredClaims: ['sub', 'iat', 'exp'],
      currentDate: now,
    });
    return payload.sub;
  } catch (error) {
    if (error instanceof errors.JOSEError) {
      return undefined;
    }
    throw error;
  }
}
