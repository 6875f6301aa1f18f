/** A variable that an expression reads, in parts: `inputs.parameters['a-b']` is `inputs`, `parameters`, `a-b`. */
interface Variable {
  readonly parts: readonly string[];
  /** The text arrives as a JSON string, including its quotes. */
  readonly quoted: boolean;
}

interface Token {
  readonly kind: 'name' | 'string' | 'sign';
  readonly text: string;
}

interface Code {
  readonly tokens: readonly Token[];
  /** The position of the closing bracket for each opening one. */
  readonly closing: ReadonlyMap<number, number>;
}

/** Beyond these limits, every variable counts. */
const MAX_DEPTH = 32;
const MAX_TOKENS = 2000;

/** Operators whose result is true or false. */
const LOGICAL = new Set('== != < > <= >= && || ! not and or in contains matches startsWith endsWith'.split(' '));
const ARITHMETIC = new Set(['+', '-', '*', '/', '%', '**', '..', '??']);

/** Functions whose result is always a number, a boolean, or text of only letters and digits. */
const HARMLESS = new Set(
  [
    'len count int float asInt asFloat all any one none toBase64',
    'sprig.int sprig.int64 sprig.float64 sprig.atoi sprig.len sprig.empty sprig.contains sprig.hasPrefix',
    'sprig.hasSuffix sprig.regexMatch sprig.has sprig.b64enc sprig.b32enc sprig.sha1sum sprig.sha256sum',
    'sprig.sha512sum sprig.adler32sum',
  ].flatMap((names) => names.split(' ')),
);
const QUOTING = new Set(['toJson', 'toJSON', 'sprig.toJson']);

/**
 * The variables whose text can be part of an expression's result. Comparisons, counts and encodings pass no text on:
 * `inputs.parameters.env == 'prod'` reads a variable, but its result is only true or false.
 */
export function resultVariables(source: string): readonly Variable[] {
  const tokens = tokenize(source);
  const code = { tokens, closing: closings(tokens) };
  const whole = [0, tokens.length] as const;
  return tokens.length > MAX_TOKENS ? variablesIn(code, whole) : flow(code, whole, 0);
}

type Range = readonly [from: number, to: number];

function flow(code: Code, range: Range, depth: number): readonly Variable[] {
  const [from, to] = range;
  const top = topLevel(code, range);
  const text = (index: number): string => signAt(code, index);
  if (depth > MAX_DEPTH || top.some((index) => text(index) === 'let' || text(index) === '|')) {
    return variablesIn(code, range);
  }
  const question = top.find((index) => text(index) === '?');
  if (question !== undefined) {
    const colon = otherwise(code, top, question);
    return [...flow(code, [question + 1, colon], depth + 1), ...flow(code, [colon + 1, to], depth + 1)];
  }
  if (top.some((index) => LOGICAL.has(text(index)))) {
    return [];
  }
  const cuts = top.filter((index) => ARITHMETIC.has(text(index)));
  if (cuts.length > 0) {
    const starts = [from, ...cuts.map((cut) => cut + 1)];
    return starts.flatMap((start, nth) => flow(code, [start, cuts[nth] ?? to], depth + 1));
  }
  return callOrVariables(code, range, depth);
}

function callOrVariables(code: Code, range: Range, depth: number): readonly Variable[] {
  const [from, to] = range;
  const { parts, end } = chain(code, from);
  const close = signAt(code, end) === '(' ? code.closing.get(end) : undefined;
  if (close !== to - 1) {
    return variablesIn(code, range);
  }
  const name = parts.join('.');
  if (HARMLESS.has(name)) {
    return [];
  }
  // Brackets around the whole, or the only argument of a quoting function.
  const quoting = QUOTING.has(name);
  if (name !== '' && !quoting) {
    return variablesIn(code, range);
  }
  const inner = flow(code, [end + 1, close], depth + 1);
  return quoting ? inner.map((variable) => ({ ...variable, quoted: true })) : inner;
}

/** The `:` that belongs to a `?`; the end of the list if there is none. */
function otherwise(code: Code, top: readonly number[], question: number): number {
  let open = 0;
  for (const index of top) {
    const sign = index <= question ? '' : signAt(code, index);
    if (sign === '?') {
      open += 1;
    } else if (sign === ':') {
      if (open === 0) {
        return index;
      }
      open -= 1;
    }
  }
  return (top.at(-1) ?? question) + 1;
}

/** The tokens outside of brackets; a bracketed part is represented by its first token. */
function topLevel({ closing }: Code, [from, to]: Range): readonly number[] {
  const indexes: number[] = [];
  for (let index = from; index < to; index += 1) {
    indexes.push(index);
    index = closing.get(index) ?? index;
  }
  return indexes;
}

/** Every variable between two tokens, including those in brackets. */
function variablesIn(code: Code, [from, to]: Range): readonly Variable[] {
  const found: Variable[] = [];
  let index = from;
  while (index < to) {
    const { parts, end } = chain(code, index);
    if (parts.length > 0 && signAt(code, end) !== '(') {
      found.push({ parts, quoted: false });
    }
    index = Math.max(end, index + 1);
  }
  return found;
}

/** A name with its members: `steps['a'].outputs.result`. A computed member ends the chain, which then means all members. */
function chain(code: Code, from: number): { readonly parts: readonly string[]; readonly end: number } {
  const first = code.tokens[from];
  if (first?.kind !== 'name' || LOGICAL.has(first.text)) {
    return { parts: [], end: from };
  }
  const parts: string[] = [];
  let end = from;
  let next: Member | undefined = { name: first.text, length: 1 };
  while (next !== undefined) {
    parts.push(next.name);
    end += next.length;
    next = memberAt(code, end);
  }
  // `$env` holds all variables by name.
  return { parts: first.text === '$env' && parts.length > 1 ? parts.slice(1) : parts, end };
}

interface Member {
  readonly name: string;
  readonly length: number;
}

/** `.name`, `?.name` or `['name']`. */
function memberAt(code: Code, at: number): Member | undefined {
  const member = code.tokens[at + 1];
  const sign = signAt(code, at);
  if (member?.kind === 'name' && (sign === '.' || sign === '?.')) {
    return { name: member.text, length: 2 };
  }
  return member?.kind === 'string' && sign === '[' && signAt(code, at + 2) === ']'
    ? { name: member.text, length: 3 }
    : undefined;
}

/** Empty for a string, whose text may look like a sign. */
function signAt({ tokens }: Code, index: number): string {
  const token = tokens[index];
  return token === undefined || token.kind === 'string' ? '' : token.text;
}

function closings(tokens: readonly Token[]): ReadonlyMap<number, number> {
  const open: number[] = [];
  const closing = new Map<number, number>();
  for (const [index, token] of tokens.entries()) {
    if (token.kind === 'sign' && '([{'.includes(token.text)) {
      open.push(index);
    } else if (token.kind === 'sign' && ')]}'.includes(token.text)) {
      const start = open.pop();
      if (start !== undefined) {
        closing.set(start, index);
      }
    }
  }
  return closing;
}

const SPACE = /\s+/y;
const NAME = /[\p{L}_$#][\p{L}\p{N}_$]*/uy;
const NUMBER = /\d[\d_.a-zA-Z]*/y;
const SIGN = /\?\?|\?\.|\.\.|\*\*|==|!=|<=|>=|&&|\|\||[^]/uy;

function tokenize(source: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at;
    const text = pattern.exec(source)?.[0] ?? '';
    at += text.length;
    return text;
  };
  while (at < source.length) {
    const quote = source.charAt(at);
    if (quote === '"' || quote === "'" || quote === '`') {
      const end = endOfString(source, at);
      tokens.push({ kind: 'string', text: source.slice(at + 1, end) });
      at = end + 1;
    } else if (take(SPACE) === '') {
      const name = take(NAME);
      if (name !== '') {
        tokens.push({ kind: 'name', text: name });
      } else {
        tokens.push({ kind: 'sign', text: take(NUMBER) || take(SIGN) });
      }
    }
  }
  return tokens;
}

/** The position of the closing quote, or the end of the text. */
function endOfString(source: string, start: number): number {
  const quote = source.charAt(start);
  let at = start + 1;
  while (at < source.length && source.charAt(at) !== quote) {
    at += source.charAt(at) === '\\' && quote !== '`' ? 2 : 1;
  }
  return Math.min(at, source.length);
}
