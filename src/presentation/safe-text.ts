/**
 * Makes untrusted text safe to show: Discord interprets no markdown, mention or link inside code, and the text can neither end
 * the code nor reorder the text around it.
 */

/** Looks like a backtick but does not end code. */
const BACKTICK = 'ˋ';
/** Controls, line separators, and characters that change the text direction; newlines are handled separately. */
const UNSEEN = /(?!\n)[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/** One line as inline code; `–` if nothing is left. */
export function inlineCode(text: string, max: number): string {
  const line = clean(text).replaceAll('\n', ' ').trim();
  return `\`${line === '' ? '–' : shorten(line, max)}\``;
}

const MAX_REQUEST = 160;

/** The request as inline code: the command and its title. */
export function requestCode(
  { command, title }: { readonly command: string; readonly title: string },
  max = MAX_REQUEST,
): string {
  return inlineCode(`/${command} ${title}`, max);
}

const MAX_NAMES = 3;

/** People's names; only the first few if there are many. */
export function inlineNames(names: readonly string[], max: number): string {
  const shown = names.slice(0, MAX_NAMES).map((name) => inlineCode(name, max));
  return [...shown, ...(names.length > MAX_NAMES ? ['…'] : [])].join(', ');
}

/** Limits of a text. */
interface TextLimits {
  readonly chars: number;
  readonly lines: number;
}

/** Lines as a code block, or empty if nothing is left. */
export function codeBlock(text: string, limits: TextLimits): string {
  const shown = cutTo(clean(text).trim(), limits);
  return shown === '' ? '' : `\`\`\`\n${shown}\n\`\`\``;
}

/**
 * Named values as a code block. If they do not all fit, each gets an equal share, so a long value cannot crowd out the others.
 */
export function namedValues(values: readonly (readonly [string, string])[], limits: TextLimits): string {
  const texts = values.map(([name, value]) => namedValue(name, value));
  const whole = texts.join('\n');
  const fits = whole.length <= limits.chars && whole.split('\n').length <= limits.lines;
  const chars = Math.floor(limits.chars / values.length) - 1;
  const lines = Math.max(1, Math.floor(limits.lines / values.length));
  const share = (text: string): string => {
    const all = text.split('\n');
    return shorten(all.length > lines ? `${all.slice(0, lines).join('\n')} …` : text, chars);
  };
  return codeBlock(fits ? whole : texts.map(share).join('\n'), limits);
}

/** Lines after the first are indented, so they cannot pass for separate values. */
export function namedValue(name: string, value: string): string {
  return `${name}: ${value}`.replaceAll('\n', '\n  ');
}

function cutTo(text: string, limits: TextLimits): string {
  const lines = text.split('\n');
  const kept = lines.slice(0, limits.lines).join('\n');
  return shorten(lines.length > limits.lines ? `${kept}\n…` : kept, limits.chars);
}

/**
 * Text returned to its author to send again: only a sequence that would end the block is split, with a zero-width space. Show it
 * only to the author, because all other characters are kept.
 */
export function copyBlock(text: string, max: number): string {
  const whole = text.toWellFormed().replaceAll(/``(?=`)/g, '``\u200b');
  return whole.trim() === '' ? '' : `\`\`\`\n${shorten(whole, max)}\n\`\`\``;
}

function clean(text: string): string {
  return text.toWellFormed().replaceAll('\r\n', '\n').replaceAll(UNSEEN, ' ').replaceAll('`', BACKTICK);
}

/** At most this many UTF-16 units (Discord never counts more); never splits a character. */
function shorten(text: string, max: number): string {
  if (text.length <= max) {
    return text;
  }
  // A cut through a surrogate pair leaves one half, which is removed.
  const cut = text.slice(0, max - 1);
  return `${cut.isWellFormed() ? cut : cut.slice(0, -1)}…`;
}
