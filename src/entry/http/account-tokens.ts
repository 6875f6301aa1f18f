import type { createLocalJWKSet, JWTVerifyOptions } from 'jose';
import type { Clock } from '../../base/clock.ts';
import { errorMessage, FacteurError } from '../../base/errors.ts';
import type { Logger } from '../../base/logger.ts';
import type { IntakeOidc } from '../../config/config.ts';
import { Admission } from './admission.ts';

/** Dependencies of the check of service account tokens. */
interface AccountTokenDeps {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Returns the key set with which the cluster signs tokens, as JSON. Rejects if the cluster does not answer. */
  readonly fetchKeys: () => Promise<unknown>;
}

interface KeySet {
  readonly keys: ReturnType<typeof createLocalJWKSet>;
  /** In milliseconds since 1970. */
  readonly readAt: number;
}

/** Kubernetes signs with RSA or ECDSA keys. Symmetric algorithms and `none` are never accepted. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512'];
/** Maximum difference between the clocks of two machines. */
const CLOCK_SKEW_SECONDS = 30;
/** Older keys are read again. They remain in use while the cluster does not answer. */
const KEYS_AGE_MS = 10 * 60_000;
/** Minimum time between two reads: tokens with made-up key ids must not become requests to the cluster. */
const READ_INTERVAL_MS = 5_000;
/**
 * Maximum number of concurrent checks, as many as intake accepts requests: they may wait for the cluster, and anybody can send
 * tokens.
 */
const MAX_CHECKS = 1000;

/**
 * Creates the check of tokens that the cluster issued to a service account for an audience, as sent by KafkaSources. Any pod can
 * get a token of its own account for any audience, so the account must be one of the configured subjects.
 *
 * @returns whether a token is valid; rejects with a retryable FacteurError if the required keys are not available, or while too
 * many tokens are being checked
 */
export function accountTokenCheck(rule: IntakeOidc, deps: AccountTokenDeps): (token: string) => Promise<boolean> {
  const keys = new ClusterKeys(deps);
  const admission = new Admission({ bytes: 0, requests: MAX_CHECKS });
  const check = async (token: string): Promise<boolean> => {
    const { errors, jwtVerify } = await import('jose');
    const options: JWTVerifyOptions = {
      issuer: rule.issuer,
      audience: rule.audience,
      algorithms: ALGORITHMS,
      requiredClaims: ['sub', 'exp'],
      clockTolerance: CLOCK_SKEW_SECONDS,
      currentDate: deps.clock.now(),
    };
    const verify = async (set: KeySet): Promise<boolean> => {
      const { payload } = await jwtVerify(token, set.keys, options);
      return rule.subjects.includes(payload.sub ?? '');
    };
    const began = deps.clock.now().getTime();
    try {
      const set = await keys.current();
      return await verify(set).catch(async (error: unknown) => {
        // Keys that were read for this token are at least as new as its own.
        if (error instanceof errors.JWKSNoMatchingKey && set.readAt < began) {
          return verify(await keys.renewed());
        }
        throw error;
      });
    } catch (error) {
      if (error instanceof errors.JOSEError) {
        return false;
      }
      throw error;
    }
  };
  return (token) => admission.admit(() => check(token));
}

/** The cluster's keys: read on first use, when they are old, and when a token names an unknown one. */
class ClusterKeys {
  readonly #deps: AccountTokenDeps;
  #set: KeySet | undefined;
  #triedAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<KeySet> | undefined;

  constructor(deps: AccountTokenDeps) {
    this.#deps = deps;
  }

  async current(): Promise<KeySet> {
    const set = this.#set;
    if (set === undefined) {
      return this.renewed();
    }
    if (this.#now() - set.readAt < KEYS_AGE_MS) {
      return set;
    }
    return this.renewed().catch(() => set);
  }

  /** Newly read keys. Rejects if the last attempt to read them was a moment ago. */
  async renewed(): Promise<KeySet> {
    if (this.#reading === undefined) {
      if (this.#now() - this.#triedAt < READ_INTERVAL_MS) {
        throw unavailable();
      }
      this.#triedAt = this.#now();
      this.#reading = this.#read().finally(() => {
        this.#reading = undefined;
      });
    }
    return this.#reading;
  }

  async #read(): Promise<KeySet> {
    try {
      const { createLocalJWKSet } = await import('jose');
      const keys = createLocalJWKSet((await this.#deps.fetchKeys()) as Parameters<typeof createLocalJWKSet>[0]);
      const set = { keys, readAt: this.#now() };
      this.#set = set;
      return set;
    } catch (error) {
      this.#deps.logger.warn({ error: errorMessage(error) }, 'cannot read the keys that the cluster signs tokens with');
      throw unavailable(error);
    }
  }

  #now(): number {
    return this.#deps.clock.now().getTime();
  }
}

/** The sender should retry: it is unknown whether its token is valid. */
function unavailable(cause?: unknown): FacteurError {
  return new FacteurError('intake.keys_unavailable', "the cluster's keys for tokens are not available", {
    retryable: true,
    cause,
  });
}
