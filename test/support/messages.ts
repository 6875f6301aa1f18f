import { create, fromJson, toBinary, type JsonObject } from '@bufbuild/protobuf';
import { CommandEventSchema } from '../../src/proto/proompteng/facteur/v1/contract_pb.ts';
import { CodexTaskSchema } from '../../src/proto/proompteng/froussard/v1/codex_task_pb.ts';
import type { Json } from './cluster.ts';

/** One message as sent over the wire. */
export interface Message {
  readonly path: '/events' | '/codex/tasks';
  readonly contentType: string;
  readonly body: string | Uint8Array<ArrayBuffer>;
}

/** A command event in JSON. */
export function event(fields: JsonObject): Message {
  return { path: '/events', contentType: 'application/json', body: JSON.stringify({ command: 'plan', ...fields }) };
}

/** A Codex implementation task in JSON. */
export function codexTask(fields: JsonObject): Message {
  const task = {
    stage: 'CODEX_TASK_STAGE_IMPLEMENTATION',
    prompt: 'Mend the rocket.',
    repository: 'acme/rocket',
    base: 'main',
    head: 'codex/mend',
    issueNumber: '7',
    ...fields,
  };
  return { path: '/codex/tasks', contentType: 'application/json', body: JSON.stringify(task) };
}

/** The same message in protobuf. */
export function asProtobuf({ path, body }: Message): Message {
  const json: Json = JSON.parse(String(body));
  const bytes =
    path === '/events'
      ? toBinary(CommandEventSchema, fromJson(CommandEventSchema, json))
      : toBinary(CodexTaskSchema, fromJson(CodexTaskSchema, json));
  return { path, contentType: 'application/x-protobuf', body: Uint8Array.from(bytes) };
}

/** A command event in protobuf with texts that JSON could not transport. */
export function rawEvent(fields: { command: string; interactionId: string; options: Record<string, string> }): Message {
  const body = Uint8Array.from(toBinary(CommandEventSchema, create(CommandEventSchema, fields)));
  return { path: '/events', contentType: 'application/x-protobuf', body };
}

/** The answer to a message. */
export interface Answer {
  readonly status: number;
  readonly body: Json;
  readonly headers: Headers;
}

/** Sends a message to a facteur. */
export async function send(url: string, message: Message, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(new URL(message.path, url), {
    method: 'POST',
    headers: { 'content-type': message.contentType, ...headers },
    body: message.body,
  });
  const text = await response.text();
  return {
    status: response.status,
    body: JSON.parse(text),
    headers: response.headers,
  };
}
