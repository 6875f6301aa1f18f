import * as z from 'zod';
import { authorise } from '../../dispatch/authorise.ts';
import { originOf } from '../../dispatch/explain.ts';
import { targetOf } from '../../dispatch/plan-command.ts';
import { ANONYMOUS, type CommandDefinition } from '../../domain/command.ts';
import type { CommandRules } from '../../domain/command-rules.ts';
import { RUN_STATES } from '../../domain/run-state.ts';
import { countRunsByState } from '../../ledger/run-counts.ts';
import type { ApiDeps } from './deps.ts';
import { A_COMMAND } from './examples.ts';
import { defineRoute, type ApiRoute } from './route.ts';
import { MOMENT, TIME } from './shapes.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

const OPTION = z.strictObject({
  name: z.string(),
  description: z.string(),
  type: z.enum(['string', 'integer', 'number', 'boolean']),
  required: z.boolean(),
  format: z.literal('date').optional(),
  parameter: z.string().optional().meta({ description: 'The workflow parameter that it becomes, if not its name.' }),
  meanings: z
    .record(z.string(), z.string())
    .optional()
    .meta({ description: 'What a value becomes, where it does not become itself.' }),
  choices: z.array(z.strictObject({ name: z.string(), value: z.string() })).optional(),
  min: z.number().optional(),
  max: z.number().optional(),
  minLength: z.int().optional(),
  maxLength: z.int().optional(),
  autocomplete: z.array(z.string()).optional(),
});

const FIELD = z.strictObject({
  name: z.string(),
  label: z.string(),
  style: z.enum(['short', 'paragraph']),
  required: z.boolean(),
  minLength: z.int().optional(),
  maxLength: z.int().optional(),
  placeholder: z.string().optional(),
});

const COMMAND = z
  .strictObject({
    name: z.string(),
    description: z.string(),
    origin: z.enum(['built in', 'configured', 'template']),
    runs: z.boolean().meta({ description: 'False for a command that only reports.' }),
    roles: z.array(z.string()).meta({ description: 'Discord roles that may run it; empty if anyone may.' }),
    options: z.array(OPTION),
    form: z.strictObject({ title: z.string(), fields: z.array(FIELD) }).nullable(),
    ephemeral: z.boolean(),
    reports: z.boolean().meta({ description: 'Whether its workflows receive a token to report back with.' }),
    target: z.strictObject({ namespace: z.string(), workflowTemplate: z.string(), serviceAccount: z.string() }),
  })
  .meta({ id: 'Command' });

const COUNTS = z
  .strictObject({
    since: MOMENT,
    counts: z.strictObject(Object.fromEntries(RUN_STATES.map((state) => [state, z.int()]))),
    complete: z
      .boolean()
      .meta({ description: 'False if the period has more than 100,000 runs: only the newest are counted.' }),
  })
  .meta({ id: 'RunCounts' });

/** The commands, and the state of runs overall. */
export const OVERVIEW_ROUTES: readonly ApiRoute<ApiDeps>[] = [
  defineRoute({
    method: 'GET',
    path: '/v1/commands',
    operationId: 'listCommands',
    tag: 'overview',
    summary: 'List the commands, where each is defined, and who may run it.',
    who: { scope: 'read' },
    answers: { 200: { description: 'The commands.', schema: z.strictObject({ commands: z.array(COMMAND) }) } },
    example: { answer: { commands: [A_COMMAND] } },
    async handle(_request, deps: ApiDeps) {
      const rules = deps.rules();
      const byName = Object.entries(rules.commands).toSorted(([one], [other]) => (one < other ? -1 : 1));
      const commands = byName.map(([name, one]) => describeCommand(name, one, { ...deps, roles: rules }));
      return { status: 200, body: { commands } };
    },
  }),
  defineRoute({
    method: 'GET',
    path: '/v1/run-counts',
    operationId: 'countRuns',
    tag: 'overview',
    summary: 'Count runs by state: all live runs, and ended runs that were accepted since a point in time.',
    who: { scope: 'read' },
    query: z.strictObject({ since: TIME.optional().meta({ description: 'Default: 24 hours ago.' }) }),
    answers: { 200: { description: 'The counts.', schema: COUNTS } },
    example: {
      query: { since: '2026-11-27T12:00:00Z' },
      answer: {
        since: '2026-11-27T12:00:00.000Z',
        counts: { ...Object.fromEntries(RUN_STATES.map((state) => [state, 0])), running: 2, succeeded: 41 },
        complete: true,
      },
    },
    async handle({ query: { since } }, { db, now }: ApiDeps) {
      // Rounded to the minute, so repeated answers can be identical.
      const aDayAgo = Math.floor((now().getTime() - DAY_MS) / MINUTE_MS) * MINUTE_MS;
      const from = new Date(since ?? aDayAgo);
      return { status: 200, body: { since: from, ...(await countRunsByState(db, from)) } };
    },
  }),
];

interface Described extends Pick<ApiDeps, 'reports' | 'argo'> {
  readonly roles: CommandRules;
}

function describeCommand(name: string, definition: CommandDefinition, deps: Described): object {
  const { description, options, modal, ephemeral, action, report } = definition;
  const { allowedRoles } = authorise(deps.roles, name, ANONYMOUS);
  return {
    name,
    description,
    origin: originOf(definition),
    runs: action === 'dispatch',
    roles: allowedRoles,
    options,
    form: modal ?? null,
    ephemeral,
    reports: deps.reports && report !== false,
    target: targetOf(definition, deps.argo),
  };
}
