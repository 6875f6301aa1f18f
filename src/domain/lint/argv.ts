/** How a program finds code in its arguments. */
interface Program {
  /** The argument after it is code. */
  readonly flag: RegExp;
  /** The first argument that is no option is a script or code. */
  readonly first: boolean;
  /** What follows the code is data, even if it begins with "-". */
  readonly dataAfter: boolean;
  readonly shell: boolean;
}

const SHELL: Program = { flag: /^-[a-zA-Z]*c[a-zA-Z]*$/, first: true, dataAfter: true, shell: true };
const EVALUATOR: Program = {
  flag: /^(?:-[a-zA-Z]*[eEpr]|--eval|--print|eval)$/,
  first: true,
  dataAfter: false,
  shell: false,
};
const FILTER: Program = { flag: /^(?:-e|--expression|--source)$/, first: true, dataAfter: false, shell: false };
/** Behind other options of one letter that take no value, as in `psql -tAc`. */
const SQL: Program = {
  flag: /^(?:-[aAbBCeEGHijlnNqrsStwWxXz01]*[ce]|--command|--execute|--eval)$/,
  first: false,
  dataAfter: false,
  shell: false,
};

const PROGRAMS = new Map<string, Program>([
  ...['sh', 'bash', 'ash', 'dash', 'zsh', 'ksh', 'mksh', 'fish', 'rbash'].map((name) => [name, SHELL] as const),
  ...['python', 'pypy'].map(
    (name) => [name, { flag: /^-[a-zA-Z]*c$/, first: true, dataAfter: true, shell: false }] as const,
  ),
  ...['node', 'nodejs', 'deno', 'bun', 'ruby', 'perl', 'php', 'lua', 'Rscript'].map(
    (name) => [name, EVALUATOR] as const,
  ),
  ...['pwsh', 'powershell', 'cmd'].map(
    (name) => [name, { flag: /^(?:-c|-command|\/c)$/i, first: true, dataAfter: false, shell: false }] as const,
  ),
  ...['awk', 'gawk', 'mawk', 'sed'].map((name) => [name, FILTER] as const),
  ...['psql', 'mysql', 'mariadb', 'sqlite3', 'mongosh'].map((name) => [name, SQL] as const),
  ...['clickhouse', 'clickhouse-client', 'clickhouse-local'].map(
    (name) => [name, { flag: /^(?:-q|--query)$/, first: false, dataAfter: false, shell: false }] as const,
  ),
  ['ansible', { flag: /^(?:-[ea]|--extra-vars|--args)$/, first: false, dataAfter: false, shell: false }],
  ['ansible-playbook', { flag: /^(?:-e|--extra-vars)$/, first: false, dataAfter: false, shell: false }],
  // They quote by other rules than sh.
  ...['csh', 'tcsh', 'nu', 'elvish', 'xonsh', 'osh', 'ysh'].map((name) => [name, { ...SHELL, shell: false }] as const),
  ['su', { ...SHELL, first: false, shell: false }],
  ['env', { flag: /^(?:-[a-z]*S|--split-string)$/, first: false, dataAfter: false, shell: false }],
]);

/** Their arguments become a command line, or code for another shell. */
const EVALUATE_ALL = new Set(['ssh', 'eval', 'xargs', 'watch', 'make', 'gmake']);

/** They run the rest of the command line. */
const WRAPPERS = new Set(
  'env busybox sudo doas timeout nice nohup exec time stdbuf setsid tini dumb-init catatonit gosu su-exec'.split(' '),
);

/** These options of a shell or of python take the next argument. */
const TAKES_ONE = /^(?:[-+][a-zA-Z]*[oOWX]|--rcfile|--init-file)$/;

/** An interpreter on a command line. */
interface Interpreter {
  readonly shell: boolean;
  readonly at: number;
  /** Where its code is: the text after -c, or the name of a script. -1 if it has none. */
  readonly code: number;
  /** The code is text, not the name of a file. */
  readonly inline: boolean;
  readonly dataAfter: boolean;
}

/** What a program makes of the argument at a position; undefined for data that it cannot take for an option. */
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
  if (position <= found.code) {
    return 'interpreter-argument';
  }
  return found.inline && found.dataAfter ? undefined : data(words, position);
}

/** After `--`, and behind a fixed beginning that is no line of a script, nothing is an option. */
function data(words: readonly string[], position: number): 'argument' | undefined {
  const [beginning = ''] = (words[position] ?? '').split(/\{\{|\$\(/, 1);
  const fixed = !/^-{0,2}$|[\s;|&]/.test(beginning);
  return fixed || words.slice(0, position).includes('--') ? undefined : 'argument';
}

/** The text that a shell of this command line runs, and where the data after it begins. */
export function shellCode(words: readonly string[]): { readonly index: number; readonly after: number } | undefined {
  const found = interpreterOf(words);
  return found?.shell === true && found.inline ? { index: found.code, after: found.code + 2 } : undefined;
}

/** Whether a file is the program, or the script of an interpreter. */
export function runsFile(words: readonly string[], file: unknown): boolean {
  const found = interpreterOf(words);
  return typeof file === 'string' && (words[0] === file || (found?.inline === false && words[found.code] === file));
}

export function isShell(words: readonly string[]): boolean {
  return words.some((word) => PROGRAMS.get(programName(word))?.shell === true);
}

/** The first interpreter of a command line, behind wrappers such as `env` and `timeout 5`. */
function interpreterOf(words: readonly string[]): Interpreter | undefined {
  if (words[0]?.startsWith('-') === true) {
    // Without a command the image decides: `-c` then speaks for a shell.
    return readInterpreter(words, -1, { ...SHELL, first: false });
  }
  let wrapped = true;
  for (const [at, word] of words.entries()) {
    const name = programName(word);
    const found = readInterpreter(words, at, PROGRAMS.get(name));
    // Elsewhere on the line the name alone may be data, as in `apk add python`.
    if (found !== undefined && (wrapped || found.inline)) {
      return found;
    }
    wrapped &&= WRAPPERS.has(name) || /^[-\d]|=/.test(word);
  }
  return undefined;
}

function readInterpreter(words: readonly string[], at: number, program?: Program): Interpreter | undefined {
  if (program === undefined) {
    return undefined;
  }
  const { code, inline } = findCode(words, at, program);
  return code === -1 ? undefined : { at, code, inline, shell: program.shell, dataAfter: program.dataAfter };
}

function findCode(words: readonly string[], at: number, program: Program): Pick<Interpreter, 'code' | 'inline'> {
  let inline = false;
  for (let index = at + 1; index < words.length; index += 1) {
    const word = words[index] ?? '';
    if (holdsCode(word, program)) {
      return { code: index, inline: true };
    }
    if (program.flag.test(word)) {
      inline = true;
    } else if (TAKES_ONE.test(word)) {
      index += 1;
    } else if ((inline || program.first) && !/^[-+]./.test(word)) {
      return { code: index, inline };
    }
  }
  return { code: -1, inline: false };
}

/** An option and a variable code in one word: `--eval=…` and `-e…`. */
function holdsCode(word: string, { flag }: Program): boolean {
  const length = word.startsWith('--') ? word.indexOf('=') : 2;
  return length > 0 && /\{\{|\$\(/.test(word.slice(length)) && flag.test(word.slice(0, length));
}

/** `/usr/bin/python3.12` is `python`. */
function programName(word: string): string {
  return word.slice(word.lastIndexOf('/') + 1).replace(/[\d.]{1,8}$/, '');
}
