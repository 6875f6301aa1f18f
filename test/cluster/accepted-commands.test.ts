import { expect, onTestFinished, test } from 'vitest';
import { parse, stringify } from 'yaml';
import type { ApiObject } from '../../scripts/cluster/api.ts';
import { startSimulatedDiscord, type SimulatedDiscord } from '../../sandbox/discord/discord.ts';
import type { Exchange } from '../../sandbox/discord/people.ts';
import { readTemplateCommand, type TemplateCommand } from '../../src/domain/template-command.ts';
import { registrations } from '../../src/entry/discord/registration.ts';
import type { Json } from '../support/cluster.ts';
import { discordEnv, ROLE, whispered } from '../support/discord-door.ts';
import { countRuns, runOf } from '../support/ledger.ts';
import { FIXTURE_RULES, templateFixtures } from '../support/template-fixtures.ts';
import { TurnableTimer } from '../support/turnable-timer.ts';
import { acceptedInputs, nestedOptions, refusedInputs, type Asked, type Inputs } from './accepted-inputs.ts';
import { useBench, workflowPath } from './bench.ts';
import { SHIPPED_CONFIG } from './world.ts';

// Every fixture of `src/domain/template-command.test.ts` on the real controller: valid inputs from Discord run with the
// values that the template's author meant, and invalid ones never become a workflow.

const bench = useBench();

const PREFIX = 'facteur.proompteng.ai/';
const NAMESPACE = 'argo-workflows';
const ASKER = { roles: [ROLE] };
const PUBLIC_URL: string = parse(SHIPPED_CONFIG).server.public_url;
/** Replaces a token, which differs from run to run. */
const TOKEN = '(token)';
const REFUSED_BY_THE_SCHEMA = ['values that are no text', 'a manifest that is not one'];
/** The value in the ConfigMap of a fixture. */
const FROM_CONFIG_MAP = 'from the ConfigMap';
const CONFIG_MAP: ApiObject = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: {
    name: 'simple-parameters',
    namespace: NAMESPACE,
    labels: { 'workflows.argoproj.io/configmap-type': 'Parameter' },
  },
  data: { msg: FROM_CONFIG_MAP },
};

interface Subject {
  readonly title: string;
  readonly object: ApiObject;
  readonly parameters: readonly Json[];
}

/** A fixture with its own command and template name, and with steps that need no pod. */
function subjectOf({ title, template }: { readonly title: string; readonly template: Json }, index: number): Subject {
  const { uid: _uid, resourceVersion: _version, ...metadata } = template.metadata;
  const command = metadata.annotations[`${PREFIX}command`].replace(/^\/?[^ ]+/, `accepted-${index + 1}`);
  const declared: Json = template.spec.arguments?.parameters;
  const parameters: Json[] = Array.isArray(declared) ? declared.map(asText) : [];
  const { entrypoint = 'main' } = template.spec;
  return {
    title,
    parameters,
    object: {
      ...template,
      metadata: {
        ...metadata,
        name: `accepted-${index + 1}`,
        annotations: { ...metadata.annotations, [`${PREFIX}command`]: command },
      },
      spec: {
        templates: [runnable(entrypoint, parameters)],
        ...template.spec,
        ...(Array.isArray(declared) ? { arguments: { parameters } } : {}),
      },
    },
  };
}

/** Ends at once. Its inputs are the parameters as the controller resolved them. */
function runnable(name: string, parameters: readonly Json[]): object {
  const names = new Set(parameters.map((one) => one.name));
  const inputs = Array.from(names, (one) => ({ name: one, value: `{{workflow.parameters.${one}}}` }));
  return { name, inputs: { parameters: inputs }, suspend: { duration: '0' } };
}

/** The cluster's full schema accepts only text where the minimal one also accepts numbers and booleans. */
function asText(parameter: Json): Json {
  const text = (value: Json): Json => (['number', 'boolean'].includes(typeof value) ? String(value) : value);
  const entries = Object.entries(Object(parameter)).map(([key, value]) => [
    key,
    Array.isArray(value) ? value.map(text) : text(value),
  ]);
  return typeof parameter === 'object' ? Object.fromEntries(entries) : parameter;
}

/** The values from the author and from facteur. An empty value next to an enum without one does not count. */
function givenOf({ parameters }: Subject, name: string): Readonly<Record<string, string>> {
  const own = parameters.flatMap((one) => {
    const value =
      one.value ?? one.default ?? (one.valueFrom?.configMapKeyRef === undefined ? undefined : FROM_CONFIG_MAP);
    return value === undefined || (value === '' && one.enum?.includes('') === false) ? [] : [[one.name, value]];
  });
  const filled = { action: name, facteur_url: PUBLIC_URL, facteur_token: TOKEN, reflections: '' };
  return { ...Object.fromEntries(own), ...FIXTURE_RULES.parameters, ...filled };
}

/** The options that a person sees, or the fields of the form. */
function askedBy({ name, definition }: TemplateCommand): readonly Asked[] {
  if (definition.modal !== undefined) {
    return definition.modal.fields;
  }
  const [registered] = registrations({ [name]: definition });
  return name
    .split(' ')
    .slice(1)
    .reduce<readonly Json[]>((level, word) => level.find((one) => one.name === word).options, registered!.options);
}

/** A person in a Discord that sends its interactions to a facteur on the real cluster. */
class Person {
  readonly #people: SimulatedDiscord['people'];

  constructor({ people }: SimulatedDiscord) {
    this.#people = people;
  }

  command({ name }: TemplateCommand, sent: Inputs['sent'] = new Map()): Promise<Exchange> {
    const [top = '', ...path] = name.split(' ');
    return this.#people.command(top, nestedOptions(path, sent), ASKER);
  }

  /** Runs a command, and fills in its form if it has one. A field without input is sent empty. */
  async run(command: TemplateCommand, sent: Inputs['sent']): Promise<Exchange> {
    const { modal } = command.definition;
    if (modal === undefined) {
      return this.command(command, sent);
    }
    const opened = await this.command(command);
    const fields = new Map([...modal.fields.map(({ name }) => [name, ''] as const), ...sent]);
    const texts = Array.from(fields, ([name, value]) => [name, String(value)]);
    return this.#people.submit((opened.answer as Json).data.custom_id, Object.fromEntries(texts), ASKER);
  }
}

async function open(): Promise<Person> {
  const timer = new TurnableTimer();
  const discord = await startSimulatedDiscord({ timer });
  onTestFinished(() => discord.close());
  const { argo, ...shipped } = parse(SHIPPED_CONFIG);
  const yaml = stringify({
    ...shipped,
    argo: { ...argo, parameters: FIXTURE_RULES.parameters },
    role_map: FIXTURE_RULES.roleMap,
    commands_from_templates: { namespaces: [NAMESPACE], service_accounts: FIXTURE_RULES.serviceAccounts },
  });
  const facteur = await bench.start('facteur-dispatch', {
    yaml,
    env: discordEnv(discord),
    roles: ['http', 'submit'],
    context: { timer },
  });
  discord.people.pointAt(`http://127.0.0.1:${facteur.app.addressOf('discord').port}/discord/interactions`);
  return new Person(discord);
}

/** Applies all, and removes them when the test ends. @returns those that the API server accepts */
async function applyAll(subjects: readonly Subject[]): Promise<readonly Subject[]> {
  const { api } = bench.world;
  onTestFinished(async () => {
    await Promise.all(subjects.map(({ object }) => api.remove(object)));
  });
  const taken = await Promise.all(
    subjects.map(async ({ object }) => {
      const path = `${await api.pathOf(object)}?fieldManager=facteur-tests&force=true`;
      const contentType = 'application/apply-patch+yaml';
      return (await api.send(path, { method: 'PATCH', contentType, body: object })).status < 300;
    }),
  );
  return subjects.filter((_, index) => taken[index]);
}

/** The workflows of accepted interactions, when all have ended. */
async function ended(exchanges: readonly Exchange[]): Promise<readonly Json[]> {
  const runs = await Promise.all(exchanges.map(({ interactionId }) => runOf(bench.db, interactionId)));
  const names: readonly string[] = runs.map((run) => run.workflow_name);
  await expect.poll(() => countRuns(bench.db, 'submitted')).toBe(await countRuns(bench.db));
  const live = encodeURIComponent('app.kubernetes.io/managed-by=facteur,!workflows.argoproj.io/completed');
  const unfinished = async (): Promise<readonly string[]> => {
    const { items } = await bench.world.api.call(`${workflowPath('')}?labelSelector=${live}`);
    return items.map(({ metadata }: Json) => metadata.name).filter((name: string) => names.includes(name));
  };
  await expect.poll(unfinished, { interval: 500, timeout: 240_000 }).toEqual([]);
  onTestFinished(async () => {
    await Promise.all(names.map((name) => bench.remove(name)));
  });
  return Promise.all(names.map((name) => bench.workflow(name)));
}

/**
 * Facteur and the controller have their own watches on templates, each in the order of the changes: once both know the
 * last one, they know all.
 */
async function expectKnown(person: Person, last: TemplateCommand): Promise<void> {
  const attempt = async (): Promise<Json> => {
    const exchange = await person.command(last);
    return (exchange.answer as Json).type === 5 ? (await ended([exchange]))[0].status.phase : 'unknown command';
  };
  await expect.poll(attempt, { interval: 500 }).toBe('Succeeded');
}

function resolvedIn({ metadata, status, spec }: Json): Json {
  const inputs: Json[] = status.nodes?.[metadata.name]?.inputs?.parameters ?? [];
  const values = Object.fromEntries(inputs.map(({ name, value }) => [name, value]));
  return {
    phase: `${status.phase} ${status.message ?? ''}`.trim(),
    values: { ...values, ...(values.facteur_token ? { facteur_token: TOKEN } : {}) },
    account: spec.serviceAccountName,
  };
}

test('valid inputs of a command run with the intended values, and invalid ones start no workflow', async () => {
  await bench.world.api.apply(CONFIG_MAP);
  onTestFinished(() => bench.world.api.remove(CONFIG_MAP));
  const fixtures = templateFixtures();
  const all = fixtures.map(subjectOf);
  const subjects = await applyAll(all);
  expect(all.filter((one) => !subjects.includes(one)).map(({ title }) => title)).toEqual(REFUSED_BY_THE_SCHEMA);
  const [last] = await applyAll([
    subjectOf(
      fixtures.find(({ title }) => title.includes('ConfigMap'))!,
      fixtures.length,
    ),
  ]);
  const person = await open();
  await expectKnown(person, commandOf(last!));
  const before = await countRuns(bench.db);

  const commands = subjects.map((subject) => ({ subject, command: commandOf(subject) }));
  const [sound, faulty] = [commands.filter(isSound), commands.filter((one) => !isSound(one))];
  expect([sound.length, faulty.length]).toEqual([31, 22]);

  const asks = sound.flatMap(({ subject, command }) => {
    const inputs = acceptedInputs(subject.parameters, askedBy(command), givenOf(subject, command.name));
    return inputs.map((one) => ({ subject, command, inputs: one }));
  });
  const exchanges = await Promise.all(asks.map(({ command, inputs }) => person.run(command, inputs.sent)));
  expect(exchanges.filter(({ answer }) => (answer as Json).type !== 5)).toEqual([]);
  const workflows = await ended(exchanges);
  const expected = asks.map((one, index) => meantBy(one, workflows[index].metadata.name));
  const titled = (results: readonly Json[]) =>
    results.map((one, index) => ({ title: asks[index]!.subject.title, ...one }));
  expect(titled(workflows.map(resolvedIn))).toEqual(titled(expected));

  const wrong = await Promise.all(
    sound.flatMap(({ subject, command }) =>
      refusedInputs(subject.parameters, askedBy(command), givenOf(subject, command.name)).map((sent) =>
        person.run(command, sent),
      ),
    ),
  );
  expect(wrong.map(whispered).filter((text) => !/nothing was started|was not started/.test(text))).toEqual([]);
  const unknown = await Promise.all(faulty.map(({ command }) => person.command(command)));
  expect(unknown.map(whispered).filter((text) => !text.includes('Unknown command'))).toEqual([]);
  expect(await countRuns(bench.db)).toBe(before + asks.length);
}, 300_000);

function commandOf({ object }: Subject): TemplateCommand {
  return readTemplateCommand(object, FIXTURE_RULES)!;
}

function isSound({ command }: { readonly command: TemplateCommand }): boolean {
  return command.faults.length === 0;
}

/** A tag in the enum comes from the author: Argo evaluates it, as in the template's own `value`. */
function meantBy({ inputs, subject }: { readonly inputs: Inputs; readonly subject: Subject }, workflow: string): Json {
  const values = Object.entries(inputs.meant).map(([name, value]) => [
    name,
    value === '{{workflow.name}}' ? workflow : value,
  ]);
  return {
    phase: 'Succeeded',
    values: Object.fromEntries(values),
    account: (subject.object['spec'] as Json).serviceAccountName ?? 'facteur-workflow',
  };
}
