import { hideCredentials } from '../base/known-credentials.ts';
import { namesSecret } from '../base/redact.ts';
import type { CommandDefinition } from '../domain/command.ts';
import type { CodexTask } from '../proto/proompteng/froussard/v1/codex_task_pb.ts';
import { optionsOf, titleOf } from './modal-options.ts';

/** More than any title shows. */
const MAX_READ = 4000;
/** JSON that forms add for workflows: it means nothing to people. */
const PAYLOAD = 'payload';

/**
 * The request in one line: the value of the command's `title_option`, or else of its first required option with a value, or else
 * of any option. Empty if there is none.
 */
export function commandTitle(
  options: Readonly<Record<string, string>>,
  definition: CommandDefinition | undefined,
): string {
  for (const name of candidates(options, definition)) {
    const line = lineOf(Object.hasOwn(options, name) ? meantBy(options[name] ?? '', name, definition) : '');
    if (line !== '') {
      return line;
    }
  }
  return '';
}

/** A choice that Discord cannot list is sent under another name, which means nothing to people. */
function meantBy(value: string, name: string, definition: CommandDefinition | undefined): string {
  const { meanings = {} } = definition?.options.find((option) => option.name === name) ?? {};
  return Object.hasOwn(meanings, value) ? (meanings[value] ?? value) : value;
}

/** Names of options, the most descriptive first. An option whose name suggests a secret counts only as the `title_option`. */
function candidates(
  options: Readonly<Record<string, string>>,
  definition: CommandDefinition | undefined,
): readonly string[] {
  if (definition === undefined) {
    return Object.keys(options).filter((name) => name !== PAYLOAD && !namesSecret(name));
  }
  const telling = optionsOf(definition).filter(
    ({ type, name, parameter = name }) =>
      type !== 'boolean' && name !== PAYLOAD && !namesSecret(name) && !namesSecret(parameter),
  );
  const byNeed = [...telling.filter(({ required }) => required), ...telling.filter(({ required }) => !required)];
  const { titleOption } = definition;
  return [...(titleOption === undefined ? [] : [titleOption]), ...byNeed.map(({ name }) => name)];
}

/** The issue of a Codex task: `owner/repo#12: Title`. */
export function codexTitle({ repository, issueNumber, issueTitle }: CodexTask): string {
  const issue = issueNumber > 0n ? `${repository}#${issueNumber}` : repository;
  return lineOf([issue, issueTitle].filter((part) => part.trim() !== '').join(': '));
}

/** The first line that is not blank, without credentials and characters that Postgres cannot store. */
function lineOf(text = ''): string {
  return titleOf(hideCredentials(text.slice(0, MAX_READ))).replaceAll(/[\p{Cc}\p{Cs}]/gu, '');
}
