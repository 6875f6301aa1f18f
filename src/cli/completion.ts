import { Argument, type Command, type Option } from 'commander';
import type { CliIo } from './io.ts';
import type { RegisterCommand } from './program.ts';
import { shortId } from './run-text.ts';
import type { WithStore } from './store-access.ts';

const SHELLS: Readonly<Record<string, string>> = {
  bash: `# eval "$(facteur completion bash)"
_facteur() {
  local IFS=$'\\n' program=facteur
  [[ $1 == */* ]] && program=$1
  COMPREPLY=($("$program" complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _facteur facteur
`,
  zsh: `#compdef facteur
# eval "$(facteur completion zsh)"
_facteur() {
  local -a found
  found=("\${(@f)$(facteur complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -a found
}
compdef _facteur facteur
`,
  fish: `# facteur completion fish | source
complete -c facteur -f -a '(facteur complete -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
`,
};

/** `facteur completion SHELL`, and `facteur complete`, which its scripts call. */
export function completionCommand(withStore: WithStore): RegisterCommand {
  return (program, io) => {
    program
      .command('completion')
      .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(SHELLS)))
      .description('print a script that completes commands, options and run ids')
      .addHelpText(
        'after',
        `
Examples:
  eval "$(facteur completion bash)"     in ~/.bashrc
  eval "$(facteur completion zsh)"      in ~/.zshrc
  facteur completion fish | source      in ~/.config/fish/config.fish`,
      )
      .action((shell: string) => {
        io.stdout.write(SHELLS[shell] ?? '');
      });
    program
      .command('complete', { hidden: true })
      .argument('[words...]', 'the command line so far, without facteur')
      .action((words: string[]) => complete(program, words, { io, withStore }));
  };
}

async function complete(
  program: Command,
  words: readonly string[],
  { io, withStore }: { readonly io: CliIo; readonly withStore: WithStore },
): Promise<void> {
  const found = completionsOf(program, words);
  const candidates = found === 'runs' ? await runsListed(io, withStore) : found;
  // The last item of a list: `--state failed,er`.
  const [, before = '', typed = ''] = /^(.*,)?([^,]*)$/s.exec(words.at(-1) ?? '') ?? [];
  io.stdout.write(
    candidates
      .filter((candidate) => candidate.startsWith(typed))
      .map((candidate) => `${before}${candidate}\n`)
      .join(''),
  );
}

/** The possible completions of the last word; `runs` if it is a run's id. */
export function completionsOf(program: Command, words: readonly string[]): readonly string[] | 'runs' {
  const before = words.slice(0, -1);
  const typed = words.at(-1) ?? '';
  const command = before.reduce((at, word) => at.commands.find((child) => child.name() === word) ?? at, program);
  const pending = optionOf(command, before.at(-1) ?? '');
  if (pending !== undefined && (pending.required || pending.optional)) {
    return pending.argChoices ?? [];
  }
  if (typed.startsWith('-')) {
    return [...command.options.filter(({ hidden }) => !hidden).flatMap(({ long }) => long ?? []), '--help'];
  }
  const children = command.createHelp().visibleCommands(command);
  if (children.length > 0) {
    return children.map((child) => child.name());
  }
  const choices = command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices);
  return command.registeredArguments.some((argument) => /^runs?$/.test(argument.name())) ? 'runs' : choices;
}

function optionOf(command: Command, word: string): Option | undefined {
  return command.options.find(({ long, short }) => word !== '' && (long === word || short === word));
}

/** How many runs are offered: as many as a person can choose from. */
const LISTED = 50;

/** The short ids of the newest runs; none if the store is unavailable. */
async function runsListed(io: CliIo, withStore: WithStore): Promise<readonly string[]> {
  try {
    return await withStore(io, { options: {} }, async (store) =>
      (await store.listRuns({ limit: LISTED })).map(({ runId }) => shortId(runId)),
    );
  } catch {
    // No completions; the command itself will report the error.
    return [];
  }
}
