import { columnsOf } from '../../src/base/text-columns.ts';
import { buttonRows, type ShownButton } from './buttons.ts';
import { readMarkup, type Look, type MarkupLine, type Reader } from './markup.ts';

/** A message, and the line that Discord shows above it. */
interface FramedMessage {
  readonly content: string;
  readonly components: readonly unknown[];
  /** What it answers, such as `Ada used /plan`; empty if it is not an answer. */
  readonly answers: string;
  /** Seen by one person only. */
  readonly ephemeral: boolean;
}

interface FrameOptions extends Reader {
  readonly colour: boolean;
}

/** Fits any terminal with the tour's indentation. */
const WIDTH = 78;
const INDENT = '  ';
const EDGE = '│ ';

/** A message as Discord shows it, as lines for a terminal of 80 columns. */
export function frameMessage(message: FramedMessage, options: FrameOptions): string {
  const { colour } = options;
  const lines = [
    ...readMarkup(message.content, options).flatMap((line) => wrapped(line, colour)),
    ...(message.ephemeral ? [paint('Only you can see this', '2', colour)] : []),
    ...buttonRows(message.components).flatMap((row) => buttonLines(row, colour)),
  ];
  const above = message.answers === '' ? '' : `${message.answers} · `;
  const title = `${above}${paint('facteur', '1', colour)} ${paint(' APP ', '97;44', colour)} `;
  const rest = WIDTH - INDENT.length - '╭─ '.length - columnsOf(plain(title));
  return [
    `╭─ ${title}${'─'.repeat(Math.max(0, rest))}`,
    ...lines.map((line) => `${EDGE}${line}`.trimEnd()),
    `╰${'─'.repeat(WIDTH - INDENT.length - 1)}`,
  ]
    .map((line) => `${INDENT}${line}`)
    .join('\n');
}

/** Lines of a changed message, without its frame. */
export function changedLines(content: string, options: FrameOptions): string {
  return readMarkup(content, options)
    .flatMap((line) => wrapped(line, options.colour))
    .map((line) => `${INDENT}┊ ${line}`)
    .join('\n');
}

const LOOKS: Readonly<Record<Look, string>> = {
  plain: '',
  bold: '1',
  code: '36',
  link: '4;34',
  mention: '34',
};

/** Wraps a line. A word that does not fit on a line is split. */
function wrapped({ kind, spans }: MarkupLine, colour: boolean): readonly string[] {
  const room = WIDTH - INDENT.length - EDGE.length;
  const lines: string[] = [];
  let line = '';
  let used = 0;
  const pieces = spans.flatMap(({ text, look }) => piecesOf(text, room).map((piece) => ({ piece, look })));
  for (const { piece, look } of pieces) {
    const columns = columnsOf(piece);
    if (used + columns > room && used > 0) {
      lines.push(line);
      line = '';
      used = 0;
    }
    const shown = used === 0 && kind !== 'block' ? piece.trimStart() : piece;
    line += paint(shown, kind === 'small' && look === 'plain' ? '2' : LOOKS[look], colour);
    used += columnsOf(shown);
  }
  return [...lines, line];
}

/** Words, each with the spaces before it. */
function piecesOf(text: string, room: number): readonly string[] {
  return (text.match(/ *[^ ]+| +$/g) ?? []).flatMap((word) =>
    columnsOf(word) <= room ? [word] : (word.match(new RegExp(`.{1,${Math.floor(room / 2)}}`, 'gsu')) ?? []),
  );
}

const BUTTON_COLOURS: Readonly<Record<ShownButton['style'], string>> = {
  blue: '97;44',
  grey: '97;100',
  green: '97;42',
  red: '97;41',
  link: '97;100',
};

function buttonLines(row: readonly ShownButton[], colour: boolean): readonly string[] {
  const room = WIDTH - INDENT.length - EDGE.length;
  const lines: string[] = [];
  for (const button of row) {
    const shown = buttonText(button, colour);
    const last = lines.at(-1);
    if (last !== undefined && columnsOf(plain(`${last}  ${shown}`)) <= room) {
      lines[lines.length - 1] = `${last}  ${shown}`;
    } else {
      lines.push(shown);
    }
  }
  return lines;
}

function buttonText({ label, style, disabled }: ShownButton, colour: boolean): string {
  const text = style === 'link' ? `${label} ↗` : label;
  if (disabled) {
    return paint(`( ${text} )`, '2', colour);
  }
  return colour ? paint(` ${text} `, BUTTON_COLOURS[style], true) : `[ ${text} ]`;
}

function paint(text: string, code: string, colour: boolean): string {
  return colour && code !== '' && text !== '' ? `\u001b[${code}m${text}\u001b[0m` : text;
}

function plain(text: string): string {
  return text.replaceAll(/\u001b\[[\d;]*m/g, '');
}
