import { inspect } from 'node:util';
import { create, type MessageInitShape, toBinary, toJson } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Command } from '../../domain/command.ts';
import { Refusal, type RefusalKind } from '../../domain/refusal.ts';
import { CommandEventSchema } from '../../proto/proompteng/facteur/v1/contract_pb.ts';
import { CodexTaskSchema, CodexTaskStage } from '../../proto/proompteng/froussard/v1/codex_task_pb.ts';
import { decodeCommand } from './command.ts';

type Headers = Readonly<Record<string, string>>;

function decode(body: Buffer | Uint8Array | string, headers: Headers = {}): Command {
  return decodeCommand({ headers, body: Buffer.from(body) }, { door: 'kafka', freshId: () => 'fresh' });
}

function decodeJson(value: unknown, headers: Headers = {}): Command {
  return decode(JSON.stringify(value), { 'content-type': 'application/json', ...headers });
}

function protobuf(event: MessageInitShape<typeof CommandEventSchema>): Uint8Array {
  return toBinary(CommandEventSchema, create(CommandEventSchema, event));
}

function thrownBy(run: () => unknown): unknown {
  try {
    run();
    return undefined;
  } catch (error) {
    return error;
  }
}

function refusalOf(run: () => unknown): { kind: RefusalKind; details: string | undefined } {
  const error = thrownBy(run);
  if (!(error instanceof Refusal)) {
    throw new Error('nothing was refused', { cause: error });
  }
  return { kind: error.kind, details: error.details };
}

const TRACEPARENT = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

describe('JSON', () => {
  test('accepts the older form, with the user at the top level', () => {
    const command = decodeJson({
      command: 'plan',
      options: { content: 'x', payload: '{"a":1}' },
      userId: 'u-1',
      correlationId: 'c-1',
      traceId: 't-1',
    });
    expect(command).toMatchObject({ name: 'plan', correlationId: 'c-1', traceId: 't-1', deliveryId: 'fresh' });
    expect({ ...command.options }).toEqual({ content: 'x', payload: '{"a":1}' });
    expect(command.principal.userId).toBe('u-1');
    expect(command.principal.roles).toEqual([]);
  });

  test('accepts snake_case and camelCase names, and ignores unknown fields', () => {
    const command = decodeJson({
      command: 'plan',
      interaction_id: 'i-1',
      correlationId: 'c-1',
      member: { roles: ['r-1'], joinedAt: '2020' },
      brandNew: { deep: [1] },
    });
    expect(command).toMatchObject({ deliveryId: 'i-1', correlationId: 'c-1', principal: { roles: ['r-1'] } });
  });

  test('takes the principal from user, else from member, else from the older userId', () => {
    const member = { id: 'm' };
    expect(decodeJson({ command: 'a', user: { id: 'u' }, member, userId: 'o' }).principal.userId).toBe('u');
    expect(decodeJson({ command: 'a', user: { id: '' }, member, userId: 'o' }).principal.userId).toBe('m');
    expect(decodeJson({ command: 'a', userId: 'o' }).principal.userId).toBe('o');
    expect(decodeJson({ command: 'a', userId: null }).principal.userId).toBe('');
  });

  test('accepts a byte order mark and a charset', () => {
    const command = decode('\uFEFF{"command":"plan"}', { 'content-type': 'application/json; charset=utf-8' });
    expect(command.name).toBe('plan');
  });

  test.each([
    ['invalid JSON', '{"command":'],
    ['invalid JSON', '   '],
    ['not a CommandEvent in JSON', 'null'],
    ['not a CommandEvent in JSON', '[]'],
    ['not a CommandEvent in JSON', '"plan"'],
    ['command: has the wrong type', '{"command":7}'],
    ['options: has the wrong type', '{"command":"a","options":{"x":1}}'],
    ['options: has the wrong type', '{"command":"a","options":["x"]}'],
    ['options: has the wrong type', '{"command":"a","options":{"x":null}}'],
    ['version: has the wrong type', '{"command":"a","version":4294967296}'],
    ['command_id: has the wrong type', '{"command":"a","commandId":"1","command_id":"2"}'],
    ['userId: must be a string', '{"command":"a","userId":7}'],
  ])('%s', (details, body) => {
    const refusal = refusalOf(() => decode(body, { 'content-type': 'application/json' }));
    expect(refusal).toEqual({ kind: 'invalid_payload', details });
  });

  test('refuses bytes that are not UTF-8', () => {
    const body = Buffer.concat([Buffer.from('{"command":"'), Buffer.from([0xff]), Buffer.from('"}')]);
    const refusal = refusalOf(() => decode(body, { 'content-type': 'application/json' }));
    expect(refusal).toEqual({ kind: 'invalid_payload', details: 'JSON must be UTF-8' });
  });

  test('never quotes the input in a refusal', () => {
    const hostile = ['{"token":"hunter2', '{"command":"a","version":"hunter2"}', '{"command":"a","user":"hunter2"}'];
    for (const body of hostile) {
      const error = thrownBy(() => decode(body, { 'content-type': 'application/json' }));
      expect(error).toBeInstanceOf(Refusal);
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('hunter2');
    }
  });
});

describe('text that cannot be stored', () => {
  test.each([
    ['command: must not contain NUL', { command: 'a\0b' }],
    ['options.notes: must not contain NUL', { command: 'a', options: { notes: '\0' } }],
    ['options (a key): must not contain NUL', { command: 'a', options: { 'x\0': 'y' } }],
    ['user.username: must be well-formed Unicode', { command: 'a', user: { username: '\ud800' } }],
    ['member.roles.1: must be well-formed Unicode', { command: 'a', member: { roles: ['1', 'x\udc00'] } }],
    ['options (a key): must be well-formed Unicode', { command: 'a', options: { '\udfff': '' } }],
    ['token: must not contain NUL', { command: 'a', token: '\0' }],
    ['userId: must not contain NUL', { command: 'a', userId: '\0' }],
  ])('%s', (details, value) => {
    expect(refusalOf(() => decodeJson(value))).toEqual({ kind: 'invalid_payload', details });
  });

  test('is refused in protobuf too', () => {
    const refusal = refusalOf(() => decode(protobuf({ command: 'a', options: { x: '\0' } })));
    expect(refusal.details).toBe('options.x: must not contain NUL');
  });

  test('accepts a complete surrogate pair', () => {
    expect(decodeJson({ command: 'a', options: { x: '\ud83d\ude80' } }).options['x']).toBe('🚀');
  });
});

describe('the command name', () => {
  test.each([[{}], [{ command: '' }], [{ command: ' \t' }], [{ options: { a: 'b' } }]])('is missing in %j', (value) => {
    expect(refusalOf(() => decodeJson(value))).toEqual({ kind: 'missing_command', details: undefined });
  });

  test('is neither trimmed nor lowercased', () => {
    expect(decodeJson({ command: ' PLAN ' }).name).toBe(' PLAN ');
  });

  test('has at most 100 characters', () => {
    expect(decodeJson({ command: 'x'.repeat(100) }).name).toHaveLength(100);
    expect(refusalOf(() => decodeJson({ command: 'x'.repeat(101) })).details).toBe(
      'command: must have at most 100 characters',
    );
  });
});

describe('the delivery id', () => {
  const event = { 'ce-source': '/kafka/topic#0', 'ce-id': 'partition:0/offset:7' };

  test('is the interaction id, else the CloudEvent’s id, else a fresh one', () => {
    expect(decodeJson({ command: 'a', interactionId: 'i-1' }, event).deliveryId).toBe('i-1');
    expect(decodeJson({ command: 'a' }, event).deliveryId).toBe('/kafka/topic#0|partition:0/offset:7');
    expect(decodeJson({ command: 'a', interactionId: '  ' }, event)).toMatchObject({
      deliveryId: '/kafka/topic#0|partition:0/offset:7',
      interactionId: '',
    });
    expect(decodeJson({ command: 'a' }, { 'ce-id': '7' }).deliveryId).toBe('fresh');
    expect(decodeJson({ command: 'a' }, { 'ce-source': '/x' }).deliveryId).toBe('fresh');
  });

  test('has at most 512 characters, wherever it comes from', () => {
    expect(decodeJson({ command: 'a', interactionId: 'i'.repeat(512) }).deliveryId).toHaveLength(512);
    const own = () => decodeJson({ command: 'a', interactionId: 'i'.repeat(513) });
    const ofEvent = () => decodeJson({ command: 'a' }, { ...event, 'ce-id': 'i'.repeat(513) });
    expect(refusalOf(own).details).toBe('interaction_id: must have at most 512 characters');
    expect(refusalOf(ofEvent).details).toBe('delivery id: must have at most 512 characters');
  });
});

describe('the trace', () => {
  test('continues from the header, else from the CloudEvent, else starts new', () => {
    expect(decodeJson({ command: 'a' }, { traceparent: TRACEPARENT }).traceparent).toBe(TRACEPARENT);
    expect(decodeJson({ command: 'a' }, { traceparent: 'broken', 'ce-traceparent': TRACEPARENT }).traceparent).toBe(
      TRACEPARENT,
    );
    expect(decodeJson({ command: 'a', traceId: 't' })).toMatchObject({ traceparent: '', traceId: 't' });
  });
});

describe('a structured CloudEvent', () => {
  const type = { 'content-type': 'application/cloudevents+json' };
  const attributes = { specversion: '1.0', id: '7', source: '/kafka', type: 'x', traceparent: TRACEPARENT };

  test('can contain JSON', () => {
    const command = decode(JSON.stringify({ ...attributes, data: { command: 'plan' } }), type);
    expect(command).toMatchObject({ name: 'plan', deliveryId: '/kafka|7', traceparent: TRACEPARENT });
  });

  test.each([undefined, 'application/x-protobuf'])('can contain protobuf, declared as %s', (datacontenttype) => {
    const data_base64 = Buffer.from(protobuf({ command: 'plan' })).toString('base64');
    expect(decode(JSON.stringify({ ...attributes, datacontenttype, data_base64 }), type).name).toBe('plan');
  });

  test('can contain JSON as base64', () => {
    const data_base64 = Buffer.from('{"command":"plan"}').toString('base64');
    const event = { ...attributes, datacontenttype: 'application/json', data_base64 };
    expect(decode(JSON.stringify(event), type).name).toBe('plan');
  });

  test.each([
    ['empty_payload', { ...attributes }],
    ['empty_payload', { ...attributes, data: null }],
    ['invalid_payload', []],
    ['invalid_payload', { ...attributes, data_base64: 'not base64!' }],
    ['invalid_payload', { ...attributes, data: 'text', datacontenttype: 'application/x-protobuf' }],
    ['unsupported_media_type', { ...attributes, data: '<x/>', datacontenttype: 'text/xml' }],
  ] as const)('is refused as %s: %j', (kind, event) => {
    expect(refusalOf(() => decode(JSON.stringify(event), type)).kind).toBe(kind);
  });
});

describe('protobuf', () => {
  test('refuses an empty body', () => {
    expect(refusalOf(() => decode('')).kind).toBe('empty_payload');
  });

  test('ignores fields of a newer contract', () => {
    const newer = Buffer.concat([protobuf({ command: 'plan' }), Buffer.from([0xfa, 0x06, 1, 0x41])]);
    expect(decode(newer).name).toBe('plan');
  });

  const full = protobuf({
    command: 'plan',
    interactionId: 'i-1',
    options: { objective: 'x'.repeat(40) },
    user: { id: 'u', username: 'ada' },
  });

  test('refuses a message that is cut off at any byte', () => {
    const whole = protobuf({ interactionId: 'i-1', user: { id: 'u', username: 'ada' } });
    for (let length = 1; length < whole.length; length += 1) {
      const { kind } = refusalOf(() => decode(whole.subarray(0, length)));
      // A cut between two fields leaves a smaller message that is valid except for the missing command.
      expect(['invalid_payload', 'missing_command']).toContain(kind);
    }
  });

  test.each([
    ['plain text', Buffer.from('not-a-protobuf')],
    [
      'another message',
      toBinary(CodexTaskSchema, create(CodexTaskSchema, { stage: CodexTaskStage.REVIEW, base: 'main' })),
    ],
    [
      'a map entry with a field that is longer than the entry',
      Buffer.from([0x42, 0x03, 0x0a, 0x05, 0x61, 0x61, 0x61, 0x61, 0x61]),
    ],
    ['a message that is longer than the input', Buffer.from([0x5a, 0x05, 0x0a, 0x01, 0x61])],
    ['invalid UTF-8', Buffer.from([0x22, 0x01, 0xff])],
    ['tag 0', Buffer.concat([full, Buffer.from([0])])],
    ['an endless varint', Buffer.alloc(20, 0xff)],
    ['a huge length', Buffer.from([0x22, 0xff, 0xff, 0xff, 0xff, 0x0f])],
    ['groups that never end', Buffer.alloc(300_000, 0x2b)],
  ])('%s', (_name, body) => {
    expect(refusalOf(() => decode(body))).toEqual({
      kind: 'invalid_payload',
      details: 'not a CommandEvent in protobuf',
    });
  });
});

describe('properties', () => {
  const unicode = fc.string({ unit: 'binary' }).filter((text) => text.isWellFormed() && !text.includes('\0'));
  const options = fc.dictionary(fc.oneof(unicode, fc.constantFrom('__proto__', 'constructor', 'toString')), unicode);

  test('options are unchanged, in protobuf and in JSON', () => {
    fc.assert(
      fc.property(options, unicode, (given, user) => {
        const event = create(CommandEventSchema, { command: 'x', options: given, user: { id: user } });
        const roads = [decode(toBinary(CommandEventSchema, event)), decodeJson(toJson(CommandEventSchema, event))];
        for (const command of roads) {
          expect(Object.getPrototypeOf(command.options)).toBeNull();
          expect(new Map(Object.entries(command.options))).toEqual(new Map(Object.entries(event.options)));
          expect(command.principal.userId).toBe(user);
        }
      }),
    );
  });

  test('any input is decoded or refused', () => {
    const types = fc.constantFrom('application/x-protobuf', 'application/json', 'application/cloudevents+json', 'x/y');
    const bodies = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map((json) => Buffer.from(json)),
    );
    fc.assert(
      fc.property(types, bodies, (type, body) => {
        const thrown = thrownBy(() => decode(body, { 'content-type': type }));
        expect(thrown === undefined || thrown instanceof Refusal).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test('a valid message with one byte changed is decoded or refused', () => {
    const bytes = protobuf({
      command: 'plan',
      options: { a: 'b', c: 'd' },
      user: { id: 'u' },
      member: { roles: ['r'] },
    });
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const changed = Buffer.from(bytes);
        changed[at] = value;
        const thrown = thrownBy(() => decode(changed));
        expect(thrown === undefined || thrown instanceof Refusal).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});
