import { describe, expect } from 'vitest';
import { argoText } from '../../src/domain/argo-text.ts';
import { trimmed } from '../../src/base/trimmed.ts';
import { parameterOf } from '../../sandbox/cluster/plan.ts';
import type { ApiObject } from '../../sandbox/cluster/objects.ts';
import { NAMESPACE, type Json } from '../support/cluster.ts';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { countRuns, created } from '../support/ledger.ts';
import { asProtobuf, codexTask, event, type Message } from '../support/messages.ts';
import { db, test } from '../support/ledger-fixture.ts';

// Invariant 6: the text of a user arrives in the stored workflow byte by byte, or nothing of it is recorded.

const TEXTS: Readonly<Record<string, string>> = {
  'control characters': 'a\u0001\u0008\u001b[31m\u007f\u0085b',
  'line ends': '\ta\r\nb\n\u2028c\u2029',
  'right-to-left marks': '\u202eevil\u2066\u200f\ufeff',
  'an emoji of several parts': '👩‍🚀 \u{1f1e9}\u{1f1ea}',
  'noncharacters in the basic plane': '\uffff\ufdd0',
  'noncharacters beyond it': '\u{1ffff}\u{10ffff}',
  'characters for private use': '\ue000',
  'characters for private use beyond the basic plane': '\u{f0000}',
  'an emoji of Unicode 16': '\u{1fae9}',
  'the flag of Scotland': '🏴󠁧󠁢󠁳󠁣󠁴󠁿',
  'a composed and a decomposed letter': '\u00e9 e\u0301',
  '600 characters': 'x'.repeat(600),
  '600 emoji': '🚀'.repeat(600),
  'a shell script': '$(rm -rf /); `id` && echo "x" | \'y\' > /dev/null \\ #!',
  'a template tag': '{{workflow.name}}',
  'a template expression': '{{=sprig.env("HOME")}}',
  'the first half of a template tag': '{ {a} } }}{',
  'the second half of a template tag': '{=toJson(workflow)}}',
  JSON: '{"a":{"b":{}}}',
  'a prototype': '__proto__',
  'a constructor': 'constructor',
  'an escape that is none': String.raw`\u0000 \x00 %00 &#0;`,
  'a YAML document': '---\n- a: &x [*x]\n',
  SQL: `'; DROP TABLE facteur.runs; --`,
  'blanks only': '   ',
};

/** Only JSON can contain these. */
const BROKEN: Readonly<Record<string, string>> = {
  NUL: 'a\u0000b',
  'a high surrogate alone': 'a\ud83d',
  'a low surrogate alone': '\udc00b',
  'a pair the wrong way round': '\ude80\ud83d',
};

const ENCODINGS: readonly [string, (message: Message) => Message][] = [
  ['JSON', (message) => message],
  ['protobuf', asProtobuf],
];

interface Place {
  readonly name: string;
  readonly message: (text: string, deliveryId: string) => Message;
  /** The part of the stored workflow that must be the text. */
  readonly arrived: (workflow: ApiObject, text: string) => unknown;
  /** The value that is expected there, if it is not the text itself. */
  readonly expected?: (text: string, deliveryId: string) => unknown;
}

const rawEvent = (workflow: ApiObject): Json =>
  JSON.parse(Buffer.from(parameterOf(workflow, 'rawEvent'), 'base64').toString());

const PLACES: readonly Place[] = [
  {
    name: "an option's value",
    message: (text, deliveryId) => event({ interactionId: deliveryId, options: { objective: text } }),
    arrived: (workflow) => parameterOf(workflow, 'objective'),
  },
  {
    name: "an option's name",
    message: (text, deliveryId) => event({ interactionId: deliveryId, options: Object.fromEntries([[text, 'value']]) }),
    arrived: (workflow, text) => parameterOf(workflow, text),
    expected: () => 'value',
  },
  {
    name: "a command's name",
    message: (text, deliveryId) => event({ interactionId: deliveryId, command: text }),
    arrived: (workflow) => parameterOf(workflow, 'action'),
  },
  {
    name: "a command's delivery id",
    // A blank id counts as none: every such event is a separate run.
    message: (text, deliveryId) => event({ interactionId: text.trim() === '' ? deliveryId : text }),
    arrived: (workflow) => workflow.metadata.annotations?.['facteur.proompteng.ai/delivery-id'],
    expected: (text, deliveryId) => argoText(trimmed(text) || deliveryId),
  },
  {
    name: "a task's delivery id",
    message: (text) => codexTask({ deliveryId: text }),
    arrived: (workflow) => workflow.metadata.annotations?.['facteur.proompteng.ai/delivery-id'],
    expected: (text) => argoText(trimmed(text)),
  },
  {
    name: 'a prompt',
    message: (text, deliveryId) => codexTask({ deliveryId, prompt: text }),
    arrived: (workflow) => [parameterOf(workflow, 'prompt'), rawEvent(workflow).prompt],
    expected: (text) => [argoText(text), text],
  },
  {
    name: "an issue's title",
    message: (text, deliveryId) => codexTask({ deliveryId, issueTitle: text }),
    arrived: (workflow) => rawEvent(workflow).issueTitle,
  },
  {
    name: 'a branch',
    message: (text, deliveryId) => codexTask({ deliveryId, head: text }),
    arrived: (workflow) => parameterOf(workflow, 'head'),
  },
  {
    name: 'a repository',
    message: (text, deliveryId) => codexTask({ deliveryId, repository: text }),
    arrived: (workflow) => [rawEvent(workflow).repository, workflow.metadata.annotations?.['codex.repository']],
    expected: (text) => [text, trimmed(text) === '' ? undefined : argoText(trimmed(text))],
  },
];

/** The text arrives whole, or is refused and leaves nothing behind. Returns `true` if it arrived. */
async function expectWholeOrNothing(facteur: Facteur, message: Message, check: (workflow: ApiObject) => void) {
  const before = [await countRuns(db), created(facteur.cluster).length];
  const { status, body } = await facteur.send(message);
  if (status === 202) {
    expect(body.status).toBe('submitted');
    check(facteur.cluster.store.get('workflows', NAMESPACE, body.workflowName).object);
    return true;
  }
  expect({ status, body }).toEqual({
    status: expect.toSatisfy((code: number) => code === 400 || code === 422),
    body: expect.objectContaining({ error: expect.any(String) }),
  });
  expect([await countRuns(db), created(facteur.cluster).length]).toEqual(before);
  return false;
}

/** The texts that Argo would evaluate or cannot read. */
const NOT_FOR_ARGO = [
  'control characters',
  'noncharacters beyond it',
  'characters for private use beyond the basic plane',
  'an emoji of Unicode 16',
  'the flag of Scotland',
  'a template tag',
  'a template expression',
  'the first half of a template tag',
  'the second half of a template tag',
];
const inOrder = (names: readonly string[]): readonly string[] =>
  Object.keys(TEXTS).filter((name) => names.includes(name));

/** Places that refuse some of the texts. All others accept every text. */
const REFUSED: Readonly<Record<string, readonly string[]>> = {
  "an option's value": NOT_FOR_ARGO,
  "an option's name": Object.keys(TEXTS).filter((name) => !['a prototype', 'a constructor'].includes(name)),
  "a command's name": inOrder([...NOT_FOR_ARGO, '600 characters', '600 emoji', 'blanks only']),
  "a command's delivery id": ['600 characters', '600 emoji'],
  "a task's delivery id": ['600 characters', '600 emoji', 'blanks only'],
  'a branch': NOT_FOR_ARGO,
  'a repository': ['600 characters', '600 emoji'],
};

describe.each(ENCODINGS)('in %s', (_name, encode) => {
  test.each(PLACES.map((place) => [place.name, place] as const))('%s', async (_place, place) => {
    const facteur = await startFacteur({ db });
    const refused: string[] = [];
    for (const [name, text] of Object.entries(TEXTS)) {
      const deliveryId = `delivery of ${name}`;
      const expected = place.expected?.(text, deliveryId) ?? text;
      const arrived = await expectWholeOrNothing(facteur, encode(place.message(text, deliveryId)), (workflow) =>
        expect({ name, text: place.arrived(workflow, text) }).toEqual({ name, text: expected }),
      );
      if (!arrived) {
        refused.push(name);
      }
    }
    expect(refused).toEqual(REFUSED[place.name] ?? []);
  });
});

test.each(PLACES.map((place) => [place.name, place] as const))(
  '%s that is not valid Unicode is rejected',
  async (_place, place) => {
    const facteur = await startFacteur({ db });
    for (const text of Object.values(BROKEN)) {
      expect(await expectWholeOrNothing(facteur, place.message(text, 'd1'), () => undefined)).toBe(false);
    }
  },
);

test('invalid UTF-8 is rejected, in protobuf and in JSON', async () => {
  const facteur = await startFacteur({ db });
  const good = asProtobuf(event({ interactionId: 'd1', options: { objective: 'XXXX' } }));
  const bytes = Buffer.from(good.body);
  bytes.set([0xff, 0xc0, 0x80, 0xed], bytes.indexOf('XXXX'));
  const nothing = (): void => undefined;
  expect(await expectWholeOrNothing(facteur, { ...good, body: Uint8Array.from(bytes) }, nothing)).toBe(false);
  const json = event({ interactionId: 'd1', options: { objective: 'XXXX' } });
  const text = Buffer.from(json.body);
  text.set([0xff, 0xc0, 0x80, 0xed], text.indexOf('XXXX'));
  expect(await expectWholeOrNothing(facteur, { ...json, body: Uint8Array.from(text) }, nothing)).toBe(false);
});

test('the name and the label of a workflow are valid for any command name', async () => {
  const facteur = await startFacteur({ db });
  for (const [index, command] of ['..\\Ünsafe/../ {x}', '💥', '-', 'A'.repeat(100), 'a.b_c:d'].entries()) {
    const { status, body } = await facteur.send(event({ interactionId: `d${index}`, command }));
    expect({ command, status, said: body.status }).toEqual({ command, status: 202, said: 'submitted' });
    const { metadata } = facteur.cluster.store.get('workflows', NAMESPACE, body.workflowName).object;
    expect(metadata.name).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
    expect(metadata.labels?.['facteur.proompteng.ai/command']).toMatch(/^([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?$/);
  }
});

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

test.each([
  ['a template tag', '{{workflow.uid}}'],
  ['NUL', '\0'],
  ['more text than all annotations may have', 'x'.repeat(300_000)],
])('%s after a traceparent of a later version is dropped', async (_what, more) => {
  const facteur = await startFacteur({ db });
  const data = { command: 'plan', interactionId: 'd1' };
  const cloudEvent = { specversion: '1.0', type: 't', source: '/s', id: '1', traceparent: `01-${TRACE}-${more}`, data };
  const contentType = 'application/cloudevents+json';
  const { status, body } = await facteur.send({ path: '/events', contentType, body: JSON.stringify(cloudEvent) });
  expect({ status, said: body.status }).toEqual({ status: 202, said: 'submitted' });
  const { metadata } = facteur.cluster.store.get('workflows', NAMESPACE, body.workflowName).object;
  expect(metadata.annotations).toMatchObject({ 'facteur.proompteng.ai/traceparent': `00-${TRACE}` });
});
