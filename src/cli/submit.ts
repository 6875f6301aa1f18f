import { FacteurError } from '../base/errors.ts';
import { isFinished } from '../domain/run-state.ts';
import { listItems, pairsOption } from './option-pairs.ts';
import { oneOutput, withOutput, type OutputOptions } from './output.ts';
import type { RegisterCommand } from './program.ts';
import { withStoreOptions, type StoreOptions, type WithStore } from './store-access.ts';
import { printable } from './table.ts';

interface SubmitOptions extends StoreOptions, OutputOptions {
  readonly option?: Readonly<Record<string, string>>;
  readonly user: string;
  readonly roles: readonly string[];
}

/** `facteur submit COMMAND`: runs a command under the same rules as the doors. */
export function submitCommand(withStore: WithStore): RegisterCommand {
  return (program, io) => {
    withOutput(withStoreOptions(program.command('submit')))
      .argument('<command>', 'the slash command, without the slash')
      .description('run a command, by the same rules as in Discord')
      .addOption(pairsOption('--option', 'an option, or a field of the form'))
      .option('--user <id>', 'id of the Discord user for whom it runs', '')
      .option('--roles <ids>', 'role ids of the user, separated by commas', listItems, [])
      .addHelpText(
        'after',
        `
Examples:
  facteur submit plan --option objective="Ship the sandbox"
  facteur runs watch $(facteur submit plan --option objective="Ship it" -o name)`,
      )
      .action((command: string, options: SubmitOptions) =>
        withStore(io, { options, plans: true }, async (store) => {
          const { user: id, roles, option = {} } = options;
          const asked = { command: command.replace(/^\//, ''), options: option, user: { id, roles } };
          const receipt = await store.submit(asked).catch((error: unknown) => {
            throw withDetails(error);
          });
          const { runId, workflowName, state, reason } = receipt;
          const words = [`run ${runId} is ${state}: workflow ${workflowName}`, ...(reason === '' ? [] : [reason])].join(
            ', ',
          );
          io.stdout.write(oneOutput(receipt, options, { name: () => runId, text: () => `${printable(words)}\n` }));
          if (isFinished(state) && state !== 'succeeded' && state !== 'skipped') {
            throw new FacteurError('run.not_succeeded', `the run ended: ${state}`, { retryable: false });
          }
        }),
      );
  };
}

/** Adds a refusal's details, which say what to change. */
function withDetails(error: unknown): unknown {
  if (!(error instanceof FacteurError)) {
    return error;
  }
  const { code, details, retryable } = error;
  // A server's message names fields of the request body, which the user never sees.
  const message = code.startsWith('api.') ? error.message.replaceAll(/\bbody\.(?:options\.)?/g, '') : error.message;
  const said = details === undefined ? message : `${message}: ${details}`;
  const help = code.endsWith('.unknown_command') ? '; "facteur commands list" lists the commands' : '';
  return new FacteurError(code, `${said}${help}`, { retryable, cause: error });
}
