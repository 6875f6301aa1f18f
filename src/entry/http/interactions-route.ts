import type { FastifyInstance, FastifyRequest } from 'fastify';
import { validTraceparent } from '../../base/traceparent.ts';
import { Refusal } from '../../domain/refusal.ts';
import { headerText, type IncomingHeaders } from '../decode/incoming.ts';
import { answerInteraction, type InteractionDeps } from '../discord/interactions.ts';
import { readInteraction } from '../discord/interaction.ts';
import { isAuthentic, readPublicKey, readSeal } from '../discord/signature.ts';
import { type Answer, sendAnswer } from './answer.ts';
import { announcesMore, type Admission, type BodyLimits } from './admission.ts';

export interface InteractionsRoute extends InteractionDeps {
  /** 64 hex digits; without it no request can be verified, and all are refused. */
  readonly publicKey: string | undefined;
  /** Limits interactions. */
  readonly admission: Admission;
}

/** Many times what Discord ever sends. */
const MAX_BYTES = 256 * 1024;

/** Discord itself gives up after this time, so a slower body would only occupy a slot. */
const BODY_MS = 3_000;

const NOT_CONFIGURED: Answer = { status: 503, body: { error: 'discord interactions are not configured' } };
const FORGED: Answer = { status: 401, body: { error: 'invalid request signature' } };

/**
 * `POST /discord/interactions`: signed events from Discord. This door is open to the internet, so no body is read
 * unless its headers could be Discord's.
 */
export function registerInteractions(app: FastifyInstance, deps: InteractionsRoute, maxBodyBytes: number): void {
  const key = deps.publicKey === undefined ? undefined : readPublicKey(deps.publicKey);
  const limit = Math.min(MAX_BYTES, maxBodyBytes);
  const limits: BodyLimits = { maxBytes: limit, deadline: { timer: deps.timer, ms: BODY_MS } };
  const answer = async ({ raw, headers }: FastifyRequest): Promise<Answer> => {
    if (key === undefined) {
      return NOT_CONFIGURED;
    }
    const seal = readSeal(headers['x-signature-ed25519'], headers['x-signature-timestamp'], deps.clock.now());
    if (seal === undefined) {
      return FORGED;
    }
    if (announcesMore(headers, limit)) {
      throw tooLarge(limit);
    }
    return deps.admission.admitBody(raw, limits, async ({ body, cut }) => {
      if (cut) {
        throw tooLarge(limit);
      }
      if (!isAuthentic(key, seal, body)) {
        return FORGED;
      }
      checkEncoding(headers);
      const traceparent = validTraceparent(headerText(headers, 'traceparent'));
      return { status: 200, body: await answerInteraction(readInteraction(body), traceparent, deps) };
    });
  };
  app.post('/discord/interactions', async (request, reply) => sendAnswer(reply, await answer(request)));
}

function tooLarge(limit: number): Refusal {
  return new Refusal('body_too_large', `the limit is ${limit} bytes`);
}

function checkEncoding(headers: IncomingHeaders): void {
  const encoding = headerText(headers, 'content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new Refusal('unsupported_media_type', 'Content-Encoding: send the body uncompressed');
  }
}
