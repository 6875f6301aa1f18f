/** How a program finds code on its command line. */
export interface Program {
  /** The argument after it is code. */
  readonly flag?: RegExp;
  /** The argument after it names a file with a script. */
  readonly file?: RegExp;
  /** The meaning of the first argument that is not an option; data if absent. */
  readonly first?: 'script' | 'code';
  /** All arguments after the first are code, as in `sqlite3 FILE SQL`. */
  readonly rest?: true;
  /** Arguments after the code are data, even if they begin with "-". */
  readonly dataAfter?: true;
  readonly shell?: true;
  /** `true`: without code or a script, it reads code from standard input. A pattern: with this option, it always does. */
  readonly stdin?: true | RegExp;
  /** These options take the next argument. */
  readonly takes?: RegExp;
  /** These options take the next two arguments, whatever the second is. */
  readonly takesTwo?: RegExp;
}

const SHELL_FLAG = /^-[a-zA-Z]*c[a-zA-Z]*$/;
const SHELL: Program = {
  flag: SHELL_FLAG,
  first: 'script',
  dataAfter: true,
  shell: true,
  stdin: /^-[a-zA-Z]*s$/,
  takes: /^(?:[-+][a-zA-Z]*[oO]|--rcfile|--init-file)$/,
};
/** Without a command, the image decides: then `-c` suggests a shell. */
export const IMAGE: Program = { flag: SHELL_FLAG, dataAfter: true, shell: true };
// These shells have other quoting rules than sh.
const OTHER_SHELL: Program = { flag: SHELL_FLAG, first: 'script', dataAfter: true, stdin: true };
const EVALUATOR: Program = {
  flag: /^(?:-[a-zA-Z]*[eEpr]|--eval|--print|eval)$/,
  first: 'script',
  stdin: true,
};
const FILTER: Program = {
  flag: /^(?:-e|--expression|--source)$/,
  file: /^(?:-[a-zA-Z]*f|--file)$/,
  first: 'code',
  takes: /^-[vF]$/,
};
/** The flag may follow other one-letter options without values, as in `psql -tAc`. */
const SQL: Program = {
  flag: /^(?:-[aAbBCeEGHijlnNqrsStwWxXz01]*[ce]|--command|--execute|--eval)$/,
  file: /^(?:-f|--file)$/,
  stdin: true,
  takes: /^(?:-[vdhpUPF]|--(?:set|variable|dbname|host|port|username))$/,
};

const MYSQL: Program = { ...SQL, takes: /^(?:-[hPuDS]|--(?:host|port|user|database|socket))$/ };
const MONGO: Program = { ...SQL, takes: /^(?:-[up]|--(?:host|port|username|password))$/ };

const FILE_SQL: Program = {
  flag: /^-(?:cmd|c|s)$/,
  rest: true,
  stdin: true,
  takes: /^-(?:separator|newline|nullvalue|init|vfs|mmap)$/,
};

const PROGRAMS = new Map<string, Program>([
  ...['sh', 'bash', 'ash', 'dash', 'zsh', 'ksh', 'mksh', 'fish', 'rbash'].map((name) => [name, SHELL] as const),
  ...['csh', 'tcsh', 'nu', 'elvish', 'xonsh', 'osh', 'ysh'].map((name) => [name, OTHER_SHELL] as const),
  ...['python', 'pypy'].map(
    (name) =>
      [
        name,
        { flag: /^-[a-zA-Z]*c$/, file: /^-m$/, first: 'script', dataAfter: true, stdin: true, takes: /^-[WX]$/ },
      ] as const,
  ),
  ...['node', 'nodejs', 'deno', 'bun', 'ruby', 'perl', 'php', 'lua', 'Rscript'].map(
    (name) => [name, EVALUATOR] as const,
  ),
  ...['pwsh', 'powershell', 'cmd'].map(
    (name) => [name, { flag: /^(?:-c|-command|\/c)$/i, first: 'script', stdin: true }] as const,
  ),
  ...['awk', 'gawk', 'mawk', 'sed'].map((name) => [name, FILTER] as const),
  [
    'jq',
    {
      file: /^(?:-[a-zA-Z]*f|--from-file)$/,
      first: 'code',
      takes: /^(?:-L|--indent)$/,
      takesTwo: /^--(?:arg|argjson|slurpfile|rawfile)$/,
    },
  ],
  [
    'yq',
    {
      flag: /^(?:e|ea|eval|eval-all|--expression)$/,
      file: /^--from-file$/,
      first: 'code',
      takes: /^(?:-[a-zA-Z]*[opI]|--(?:(?:in|out)put-format|indent))$/,
    },
  ],
  ['psql', SQL],
  ...['mysql', 'mariadb'].map((name) => [name, MYSQL] as const),
  ['mongosh', MONGO],
  ...['sqlite3', 'duckdb'].map((name) => [name, FILE_SQL] as const),
  ...['clickhouse', 'clickhouse-client', 'clickhouse-local'].map(
    (name) => [name, { flag: /^(?:-q|--query)$/, stdin: true }] as const,
  ),
  ['ansible', { flag: /^(?:-[ea]|--extra-vars|--args)$/ }],
  ['ansible-playbook', { flag: /^(?:-e|--extra-vars)$/ }],
  ['su', { flag: SHELL_FLAG, dataAfter: true }],
  ['ssh', { rest: true, stdin: true, takes: /^-[a-zA-Z]*[BbcDEeFIiJLlmOoPpQRSWw]$/ }],
  ['env', { flag: /^(?:-[a-z]*S|--split-string)$/ }],
]);

/** Looks up a word of a command line: `/usr/bin/python3.12` is `python`, while `sqlite3` has its digit in the name. */
export function programOf(word: string): Program | undefined {
  return PROGRAMS.get(fileName(word)) ?? PROGRAMS.get(programName(word));
}

/** The name without folder and version. */
export function programName(word: string): string {
  return fileName(word).replace(/[\d.]{1,8}$/, '');
}

function fileName(word: string): string {
  return word.slice(word.lastIndexOf('/') + 1);
}
