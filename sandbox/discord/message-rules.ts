import { isRecord } from '../../src/base/json.ts';
import type { JsonObject } from '../cluster/objects.ts';
import { checkComponents } from './component-rules.ts';
import { DiscordFailure, emptyMessage, plain } from './discord-failure.ts';
import { checkEmbeds } from './embed-rules.ts';
import { FormErrors, listField } from './form-errors.ts';

/** The visible content of a message. */
export interface MessageContent {
  readonly content: string;
  readonly embeds: readonly unknown[];
  readonly components: readonly unknown[];
}

export const NOTHING: MessageContent = { content: '', embeds: [], components: [] };

export const EPHEMERAL = 1 << 6;
export const LOADING = 1 << 7;
const COMPONENTS_V2 = 1 << 15;
const MAX_CONTENT = 2000;
const MAX_NONCE = 25;
const MENTION_KINDS = ['roles', 'users', 'everyone'];

/**
 * The message after a create or an edit, or Discord's refusal. An edit keeps omitted fields
 * and clears fields that are null.
 *
 * @throws DiscordFailure 50035, 50006, or the 500 that Discord returns for invalid Unicode
 */
export function applyMessage(before: MessageContent, body: JsonObject): MessageContent {
  refuseBrokenUnicode(body);
  refuseComponentsV2(body);
  const errors = new FormErrors();
  errors.text(body, ['content'], { max: MAX_CONTENT });
  checkEmbeds(errors, body);
  checkComponents(errors, body);
  checkMentions(errors, body['allowed_mentions']);
  if (typeof body['nonce'] === 'string') {
    errors.length(['nonce'], body['nonce'], MAX_NONCE);
  }
  errors.throwIfAny();
  const after = {
    content: (body['content'] === undefined ? before.content : (body['content'] ?? '')) as string,
    embeds: field(before.embeds, body['embeds']),
    components: field(before.components, body['components']),
  };
  if (after.content === '' && after.embeds.length === 0 && after.components.length === 0) {
    throw emptyMessage();
  }
  return after;
}

function field(before: readonly unknown[], value: unknown): readonly unknown[] {
  return value === undefined ? before : ((value ?? []) as readonly unknown[]);
}

/** The mentions that the message would notify: those that `allowed_mentions` permits, or all if it is absent. */
export function pingsOf(body: JsonObject): readonly string[] {
  // Mentions in code do not count.
  const text = (typeof body['content'] === 'string' ? body['content'] : '').replaceAll(/```[^]*?```|`[^`]*`/g, '');
  const allowed = isRecord(body['allowed_mentions']) ? body['allowed_mentions'] : undefined;
  const kinds = allowed === undefined ? MENTION_KINDS : ((allowed['parse'] ?? []) as readonly string[]);
  const patterns: readonly [string, RegExp][] = [
    ['everyone', /@(?:everyone|here)/g],
    ['users', /<@!?\d+>/g],
    ['roles', /<@&\d+>/g],
  ];
  return patterns.flatMap(([kind, pattern]) => {
    const ids = listed(allowed?.[kind]);
    return (text.match(pattern) ?? []).filter(
      (mention) => kinds.includes(kind) || ids.includes(mention.replaceAll(/\D/g, '')),
    );
  });
}

function listed(ids: unknown): readonly unknown[] {
  return Array.isArray(ids) ? (ids as unknown[]) : [];
}

function checkMentions(errors: FormErrors, value: unknown): void {
  if (!isRecord(value)) {
    return;
  }
  const parse = listField(errors, value, ['allowed_mentions', 'parse']);
  for (const [index, kind] of parse.entries()) {
    if (!MENTION_KINDS.includes(kind as string)) {
      const message = `Value must be one of ('users', 'roles', 'everyone').`;
      errors.add(['allowed_mentions', 'parse', index], 'BASE_TYPE_CHOICES', message);
    }
  }
  for (const kind of ['users', 'roles']) {
    const ids = listField(errors, value, ['allowed_mentions', kind]);
    errors.length(['allowed_mentions', kind], ids, 100);
    if (ids.length > 0 && parse.includes(kind)) {
      const message = `parse:["${kind}"] and ${kind}: [ids...] are mutually exclusive.`;
      errors.add(['allowed_mentions'], 'MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE', message);
    }
  }
}

/** UTF-8 cannot encode an unpaired surrogate; Discord answers it with a 500 instead of a client error. */
function refuseBrokenUnicode(value: unknown): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) {
      throw plain(500);
    }
  } else if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) {
      refuseBrokenUnicode(inner);
    }
  }
}

function refuseComponentsV2(body: JsonObject): void {
  if (typeof body['flags'] === 'number' && (body['flags'] & COMPONENTS_V2) !== 0) {
    throw new DiscordFailure(501, 0, 'the simulation does not know components of the second version');
  }
}
