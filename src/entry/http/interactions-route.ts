import type { FastifyInstance } from 'fastify';
import { validTraceparent } from '../../base/traceparent.ts';
import { Refusal } from '../../domain/refusal.ts';
import { headerText, type IncomingHeaders } from '../decode/incoming.ts';
import { answerInteraction, type InteractionDeps } from '../discord/interactions.ts';
import { readInteraction } from '../discord/interaction.ts';
import { isAuthentic, readPublicKey } from '../discord/signature.ts';
import { type Answer, sendAnswer } from './answer.ts';

export interface InteractionsRoute extends InteractionDeps {
  /** 64 hex digits; without it nothing can be verified, and so nothing is let in. */
  readonly publicKey: string | undefined;
}

/** `POST /discord/interactions`: what people do in Discord, signed by it. */
export function registerInteractions(app: FastifyInstance, deps: InteractionsRoute): void {
  const key = deps.publicKey === undefined ? undefined : readPublicKey(deps.publicKey);
  const answer = async (headers: IncomingHeaders, body: Buffer): Promise<Answer> => {
    if (key === undefined) {
      return { status: 503, body: { error: 'discord interactions are not configured' } };
    }
    const [signature, timestamp] = [headers['x-signature-ed25519'], headers['x-signature-timestamp']].map(oneText);
    if (!isAuthentic(key, { signature, timestamp, body }, deps.clock.now())) {
      return { status: 401, body: { error: 'invalid request signature' } };
    }
    checkEncoding(headers);
    const traceparent = validTraceparent(headerText(headers, 'traceparent'));
    return { status: 200, body: await answerInteraction(readInteraction(body), traceparent, deps) };
  };
  app.post('/discord/interactions', async (request, reply) =>
    sendAnswer(reply, await answer(request.headers, (request.body as Buffer | undefined) ?? Buffer.alloc(0))),
  );
}

function oneText(header: IncomingHeaders[string]): string | undefined {
  return typeof header === 'string' ? header : undefined;
}

function checkEncoding(headers: IncomingHeaders): void {
  const encoding = headerText(headers, 'content-encoding');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new Refusal('unsupported_media_type', 'Content-Encoding: send the body uncompressed');
  }
}
