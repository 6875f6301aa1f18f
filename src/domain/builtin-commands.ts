import type { CommandDefinition, OptionDefinition } from './command.ts';

/**
 * The commands that facteur offers without any configuration. All options are strings, because their values become
 * workflow parameters. A configured command of the same name replaces one of these whole.
 */
export function builtinCommands(): Readonly<Record<string, CommandDefinition>> {
  return {
    plan: dispatching('Shape upcoming work into a plan', [
      required('objective', 'What should be achieved'),
      optional('project', 'The project it is for'),
    ]),
    implement: dispatching('Carry out an approved plan', [
      required('project', 'The project to work on'),
      required('branch', 'The branch to work on'),
      optional('ticket', 'The ticket that asks for it'),
      optional('notes', 'Anything else worth knowing'),
    ]),
    review: dispatching('Collect what is needed for a review and tell the reviewers', [
      required('project', 'The project to review'),
      required('artifact', 'What to review: a link or a name'),
      optional('notes', 'Anything else worth knowing'),
      { ...optional('deadline', 'The day it is due, such as 2026-01-31'), format: 'date' },
    ]),
    status: {
      description: 'Whether workflows can be run, and how your last request went',
      options: [],
      parameters: {},
      // It speaks of the asker's own requests, so it does not fill the channel.
      ephemeral: true,
      action: 'status',
      configured: false,
    },
  };
}

function dispatching(description: string, options: readonly OptionDefinition[]): CommandDefinition {
  return { description, options, parameters: {}, ephemeral: false, action: 'dispatch', configured: false };
}

function required(name: string, description: string): OptionDefinition {
  return { name, description, type: 'string', required: true };
}

function optional(name: string, description: string): OptionDefinition {
  return { name, description, type: 'string', required: false };
}
