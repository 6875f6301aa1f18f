import type { CommandDefinition, OptionDefinition } from './command.ts';

/**
 * The commands that facteur offers without configuration. All options are strings, because their values become
 * workflow parameters. A configured command with the same name replaces the whole definition.
 */
export function builtinCommands(): Readonly<Record<string, CommandDefinition>> {
  return {
    plan: dispatching('Turn upcoming work into a plan', [
      required('objective', 'Goal of the work'),
      optional('project', 'The project to plan for'),
    ]),
    implement: dispatching(
      'Carry out an approved plan',
      [
        required('project', 'The project to work on'),
        required('branch', 'The branch to work on'),
        optional('ticket', 'The related ticket'),
        optional('notes', 'Anything else worth knowing'),
      ],
      'branch',
    ),
    review: dispatching(
      'Prepare a review and notify the reviewers',
      [
        required('project', 'The project to review'),
        required('artifact', 'What to review: a link or a name'),
        optional('notes', 'Anything else worth knowing'),
        { ...optional('deadline', 'Due date, such as 2026-01-31'), format: 'date' },
      ],
      'artifact',
    ),
    status: {
      description: 'Show your live and recent runs, and whether workflows can run',
      options: [],
      parameters: {},
      // The answer is about the user's own requests, so it does not fill the channel.
      ephemeral: true,
      action: 'status',
      configured: false,
    },
  };
}

function dispatching(
  description: string,
  options: readonly OptionDefinition[],
  titleOption?: string,
): CommandDefinition {
  const title = titleOption === undefined ? {} : { titleOption };
  return { description, options, parameters: {}, ephemeral: false, action: 'dispatch', configured: false, ...title };
}

function required(name: string, description: string): OptionDefinition {
  return { name, description, type: 'string', required: true };
}

function optional(name: string, description: string): OptionDefinition {
  return { name, description, type: 'string', required: false };
}
