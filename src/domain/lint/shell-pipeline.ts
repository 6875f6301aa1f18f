import { codeWords, commandAt, readsCode } from './argv.ts';

/** A variable with user text in a shell command. */
export interface Use {
  /** The violated rule; undefined while the text is only data. */
  readonly rule: 'shell-quoting' | 'shell-eval' | undefined;
  /** As written: `$NAME` or `${NAME}`. */
  readonly text: string;
  readonly offset: number;
  /** The variables whose user text this one contains. */
  readonly origins: readonly string[];
}

/** Only the beginning of a longer command is stored. */
const MAX_WORDS = 60;
/** Only the beginning of a longer word is stored. */
export const MAX_WORD = 200;
/** Keywords that are followed by a command. */
const KEYWORDS = new Set(['if', 'then', 'else', 'elif', 'do', 'while', 'until', '!', '{']);
/** Commands between these form a group, whose output is read as one. */
const OPENERS = new Set(['{', 'if', 'while', 'until', 'for', 'case', 'select']);
const CLOSERS = new Set(['}', 'fi', 'done', 'esac']);
/** Maximum per group. Once these are fixed, the remaining ones are reported. */
const MAX_PRINTED = 200;
const EVALUATE = new Set(['eval', 'let']);
/** They evaluate their first argument: a file, or code for later. */
const EVALUATE_FIRST = new Set(['source', '.', 'trap']);
const PRINT = new Set(['echo', 'printf']);
/** Commands that evaluate assigned values if they have the option `-i`. */
const DECLARE = new Set(['declare', 'typeset', 'local']);
/** Numeric operators of `[[`, which evaluates their operands. */
const NUMERIC = /^-(?:eq|ne|lt|le|gt|ge)$/;

/** Where the shell reads a word: in a command, between `[[` and `]]`, as a number, or in a list of words. */
type Setting = 'command' | 'test' | 'number' | 'list';

/** Where the shell reads on: in plain words, in quotes, in parentheses, or in a substitution of its own. */
export type State = 'plain' | 'double' | 'group' | 'list' | 'command' | 'backtick' | 'test' | 'arithmetic';

/** @param states the open states, innermost last */
export function settingOf(states: readonly State[]): Setting {
  const state = states.findLast((one) => one !== 'double');
  if (state === 'arithmetic') {
    return 'number';
  }
  return state === 'test' || state === 'list' ? state : 'command';
}

/** Reads the commands of a pipeline in order, and tracks what each reads from the previous one. */
export class ShellPipeline {
  /** The words of the current command. */
  #words: string[] = [];
  #count = 0;
  #uses: { readonly use: Use; readonly at: number; readonly setting: Setting }[] = [];
  /** What the present command reads from a pipe or a here string. */
  #input: Use[] = [];
  #documents: { isRun: boolean }[] = [];
  /** State of a word that is not an argument: a here string, or the file of a redirection. */
  #aside: 'none' | 'next' | 'open' = 'none';
  #isInput = false;
  #isPiped = false;
  /** The output of the current command goes to a file or to standard error. */
  #isRedirected = false;
  /** The current word has not ended. */
  #isFresh = false;
  /** The output of each open group, the innermost last. The first entry is for everything read here. */
  readonly #groups: Use[][] = [[]];
  /** The output of a group that was just closed. */
  #closed: readonly Use[] = [];

  /** The output of the commands so far that no other command reads. */
  get printed(): readonly Use[] {
    return this.#groups[0] ?? [];
  }

  /** The known words of the current command. */
  get words(): readonly string[] {
    return this.#words;
  }

  get isHereString(): boolean {
    return this.#aside !== 'none' && this.#isInput;
  }

  write(text: string, begins: boolean): void {
    if (begins && this.#aside === 'next') {
      this.#aside = 'open';
    } else if (begins) {
      this.#count += 1;
      this.#isFresh = true;
      this.#words.push(...(this.#count > MAX_WORDS ? [] : ['']));
    }
    const last = this.#count - 1;
    const word = this.#words[last];
    if (word !== undefined && word.length < MAX_WORD && this.#aside !== 'open') {
      this.#words[last] = word + text;
    }
  }

  endWord(): void {
    const [first = ''] = this.#words;
    if (this.#aside === 'open') {
      this.#aside = 'none';
    } else if (this.#count === 1 && this.#isFresh) {
      this.#isFresh = false;
      this.#keyword(first);
    }
  }

  #keyword(word: string): void {
    if (OPENERS.has(word)) {
      this.#groups.push([]);
    } else if (CLOSERS.has(word) && this.#groups.length > 1) {
      this.close(this.#groups.pop() ?? []);
    }
    if (KEYWORDS.has(word)) {
      this.begin();
    }
  }

  /** Discards the words read so far, because they are not part of a command: a keyword, or the name of a function. */
  begin(): void {
    this.#words = [];
    this.#count = 0;
  }

  /** The current command is a group with this output. */
  close(printed: readonly Use[]): void {
    this.#closed = printed;
  }

  /** In the present word. */
  use(use: Use, setting: Setting = 'command'): void {
    if (this.isHereString) {
      this.#input.push(use);
    } else {
      this.#uses.push({ use, at: this.#aside === 'none' ? this.#count - 1 : -1, setting });
    }
  }

  /** The next word is a here string. */
  hereString(): void {
    [this.#aside, this.#isInput] = ['next', true];
  }

  /** The next word is a file. A number right before the operator, as in `2>file`, is not an argument. */
  redirection(operator: string, isBehindWord: boolean): void {
    const before = isBehindWord && this.#count === this.#words.length ? this.#words.at(-1) : undefined;
    const stream = before !== undefined && /^\d+$/.test(before) ? before : undefined;
    if (stream !== undefined) {
      this.#words.pop();
      this.#count -= 1;
    }
    // In a very long command, the number is not known.
    const isOutput =
      stream === undefined ? !operator.startsWith('<') && this.#count === this.#words.length : stream === '1';
    this.#isRedirected ||= isOutput;
    [this.#aside, this.#isInput] = ['next', false];
  }

  /** The current command reads a here document. @returns whether a command runs its text, once the pipeline has ended */
  hereDocument(): () => boolean {
    const document = { isRun: false };
    this.#documents.push(document);
    return () => document.isRun;
  }

  /** The next command reads the output of this one. @returns the faults of this command */
  pipe(): readonly Use[] {
    const faults = this.#judge();
    this.#output().forEach((use) => this.#input.push(use));
    this.#isPiped = true;
    this.#clear();
    return faults;
  }

  /** @returns the faults of the last command */
  end(): readonly Use[] {
    // A line may end after the pipe.
    if (this.#count === 0 && this.#isPiped) {
      return [];
    }
    const faults = this.#judge();
    const group = this.#groups.at(-1) ?? [];
    const printed = this.#isRedirected ? [] : [...this.#input, ...this.#output()];
    group.push(...printed.slice(0, MAX_PRINTED - group.length));
    this.#input = [];
    this.#documents = [];
    this.#isPiped = false;
    this.#clear();
    return faults;
  }

  /** The user text in the output of the current command. */
  #output(): readonly Use[] {
    const [name = '', format = ''] = this.#words;
    if (this.#isRedirected || !PRINT.has(name)) {
      return this.#isRedirected ? [] : this.#closed;
    }
    // `%q` quotes for a shell.
    const isQuoted = name === 'printf' && /%q/.test(format) && !/%[^q%]/.test(format);
    return this.#uses.filter(({ at }) => !isQuoted || at < 2).map(({ use }) => use);
  }

  #judge(): readonly Use[] {
    const words = this.#words;
    const isCode = this.#uses.length === 0 ? () => false : codeOf(words);
    const faults = this.#uses
      .map(({ use, at, setting }) => (isCode(at, setting) ? evaluated(use) : use))
      .filter(({ rule }) => rule !== undefined);
    if (this.#input.length + this.#documents.length === 0 || !readsCode(words)) {
      return faults;
    }
    this.#documents.forEach((document) => (document.isRun = true));
    const read = this.#input.map(evaluated);
    // Each use is reported once, however many commands follow.
    [this.#input, this.#documents] = [[], []];
    return [...faults, ...read];
  }

  #clear(): void {
    this.#words = [];
    this.#count = 0;
    this.#uses = [];
    this.#closed = [];
    this.#isRedirected = false;
    this.#aside = 'none';
  }
}

/** How a command treats its words: whether one is code, or names the program. */
function codeOf(words: readonly string[]): (at: number, setting: Setting) => boolean {
  const [name = ''] = words;
  const code = new Set(codeWords(words));
  const isNumber = DECLARE.has(name) && words.some((word) => /^-[a-zA-Z]*i/.test(word));
  const isProgram = (at: number): boolean => at === commandAt(words) && words[at]?.startsWith('$()') === true;
  return (at, setting) => {
    switch (setting) {
      case 'number':
        return true;
      case 'test':
        return [at - 1, at + 1].some((index) => NUMERIC.test(words[index] ?? ''));
      case 'list':
        return false;
      case 'command':
        return (
          EVALUATE.has(name) || isNumber || (at === 1 && EVALUATE_FIRST.has(name)) || code.has(at) || isProgram(at)
        );
    }
  };
}

/** As part of code. */
export function evaluated(use: Use): Use {
  return { ...use, rule: 'shell-eval' };
}
