import { IMAGE, programName, programOf, type Program } from './programs.ts';

/** Their arguments become a command line, or code for another shell. */
const EVALUATE_ALL = new Set(['ssh', 'eval', 'xargs', 'watch', 'make', 'gmake']);

/** A program that runs the rest of the command line. */
interface Wrapper {
  /** These options take the next argument. */
  readonly takes?: RegExp;
  /** Number of its own arguments before the command. */
  readonly own?: number;
}

const WRAPPERS = new Map<string, Wrapper>([
  ...'busybox nohup setsid tini dumb-init catatonit'.split(' ').map((name) => [name, {}] as const),
  ['sudo', { takes: /^(?:-[a-zA-Z]*[CDghpRrTtUu]|--(?:user|group|chdir|chroot|host|prompt|role|type))$/ }],
  ['doas', { takes: /^-[Cu]$/ }],
  ['env', { takes: /^(?:-[a-z]*[uC]|--(?:unset|chdir))$/ }],
  ['timeout', { takes: /^(?:-[ks]|--(?:signal|kill-after))$/, own: 1 }],
  ['nice', { takes: /^(?:-n|--adjustment)$/ }],
  ['exec', { takes: /^-[a-z]*a$/ }],
  ['time', { takes: /^-[fo]$/ }],
  ['stdbuf', { takes: /^-[ioe]$/ }],
  ['gosu', { own: 1 }],
  ['su-exec', { own: 1 }],
]);
const XARGS_TAKES = /^(?:-[a-zA-Z0-9]*[adEILnPs]|--(?:arg-file|delimiter|max-args|max-procs))$/;
/** `-I {}`, `-I{}`, or `-i` and `--replace`, which default to `{}`. */
const XARGS_REPLACES = /^(?:-[0oprtx]*([Ii])|--replace(?:=|$))(.*)$/;

/** An interpreter on a command line. */
interface Interpreter {
  readonly program: Program;
  readonly at: number;
  /** Positions of its code: the texts after `-c`, a program for a filter, SQL. */
  readonly code: readonly number[];
  /** Position of its script file; -1 if there is none. */
  readonly script: number;
  /** Positions of the arguments of its other options. */
  readonly values: ReadonlySet<number>;
  /** An option announces code. */
  readonly flagged: boolean;
  /** An option makes it read code from standard input. */
  readonly fromInput: boolean;
}

/** How a program interprets the argument at a position; undefined for data that cannot be taken for an option. */
export function argumentRule(
  words: readonly string[],
  position: number,
): 'interpreter-argument' | 'argument' | undefined {
  if (words.slice(0, position).some((word) => EVALUATE_ALL.has(programName(word)))) {
    return 'interpreter-argument';
  }
  const found = interpreterOf(words);
  if (found === undefined || position <= found.at) {
    return data(words, position);
  }
  if (found.values.has(position)) {
    return isMatch(found.program.takesTwo, words[position - 2] ?? '') ? undefined : data(words, position);
  }
  if (position <= Math.max(found.code.at(-1) ?? -1, found.script)) {
    return 'interpreter-argument';
  }
  return isDataAfter(found) ? undefined : data(words, position);
}

function isDataAfter({ code, program }: Interpreter): boolean {
  return code.length > 0 && program.dataAfter === true;
}

/** An argument is no option after `--`, or if it has a fixed beginning that is not a script line. */
function data(words: readonly string[], position: number): 'argument' | undefined {
  const [beginning = ''] = (words[position] ?? '').split(/\{\{|\$\(/, 1);
  const fixed = !/^-{0,2}$|[\s;|&]/.test(beginning);
  return fixed || words.slice(0, position).includes('--') ? undefined : 'argument';
}

/** The positions of the words that a command line's program runs as code. */
export function codeWords(words: readonly string[]): readonly number[] {
  return interpreterOf(words)?.code ?? [];
}

/** Whether a command line runs its standard input as code. */
export function readsCode(words: readonly string[]): boolean {
  const at = commandAt(words);
  if (programName(words[at] ?? '') === 'xargs') {
    return appendsCode(words.slice(at + 1));
  }
  const program = programOf(words[at] ?? '');
  if (program?.stdin === undefined) {
    return false;
  }
  const found = readInterpreter(words, at, program);
  const isRemote = programName(words[at] ?? '') === 'ssh' && found.code.length > 0;
  const remote = found.code.flatMap((index) => (words[index] ?? '').split(/\s+/));
  return isRemote ? readsCode(remote) : runsInput(words, found);
}

/** Whether xargs puts its input into code: behind `-c`, or in place of the text that `-I` replaces. */
function appendsCode(words: readonly string[]): boolean {
  let at = 0;
  while (words[at]?.startsWith('-') === true) {
    at += XARGS_TAKES.test(words[at] ?? '') ? 2 : 1;
  }
  const [replaced, rest] = [replacedText(words.slice(0, at)), words.slice(at)];
  const code = codeWords(rest);
  return replaced === undefined
    ? code.length === 0 && codeWords([...rest, 'x']).includes(rest.length)
    : code.some((index) => rest[index]?.includes(replaced));
}

/** The text that xargs replaces, according to its options. */
function replacedText(options: readonly string[]): string | undefined {
  const at = options.findIndex((option) => XARGS_REPLACES.test(option));
  const [, letter, text] = XARGS_REPLACES.exec(options[at] ?? '') ?? [];
  const standard = letter === 'I' ? options[at + 1] : '{}';
  return text === '' ? standard : text;
}

function runsInput(words: readonly string[], { code, script, flagged, fromInput }: Interpreter): boolean {
  return fromInput || (!flagged && code.length === 0 && (script === -1 || words[script] === '-'));
}

/** The position of the text that a shell runs in this command line, and where the data after it begins. */
export function shellCode(words: readonly string[]): { readonly index: number; readonly after: number } | undefined {
  const found = interpreterOf(words);
  const [index] = found?.code ?? [];
  return found?.program.shell === true && index !== undefined ? { index, after: index + 2 } : undefined;
}

/** Whether a file is the program, or the script of an interpreter. */
export function runsFile(words: readonly string[], file: unknown): boolean {
  const script = interpreterOf(words)?.script ?? -1;
  return typeof file === 'string' && (words[0] === file || words[script] === file);
}

export function isShell(words: readonly string[]): boolean {
  return words.some((word) => programOf(word)?.shell === true);
}

/** Where the command begins behind wrappers such as `env X=1`, `timeout 5` and `sudo -u user`; the end if none does. */
export function commandAt(words: readonly string[]): number {
  let wrapper: Wrapper = {};
  let own = 0;
  let at = 0;
  for (; at < words.length; at += 1) {
    const word = words[at] ?? '';
    const found = WRAPPERS.get(programName(word));
    if (found !== undefined) {
      [wrapper, own] = [found, found.own ?? 0];
    } else if (isMatch(wrapper.takes, word)) {
      at += 1;
    } else if (own > 0 || !/^[-\d]|=/.test(word)) {
      own -= 1;
      if (own < 0) {
        break;
      }
    }
  }
  return Math.min(at, words.length);
}

/** The first interpreter of a command line that has code or a script, behind wrappers such as `env` and `timeout 5`. */
function interpreterOf(words: readonly string[]): Interpreter | undefined {
  if (words[0]?.startsWith('-') === true) {
    return readInterpreter(words, -1, IMAGE);
  }
  const command = commandAt(words);
  for (const [at, word] of words.entries()) {
    const program = programOf(word);
    const found = program === undefined ? undefined : readInterpreter(words, at, program);
    // Later in the line, the name alone may be data, as in `apk add python`.
    if (found !== undefined && (at <= command ? found.code.length > 0 || found.script !== -1 : found.flagged)) {
      return found;
    }
  }
  return undefined;
}

/** Reads the arguments after a program. */
function readInterpreter(words: readonly string[], at: number, program: Program): Interpreter {
  const reader = new ArgumentReader(program);
  for (let index = at + 1; index < words.length && !reader.isOver; index += 1) {
    if (!reader.values.has(index)) {
      reader.read(words[index] ?? '', index);
    }
  }
  const { code, script, values, flagged, fromInput } = reader;
  return { program, at, code, script, values, flagged, fromInput };
}

type Kind = 'inline' | 'fixed' | 'flag' | 'file' | 'takes' | 'takesTwo' | 'stdin' | 'option' | 'word';
const OPTIONS = ['flag', 'file', 'takes', 'takesTwo', 'stdin'] as const;

class ArgumentReader {
  readonly code: number[] = [];
  readonly values = new Set<number>();
  script = -1;
  flagged = false;
  fromInput = false;
  /** The rest is data. */
  isOver = false;
  readonly #program: Program;
  /** The kind of the next argument. */
  #next: 'code' | 'script' | undefined;
  #arguments = 0;

  constructor(program: Program) {
    this.#program = program;
  }

  read(word: string, index: number): void {
    switch (kindOf(word, this.#program)) {
      case 'inline':
        return this.#code(index, true);
      case 'fixed':
        this.flagged = true;
        this.isOver = this.#program.dataAfter === true;
        return;
      case 'flag':
        this.#next = 'code';
        return;
      case 'file':
        this.#next = 'script';
        return;
      case 'takes':
        this.values.add(index + 1);
        return;
      case 'takesTwo':
        this.values.add(index + 1).add(index + 2);
        return;
      case 'stdin':
        this.isOver = true;
        this.fromInput = true;
        return;
      case 'word':
        return this.#word(index);
      case 'option':
    }
  }

  #word(index: number): void {
    const { first, rest } = this.#program;
    const next = this.#next;
    this.#next = undefined;
    if (next === 'script') {
      this.script = index;
      this.isOver = first === 'script';
    } else if (next === 'code') {
      this.#code(index, true);
    } else {
      this.#arguments += 1;
      const isFirst = this.#arguments === 1;
      if (isFirst && first === 'script' && !this.flagged) {
        this.script = index;
        this.isOver = true;
      } else if (isFirst ? first === 'code' && !this.flagged && this.script === -1 : rest === true) {
        this.#code(index, false);
      }
    }
  }

  #code(index: number, flagged: boolean): void {
    this.code.push(index);
    this.flagged ||= flagged;
    this.isOver = this.#program.dataAfter === true;
  }
}

function kindOf(word: string, program: Program): Kind {
  if (word === '-' && program.first === 'script') {
    return 'stdin';
  }
  if (isInOneWord(word, program)) {
    return /\{\{|\$\(/.test(word) ? 'inline' : 'fixed';
  }
  const option = OPTIONS.find((name) => isMatch(program[name], word));
  return option ?? (/^[-+]./.test(word) ? 'option' : 'word');
}

function isMatch(pattern: RegExp | true | undefined, word: string): boolean {
  return pattern instanceof RegExp && pattern.test(word);
}

/** An option with its code or script in the same word: `--eval=…` and `-e…`. */
function isInOneWord(word: string, { flag, file, takes }: Program): boolean {
  if (word.startsWith('--')) {
    const option = word.slice(0, Math.max(0, word.indexOf('=')));
    return isMatch(flag, option) || isMatch(file, option);
  }
  // A word of letters only is several options, as in `-xe`.
  return (
    /^-[a-zA-Z]+[^a-zA-Z]/.test(word) &&
    !isMatch(takes, word.slice(0, 2)) &&
    [2, 3, 4].some((length) => isMatch(flag, word.slice(0, length)) || isMatch(file, word.slice(0, length)))
  );
}
