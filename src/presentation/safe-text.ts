/**
 * Makes text from others safe to show: inside code Discord interprets no markdown, mention or link, and the text can
 * neither end the code nor reorder its surroundings.
 */

/** Looks like a backtick and ends no code. */
const BACKTICK = 'ˋ';
/** Controls, line separators, and marks that turn the direction of what follows; newline is seen to apart. */
const UNSEEN = /(?!\n)[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/** One line as inline code; `–` if nothing is left. */
export function inlineCode(text: string, max: number): string {
  const line = clean(text).replaceAll('\n', ' ').trim();
  return `\`${line === '' ? '–' : shorten(line, max)}\``;
}

const MAX_REQUEST = 160;

/** What was requested, as inline code: the command and what it is about. */
export function requestCode(
  { command, title }: { readonly command: string; readonly title: string },
  max = MAX_REQUEST,
): string {
  return inlineCode(`/${command} ${title}`, max);
}

/** Lines as a code block, or empty if nothing is left. */
export function codeBlock(text: string, limits: { readonly chars: number; readonly lines: number }): string {
  const lines = clean(text).trim().split('\n');
  const kept = lines.slice(0, limits.lines).join('\n');
  const shown = shorten(lines.length > limits.lines ? `${kept}\n…` : kept, limits.chars);
  return shown === '' ? '' : `\`\`\`\n${shown}\n\`\`\``;
}

/**
 * Text that its writer is given back, to send again: only what would end the block is parted, by a space without width.
 * For nobody else's eyes, since all other characters stay.
 */
export function copyBlock(text: string, max: number): string {
  const whole = text.toWellFormed().replaceAll(/``(?=`)/g, '``\u200b');
  return whole.trim() === '' ? '' : `\`\`\`\n${shorten(whole, max)}\n\`\`\``;
}

function clean(text: string): string {
  return text.toWellFormed().replaceAll('\r\n', '\n').replaceAll(UNSEEN, ' ').replaceAll('`', BACKTICK);
}

/** At most this many UTF-16 units, which Discord never counts as more; never half a character. */
function shorten(text: string, max: number): string {
  if (text.length <= max) {
    return text;
  }
  // A cut through a surrogate pair leaves one half, which is removed.
  const cut = text.slice(0, max - 1);
  return `${cut.isWellFormed() ? cut : cut.slice(0, -1)}…`;
}
