import { stringify } from 'yaml';
import type { Clock } from '../base/clock.ts';
import { FacteurError } from '../base/errors.ts';
import { explain, type Explanation } from '../dispatch/explain.ts';
import { ANONYMOUS } from '../domain/command.ts';
import { knownCommands, type ClusterAccessFor } from './known-commands.ts';
import { readConfig } from './read-config.ts';
import { listItems, pairsOption } from './option-pairs.ts';
import { oneOutput, withOutput, type OutputOptions } from './output.ts';
import type { RegisterCommand } from './program.ts';
import { withConfigOption } from './serve.ts';
import { printable } from './table.ts';

interface ExplainOptions extends OutputOptions {
  readonly config?: string;
  readonly roles: readonly string[];
  readonly user: string;
  readonly option?: Readonly<Record<string, string>>;
}

/**
 * `facteur explain COMMAND`: why a user may or may not run it, and the workflow that facteur would submit. Contacts nothing but
 * the cluster, and only if templates may define commands.
 */
export function explainCommand(clock: Clock, clusterAccess: ClusterAccessFor): RegisterCommand {
  return (program, io) => {
    withOutput(withConfigOption(program.command('explain')))
      .argument('<command>', 'the slash command, without the slash')
      .description('explain who may run a command and what it would submit, without running it')
      .option('--roles <ids>', 'role ids of the user, separated by commas; none in a direct message', listItems, [])
      .option('--user <id>', 'id of the user', '')
      .addOption(pairsOption('--option', 'an option, or a field of the form'))
      .addHelpText(
        'after',
        `
Exits with 1 if the command would be refused.

Examples:
  facteur explain deploy --roles 500000000000000001 --option environment=production
  facteur explain plan --option objective=x -o json`,
      )
      .action(async (name: string, options: ExplainOptions) => {
        const { config } = await readConfig(io, { path: options.config, require: ['argo'] });
        const principal = { ...ANONYMOUS, userId: options.user, roles: options.roles };
        const question = {
          name: name.replace(/^\//, ''),
          options: options.option ?? {},
          principal,
          now: clock.now(),
        };
        const commands = await knownCommands(io, config, clusterAccess);
        const explanation = explain(question, { ...commands, argo: config.argo });
        const text = () => inWords(explanation, options);
        io.stdout.write(oneOutput(explanation, options, { name: ({ command }) => command, text }));
        if (!explanation.allowed || explanation.refusal !== undefined) {
          throw new FacteurError('explain.no', `/${explanation.command} would be refused`, { retryable: false });
        }
      });
  };
}

function inWords(explanation: Explanation, { user, roles }: ExplainOptions): string {
  const who = user === '' ? 'somebody' : `user ${user}`;
  const has =
    roles.length === 0 ? 'without roles' : `with ${roles.length === 1 ? 'role' : 'roles'} ${roles.join(', ')}`;
  const lines = [
    `/${explanation.command}, requested by ${who} ${has}`,
    '',
    `permission  ${permission(explanation)}`,
    `command     ${definition(explanation)}`,
    ...refusal(explanation),
  ];
  return `${lines.map(printable).join('\n')}\n${submission(explanation)}`;
}

function permission({ command, template, allowed, allowedRoles, heldRoles }: Explanation): string {
  const rule = template === undefined ? `role_map.${command}` : 'the template or role_map';
  if (allowedRoles.length === 0) {
    return `yes: role_map has no roles for ${command}, so anyone may run it`;
  }
  return allowed
    ? `yes: ${rule} allows ${heldRoles.join(', ')}, which the user has`
    : `no: ${rule} allows only ${allowedRoles.join(', ')}, and the user has none of these`;
}

function definition({ command, definition: kind, template, isStatus, hasForm }: Explanation): string {
  if (kind === 'none') {
    return `${command} is not defined`;
  }
  const origin = template === undefined ? kind : `template ${template}`;
  if (isStatus) {
    return `${origin}; shows the status and runs no workflow`;
  }
  return hasForm ? `${origin}; opens a form` : origin;
}

function refusal({ refusal: refused }: Explanation): readonly string[] {
  if (refused === undefined) {
    return [];
  }
  const faults = refused.details === '' ? [] : refused.details.split('; ');
  return [`input       refused: ${refused.reason}`, ...faults.map((fault) => `              ${fault}`)];
}

function submission({ manifest, allowed }: Explanation): string {
  if (manifest === undefined) {
    return '\nfacteur would submit nothing\n';
  }
  const heading = allowed
    ? 'facteur would submit (ids and times are examples):'
    : 'facteur would submit nothing; for a user with permission it would submit (ids and times are examples):';
  return `\n${heading}\n\n${stringify(manifest)}`;
}
