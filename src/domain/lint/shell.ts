/** A place where a shell script uses a variable in a dangerous way. */
interface ShellFault {
  readonly rule: 'shell-quoting' | 'shell-eval';
  /** As written: `$NAME` or `${NAME}`. */
  readonly text: string;
  readonly offset: number;
  /** The variables with user text that this one contains. */
  readonly origins: readonly string[];
}

/** Where the shell reads on: in plain words, in quotes, or in a substitution of its own. */
type State = 'plain' | 'double' | 'command' | 'backtick' | 'test' | 'arithmetic';

const VARIABLE = /\$(?:\{[#!]?(\w+|[@*])|([A-Za-z_]\w*|[1-9@*]))/y;
const ASSIGNMENT = /([A-Za-z_]\w{0,99})\+?=/y;
const WORD = /[\w./:+,%@~-]+/y;
const HEREDOC = /<<-?[ \t]*(['"\\]?)([A-Za-z_]\w*)/y;
/** Enough for one of them to be a user's. */
const MAX_ORIGINS = 20;
/** Of one script. Once these are mended, the others are shown. */
const MAX_FAULTS = 200;
/** Of a longer command only the beginning is known. */
const MAX_COMMAND = 300;
/** Begins the next command. */
const SEPARATOR = /[;&|\n()]/;
const INTERPRETERS =
  /(?:^|[\s;&|(/])(?:sh|bash|ash|dash|zsh|ksh|python[\d.]{0,5}|node|perl|ruby|ssh|xargs)\s[^;&|\n"']{0,80}$/;

/**
 * Uses of variables that a shell takes apart or evaluates: outside quotes, in `eval`, and in the code for another
 * interpreter. Variables that are assigned from such a variable count too. Reads the text once; whoever wants to deceive
 * it can. The same fault counts once.
 *
 * @param tainted the variables that contain user text
 */
export function shellFaults(script: string, tainted: ReadonlySet<string>): readonly ShellFault[] {
  const reader = new ShellReader(script, tainted);
  return tainted.size === 0 ? [] : reader.read();
}

class ShellReader {
  readonly #script: string;
  /** For each variable with user text, where it came from. */
  readonly #origins: Map<string, readonly string[]>;
  readonly #faults: ShellFault[] = [];
  /** Rules and texts of the faults, by where their user text came from. */
  readonly #known = new Map<readonly string[], Set<string>>();
  readonly #states: State[] = [];
  #at = 0;
  /** The words of the present command so far, as far as they matter. */
  #command = '';
  #wordStart = true;
  #assigned: string | undefined;
  #heredocs: { readonly end: string; readonly quoted: boolean }[] = [];

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
    return this.#faults;
  }

  get #state(): State {
    return this.#states.at(-1) ?? 'plain';
  }

  #inQuotes(char: string): void {
    if (char === '"') {
      this.#states.pop();
    } else if (char === '`') {
      this.#open('backtick');
    }
    this.#at += 1;
  }

  #outside(char: string): void {
    if (char === "'") {
      const end = this.#script.indexOf("'", this.#at + 1);
      this.#at = end === -1 ? this.#script.length : end + 1;
      this.#wordStart = false;
    } else if (char === '"') {
      this.#states.push('double');
      this.#at += 1;
      this.#wordStart = false;
    } else if (char === '#' && this.#wordStart) {
      const end = this.#script.indexOf('\n', this.#at);
      this.#at = end === -1 ? this.#script.length : end;
    } else if (char === '`') {
      this.#backtick();
    } else if (!this.#heredoc()) {
      this.#plain(char);
    }
  }

  #backtick(): void {
    if (this.#state === 'backtick') {
      this.#states.pop();
      this.#at += 1;
    } else {
      this.#open('backtick');
    }
  }

  #open(state: State, length = 1): void {
    this.#states.push(state);
    this.#at += length;
    this.#command = '';
    this.#wordStart = true;
  }

  /** Notes a here document, whose text begins on the next line. */
  #heredoc(): boolean {
    const match = this.#script.startsWith('<<', this.#at) ? this.#match(HEREDOC) : null;
    if (match === null) {
      return false;
    }
    this.#heredocs.push({ end: match[2] ?? '', quoted: match[1] !== '' });
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
    this.#endWord();
    this.#command = '';
    this.#at += 1;
    if (char === '(') {
      this.#states.push('command');
    } else if (char === ')' && this.#state !== 'plain') {
      this.#states.pop();
      this.#wordStart = false;
    } else if (char === '\n') {
      this.#skipHeredocs();
    }
  }

  /** Text of a here document is not split into words; its substitutions are left unread. */
  #skipHeredocs(): void {
    for (const { end } of this.#heredocs) {
      let line: string;
      do {
        const newline = this.#script.indexOf('\n', this.#at);
        const next = newline === -1 ? this.#script.length : newline;
        line = this.#script.slice(this.#at, next).trim();
        this.#at = next + 1;
      } while (line !== end && this.#at < this.#script.length);
    }
    this.#heredocs = [];
  }

  #word(char: string): void {
    const assignment = this.#wordStart ? this.#match(ASSIGNMENT) : null;
    if (assignment !== null) {
      this.#assigned = assignment[1];
      this.#at += assignment[0].length;
    } else {
      const text = this.#match(WORD)?.[0] ?? char;
      const command = this.#wordStart ? `${this.#command} ${text}` : `${this.#command}${text}`;
      this.#command = command.slice(0, MAX_COMMAND);
      this.#at += text.length;
      this.#tests(text);
    }
    this.#wordStart = false;
  }

  /** `[[ … ]]` and `case … in` do not split. */
  #tests(text: string): void {
    if (text === '[' && this.#command.endsWith('[[')) {
      this.#states.push('test');
    } else if (text === ']' && this.#state === 'test' && this.#script.startsWith(']', this.#at)) {
      this.#states.pop();
    }
  }

  #endWord(): void {
    this.#wordStart = true;
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
    this.#wordStart = next.startsWith('$(');
  }

  #variable(): void {
    const [written, inBraces, plain = ''] = this.#match(VARIABLE) ?? ['$'];
    const origins = this.#origins.get(inBraces ?? plain);
    const offset = this.#at;
    this.#at += written.length;
    if (origins === undefined) {
      return;
    }
    this.#assign(origins);
    const rule = this.#ruleFor(written);
    if (rule !== undefined) {
      this.#add({ rule, text: inBraces === undefined ? written : `\${${inBraces}}`, offset, origins });
    }
  }

  #add(fault: ShellFault): void {
    const known = this.#known.get(fault.origins) ?? new Set();
    const key = `${fault.rule} ${fault.text}`;
    if (!known.has(key)) {
      this.#known.set(fault.origins, known.add(key));
      this.#faults.push(fault);
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

  #ruleFor(written: string): ShellFault['rule'] | undefined {
    if (/^ (?:eval|source|\.)(?: |$)/.test(this.#command) || this.#isCodeArgument()) {
      return 'shell-eval';
    }
    const counted = written.startsWith('${#');
    const split = ['plain', 'command', 'backtick', 'arithmetic'].includes(this.#state) && !this.#isWhole();
    return split && !counted ? 'shell-quoting' : undefined;
  }

  /** In `bash -c "…$NAME…"` and `ssh host "…$NAME…"` the quotes do not help. */
  #isCodeArgument(): boolean {
    return INTERPRETERS.test(this.#command) && /(?:\s-[a-z]{0,8}[ce]\b|ssh\s)[^-]{0,80}$/.test(this.#command);
  }

  /** An assignment, the word of `case`, and a here string are not split. */
  #isWhole(): boolean {
    const before = this.#script.slice(Math.max(0, this.#at - 200), this.#at);
    return (
      (this.#assigned !== undefined && this.#states.length === 0) ||
      /^ case$/.test(this.#command) ||
      /<<<\s*\$\{?\w*$/.test(before)
    );
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#script);
  }
}
