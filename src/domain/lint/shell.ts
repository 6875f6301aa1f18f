import { evaluated, MAX_WORD, settingOf, ShellPipeline, type State, type Use } from './shell-pipeline.ts';

/** A place where a shell script uses a variable in a dangerous way. */
interface ShellFault {
  readonly rule: 'shell-quoting' | 'shell-eval';
  /** As written: `$NAME` or `${NAME}`. */
  readonly text: string;
  readonly offset: number;
  /** The variables whose user text this one contains. */
  readonly origins: readonly string[];
}

const VARIABLE = /\$(?:\{[#!]?(\w+|[@*])|([A-Za-z_]\w*|[1-9@*]))/y;
const ASSIGNMENT = /([A-Za-z_]\w{0,99})\+?=/y;
/** The plain name of a variable, or a number. */
const NAME = /[A-Za-z_]\w{0,99}|\d\w*/y;
/** `((…))` as arithmetic, not as a group within a group. */
const ARITHMETIC = /\(\((?:[^()]|\([^()]*\))*\)\)/y;
const WORD = /[\w./:+,%@~-]+/y;
const HEREDOC = /<<-?[ \t]*(['"\\]?)([A-Za-z_][\w.-]*)\1?/y;
/** A redirection, followed by its file. Process substitutions look similar. */
const REDIRECTION = /(?:&?>>?[|&]?|<[>&]?)(?!\()/y;
/** Enough that one of them is a user's. */
const MAX_ORIGINS = 20;
/** Maximum per script. Once these are fixed, the remaining ones are reported. */
const MAX_FAULTS = 200;
/** Where the text of a variable is split into words. */
const SPLIT: ReadonlySet<State> = new Set(['plain', 'group', 'list', 'command', 'backtick']);
/** Where `<` and `>` compare. */
const COMPARES: ReadonlySet<State> = new Set(['test', 'arithmetic']);
/** Starts the next command. */
const SEPARATOR = /[;&|\n()]/;

/** A here document, whose text begins on the next line. */
interface HereDocument {
  readonly end: string;
  readonly quoted: boolean;
  /** Whether its command, or a later one in the pipeline, runs its text. */
  readonly isRun: () => boolean;
}

/**
 * Finds uses of variables that a shell splits or evaluates: outside of quotes, in `eval`, in code for another interpreter, and in
 * text that an interpreter reads from a pipe or a here document. Variables assigned from such a variable count too. A single
 * pass, which can be deceived on purpose. The same fault counts once.
 *
 * @param tainted the variables that contain user text
 */
export function shellFaults(script: string, tainted: ReadonlySet<string>): readonly ShellFault[] {
  const reader = new ShellReader(script, tainted);
  return tainted.size === 0 ? [] : reader.read();
}

class ShellReader {
  readonly #script: string;
  /** The origins of each variable that contains user text. */
  readonly #origins: Map<string, readonly string[]>;
  readonly #faults: ShellFault[] = [];
  /** Rules and texts of the reported faults, by the origins of their user text. */
  readonly #known = new Map<readonly string[], Set<string>>();
  readonly #states: State[] = [];
  /** The pipelines that substitutions interrupt, and last the current one. */
  readonly #pipelines: ShellPipeline[] = [new ShellPipeline()];
  #at = 0;
  #wordStart = true;
  #assigned: string | undefined;
  #heredocs: HereDocument[] = [];

  constructor(script: string, tainted: ReadonlySet<string>) {
    this.#script = script;
    this.#origins = new Map([...tainted].map((name) => [name, [name]]));
  }

  read(): readonly ShellFault[] {
    while (this.#at < this.#script.length && this.#faults.length < MAX_FAULTS) {
      const char = this.#script.charAt(this.#at);
      if (char === '\\') {
        this.#at += 2;
        this.#wordStart = false;
      } else if (char === '$') {
        this.#dollar();
      } else if (this.#state === 'double') {
        this.#inQuotes(char);
      } else {
        this.#outside(char);
      }
    }
    this.#pipelines.forEach((pipeline) => this.#addAll(pipeline.end()));
    return this.#faults;
  }

  get #state(): State {
    return this.#states.at(-1) ?? 'plain';
  }

  get #pipeline(): ShellPipeline {
    return this.#pipelines.at(-1) ?? new ShellPipeline();
  }

  #inQuotes(char: string): void {
    if (char === '"') {
      this.#states.pop();
    } else if (char === '`') {
      this.#backtick();
      return;
    } else {
      this.#pipeline.write(char, false);
    }
    this.#at += 1;
  }

  #outside(char: string): void {
    if (char === "'") {
      const end = this.#script.indexOf("'", this.#at + 1);
      const next = end === -1 ? this.#script.length : end;
      this.#write(this.#script.slice(this.#at + 1, Math.min(next, this.#at + MAX_WORD)));
      this.#at = next + 1;
    } else if (char === '"') {
      this.#write('');
      this.#states.push('double');
      this.#at += 1;
    } else if (char === '#' && this.#wordStart) {
      const end = this.#script.indexOf('\n', this.#at);
      this.#at = end === -1 ? this.#script.length : end;
    } else if (char === '`') {
      this.#backtick();
    } else if (!this.#input()) {
      this.#plain(char);
    }
  }

  /** Adds text to the current word, or begins a word with it. */
  #write(text: string): void {
    this.#pipeline.write(text, this.#wordStart);
    this.#wordStart = false;
  }

  #backtick(): void {
    if (this.#state === 'backtick') {
      this.#close();
    } else {
      this.#open('backtick');
    }
  }

  /** Begins a substitution, which is part of a word. */
  #open(state: State, length = 1): void {
    this.#write('');
    this.#states.push(state);
    this.#pipelines.push(new ShellPipeline());
    this.#at += length;
    this.#wordStart = true;
  }

  #close(): void {
    const state = this.#states.pop();
    if (state !== 'test') {
      const inner = this.#pipeline;
      this.#addAll(inner.end());
      this.#pipelines.pop();
      this.#printed(state, inner.printed);
    }
    this.#at += 1;
    this.#wordStart = false;
    if (state === 'group' && this.#script.startsWith('()', this.#at - 2)) {
      // The body of a function follows.
      this.#pipeline.begin();
      this.#wordStart = true;
    }
  }

  /** The output of commands in parentheses is input of the next command; the output of a substitution is part of a word. */
  #printed(state: State | undefined, uses: readonly Use[]): void {
    if (state === 'group') {
      this.#pipeline.close(uses);
    } else {
      uses.forEach((use) => this.#pipeline.use({ ...use, rule: undefined }));
    }
  }

  /** Records a here document, or that the next word is a here string or the file of a redirection. */
  #input(): boolean {
    if (this.#script.startsWith('<<<', this.#at)) {
      this.#endWord();
      this.#pipeline.hereString();
      this.#at += 3;
      return true;
    }
    const isShift = COMPARES.has(this.#state);
    const match = this.#script.startsWith('<<', this.#at) && !isShift ? this.#match(HEREDOC) : null;
    if (match === null) {
      return this.#redirection();
    }
    this.#heredocs.push({ end: match[2] ?? '', quoted: match[1] !== '', isRun: this.#pipeline.hereDocument() });
    this.#at += match[0].length;
    return true;
  }

  #redirection(): boolean {
    const match = COMPARES.has(this.#state) ? null : this.#match(REDIRECTION);
    if (match === null) {
      return false;
    }
    this.#pipeline.redirection(match[0], !this.#wordStart);
    this.#endWord();
    this.#at += match[0].length;
    return true;
  }

  #plain(char: string): void {
    if (SEPARATOR.test(char)) {
      this.#separator(char);
    } else if (/\s/.test(char)) {
      this.#endWord();
      this.#at += 1;
    } else {
      this.#word(char);
    }
  }

  #separator(char: string): void {
    if (char === '(') {
      this.#parenthesis();
      return;
    }
    this.#endWord();
    if (char === ')' && this.#state !== 'plain') {
      this.#close();
    } else if (char === '|' && this.#script.charAt(this.#at + 1) !== '|') {
      this.#addAll(this.#pipeline.pipe());
      this.#at += this.#script.charAt(this.#at + 1) === '&' ? 2 : 1;
    } else {
      if (char === ')') {
        // A pattern of `case` is not a command.
        this.#pipeline.begin();
      }
      this.#addAll(this.#pipeline.end());
      this.#at += char === '|' ? 2 : 1;
    }
    if (char === '\n') {
      this.#readHeredocs();
    }
  }

  #parenthesis(): void {
    const isList = this.#assigned !== undefined && this.#script.charAt(this.#at - 1) === '=';
    const isNumber = this.#state === 'arithmetic' || this.#match(ARITHMETIC) !== null;
    const grouped = isNumber ? 'arithmetic' : 'group';
    this.#endWord();
    this.#open(isList ? 'list' : grouped);
  }

  /** Text of a here document is not split into words; its substitutions are left unread. */
  #readHeredocs(): void {
    for (const { end, quoted, isRun } of this.#heredocs) {
      const start = this.#at;
      let [from, line] = [start, ''];
      do {
        from = this.#at;
        const newline = this.#script.indexOf('\n', this.#at);
        const next = newline === -1 ? this.#script.length : newline;
        line = this.#script.slice(this.#at, next).trim();
        this.#at = next + 1;
      } while (line !== end && this.#at < this.#script.length);
      if (!quoted && isRun()) {
        this.#readVariables(start, from);
      }
    }
    this.#heredocs = [];
  }

  /** Every variable in the text is code. */
  #readVariables(start: number, end: number): void {
    const after = this.#at;
    for (let at = this.#script.indexOf('$', start); at !== -1 && at < end; at = this.#script.indexOf('$', at + 1)) {
      this.#at = at;
      const use = this.#use();
      this.#addAll(use === undefined ? [] : [evaluated(use)]);
    }
    this.#at = after;
  }

  #word(char: string): void {
    if (this.#state === 'arithmetic') {
      this.#number(char);
      return;
    }
    const assignment = this.#wordStart ? this.#match(ASSIGNMENT) : null;
    if (assignment !== null) {
      this.#assigned = assignment[1];
      this.#at += assignment[0].length;
      if (this.#pipeline.words.length > 0) {
        this.#write(assignment[0]);
      }
      this.#wordStart = false;
    } else {
      const text = this.#match(WORD)?.[0] ?? char;
      this.#write(text);
      this.#at += text.length;
      this.#tests(text);
    }
  }

  #number(char: string): void {
    const name = this.#match(NAME)?.[0] ?? char;
    const origins = this.#origins.get(name);
    this.#write(name);
    if (origins !== undefined) {
      this.#pipeline.use({ rule: undefined, text: name, offset: this.#at, origins }, 'number');
    }
    this.#at += name.length;
  }

  /** `[[ … ]]` and `case … in` do not split. */
  #tests(text: string): void {
    if (text === '[' && this.#pipeline.words.at(-1) === '[[') {
      this.#states.push('test');
    } else if (text === ']' && this.#state === 'test' && this.#script.startsWith(']', this.#at)) {
      this.#states.pop();
    }
  }

  #endWord(): void {
    this.#wordStart = true;
    this.#pipeline.endWord();
    if (this.#states.length === 0) {
      this.#assigned = undefined;
    }
  }

  #dollar(): void {
    const next = this.#script.slice(this.#at, this.#at + 3);
    if (next.startsWith('$((')) {
      this.#open('arithmetic', 2);
    } else if (next.startsWith('$(')) {
      this.#open('command', 2);
    } else if (next.startsWith("$'") && this.#state !== 'double') {
      this.#at += 1;
    } else {
      this.#variable();
    }
  }

  #variable(): void {
    const use = this.#use();
    if (use !== undefined && !use.isCount) {
      this.#assign(use.origins);
    }
    const isCase = this.#wordStart && this.#pipeline.words.join(' ') === 'case';
    this.#write('$()');
    if (use !== undefined && !use.isCount) {
      const isSplit = SPLIT.has(this.#state) && !isCase && !this.#isWhole();
      const read: Use = { ...use, rule: isSplit ? 'shell-quoting' : undefined };
      this.#pipeline.use(use.isName ? evaluated(read) : read, settingOf(this.#states));
    }
  }

  /** The variable that is here, if it contains user text. */
  #use(): (Use & { readonly isCount: boolean; readonly isName: boolean }) | undefined {
    const [written, inBraces, plain = ''] = this.#match(VARIABLE) ?? ['$'];
    const origins = this.#origins.get(inBraces ?? plain);
    const offset = this.#at;
    this.#at += written.length;
    const text = inBraces === undefined ? written : `\${${inBraces}}`;
    // Not `${!array[@]}`, the keys of an array.
    const isName = written.startsWith('${!') && !/[[@*]/.test(this.#script.charAt(this.#at));
    return origins && { rule: undefined, text, offset, origins, isCount: written.startsWith('${#'), isName };
  }

  #addAll(faults: readonly Use[]): void {
    for (const { rule, text, offset, origins } of faults) {
      const known = this.#known.get(origins) ?? new Set();
      const key = `${rule} ${text}`;
      if (rule !== undefined && !known.has(key)) {
        this.#known.set(origins, known.add(key));
        this.#faults.push({ rule, text, offset, origins });
      }
    }
  }

  #assign(origins: readonly string[]): void {
    if (this.#assigned !== undefined) {
      const known = this.#origins.get(this.#assigned) ?? [];
      const more = origins.filter((name) => !known.includes(name)).slice(0, MAX_ORIGINS - known.length);
      if (more.length > 0) {
        this.#origins.set(this.#assigned, [...known, ...more]);
      }
    }
  }

  /** The values of assignments and here strings are not split. */
  #isWhole(): boolean {
    return (this.#assigned !== undefined && this.#states.length === 0) || this.#pipeline.isHereString;
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#script);
  }
}
