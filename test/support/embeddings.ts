import type { ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import type { Json } from './cluster.ts';
import { serveHttp } from './serve-http.ts';

/** A request to an endpoint. */
export interface EmbeddingsRequest {
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: Json;
}

type Answer = (
  request: EmbeddingsRequest,
  response: ServerResponse,
) => { readonly status?: number; readonly headers?: Record<string, string>; readonly body: unknown } | undefined;

/** An endpoint on a real socket with scripted answers. It does not answer if the answer is undefined. */
export async function startEndpoint(answer: Answer): Promise<{ url: string; requests: EmbeddingsRequest[] }> {
  const requests: EmbeddingsRequest[] = [];
  const server = await serveHttp((incoming, response) => {
    void (async () => {
      const request = {
        path: incoming.url ?? '',
        authorization: incoming.headers.authorization,
        body: await json(incoming),
      };
      requests.push(request);
      const { status = 200, headers = {}, body } = answer(request, response) ?? {};
      if (body !== undefined) {
        response.writeHead(status, { 'content-type': 'application/json', ...headers });
        response.end(typeof body === 'string' ? body : JSON.stringify(body));
      }
    })();
  });
  onTestFinished(() => server[Symbol.asyncDispose]());
  return { url: server.url, requests };
}

/** A vector that identifies its text, by length and first letter. */
export function vectorOf(text: string): number[] {
  return [text.length, text.charCodeAt(0), 1, 0];
}

/** An answer in the format of OpenAI. */
export function answerFor(texts: readonly string[]): Json {
  return { object: 'list', data: texts.map((text, index) => ({ index, embedding: vectorOf(text) })) };
}
