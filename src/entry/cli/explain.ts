import { stringify } from 'yaml';
import type { Clock } from '../../base/clock.ts';
import { loadConfig } from '../../config/load.ts';
import { explain, type Explanation } from '../../dispatch/explain.ts';
import { ANONYMOUS } from '../../domain/command.ts';
import { loadOptions } from './config.ts';
import { collectPair, splitList } from './option-pairs.ts';
import type { RegisterCommand } from './program.ts';
import { withConfigOption } from './serve.ts';
import { printable } from './table.ts';

interface ExplainOptions {
  readonly config?: string;
  readonly roles: readonly string[];
  readonly user: string;
  readonly option?: Readonly<Record<string, string>>;
  readonly json?: true;
}

/** `facteur explain COMMAND`: why somebody may or may not run it, and what would be submitted. Asks nobody, does nothing. */
export function explainCommand(clock: Clock): RegisterCommand {
  return (program, io) => {
    withConfigOption(program.command('explain'))
      .argument('<command>', 'the slash command, without the slash')
      .description('why somebody may or may not run a command, and what would be submitted; does nothing')
      .option(
        '--roles <ids>',
        'the role ids that the person has, separated by commas; none as in a direct message',
        splitList,
        [],
      )
      .option('--user <id>', 'the person’s id', '')
      .option('--option <name=value>', 'an option, or a field of the form; may be given several times', collectPair)
      .option('--json', 'print as JSON')
      .action(async (name: string, options: ExplainOptions) => {
        const { config } = await loadConfig({ ...loadOptions(io, options.config), require: ['argo'] });
        const principal = { ...ANONYMOUS, userId: options.user, roles: options.roles };
        const question = {
          name: name.replace(/^\//, ''),
          options: options.option ?? {},
          principal,
          now: clock.now(),
        };
        const explanation = explain(question, config);
        io.stdout.write(options.json === true ? `${JSON.stringify(explanation)}\n` : inWords(explanation, options));
      });
  };
}

function inWords(explanation: Explanation, { user, roles }: ExplainOptions): string {
  const who = user === '' ? 'somebody' : `user ${user}`;
  const has =
    roles.length === 0 ? 'without roles' : `with ${roles.length === 1 ? 'role' : 'roles'} ${roles.join(', ')}`;
  const lines = [
    `/${explanation.command}, asked for by ${who} ${has}`,
    '',
    `permission  ${permission(explanation)}`,
    `command     ${definition(explanation)}`,
    ...refusal(explanation),
  ];
  return `${lines.map(printable).join('\n')}\n${submission(explanation)}`;
}

function permission({ command, allowed, allowedRoles, heldRoles }: Explanation): string {
  if (allowedRoles.length === 0) {
    return `yes: role_map names no roles for ${command}, so anybody may`;
  }
  return allowed
    ? `yes: role_map.${command} names ${heldRoles.join(', ')}, which the person has`
    : `no: role_map.${command} names ${allowedRoles.join(', ')}, and the person has none of them`;
}

function definition({ command, definition: origin, isStatus, hasForm }: Explanation): string {
  if (origin === 'none') {
    return `nothing defines ${command}`;
  }
  if (isStatus) {
    return `${origin}; tells how things are and runs no workflow`;
  }
  return hasForm ? `${origin}; asks for its input in a form` : origin;
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
    return '\nnothing would be submitted\n';
  }
  const heading = allowed
    ? 'would be submitted (ids and times are examples):'
    : 'nothing would be submitted; for somebody who may, it would be (ids and times are examples):';
  return `\n${heading}\n\n${stringify(manifest)}`;
}
