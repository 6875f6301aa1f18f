/** How Discord shows a piece of text. */
export type Look = 'plain' | 'bold' | 'code' | 'link' | 'mention';

interface Span {
  readonly text: string;
  readonly look: Look;
}

/** One line of a message; `small` is Discord's small print, and `block` a line of a code block. */
export interface MarkupLine {
  readonly kind: 'text' | 'small' | 'block';
  readonly spans: readonly Span[];
}

/** What Discord's own clients know: names by id, and the time. */
export interface Reader {
  readonly nameOf: (id: string) => string;
  readonly now: Date;
}

/** The text of a message as Discord shows it. Supports the part of Discord's markup that facteur uses. */
export function readMarkup(content: string, reader: Reader): readonly MarkupLine[] {
  const lines: MarkupLine[] = [];
  let isBlock = false;
  for (const line of content.split('\n')) {
    if (line.startsWith('```')) {
      isBlock = !isBlock;
    } else if (isBlock) {
      lines.push({ kind: 'block', spans: [{ text: line, look: 'code' }] });
    } else if (line.startsWith('-# ')) {
      lines.push({ kind: 'small', spans: readSpans(line.slice(3), reader) });
    } else {
      lines.push({ kind: 'text', spans: readSpans(line, reader) });
    }
  }
  return lines;
}

const MARKUP =
  /\*\*(?<bold>[^*]+)\*\*|`(?<code>[^`]+)`|\[(?<label>[^\]]+)\]\([^)\s]+\)|<t:(?<moment>\d{1,13}):R>|<@(?<mark>[!&]?)(?<id>\d{1,20})>/g;

function readSpans(line: string, reader: Reader): readonly Span[] {
  const spans: Span[] = [];
  let end = 0;
  for (const match of line.matchAll(MARKUP)) {
    spans.push({ text: line.slice(end, match.index), look: 'plain' }, readSpan(match.groups ?? {}, reader));
    end = match.index + match[0].length;
  }
  spans.push({ text: line.slice(end), look: 'plain' });
  return spans.filter(({ text }) => text !== '');
}

function readSpan(groups: Readonly<Record<string, string | undefined>>, { nameOf, now }: Reader): Span {
  const { bold, code, label, moment, id = '' } = groups;
  if (bold !== undefined) {
    return { text: bold, look: 'bold' };
  }
  if (code !== undefined) {
    return { text: code, look: 'code' };
  }
  if (label !== undefined) {
    return { text: label, look: 'link' };
  }
  return moment === undefined
    ? { text: `@${nameOf(id)}`, look: 'mention' }
    : { text: relativeTime(Number(moment) * 1000 - now.getTime()), look: 'plain' };
}

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
] as const;
const WORDS = new Intl.RelativeTimeFormat('en');

function relativeTime(ms: number): string {
  const [unit, size] = UNITS.find(([, length]) => Math.abs(ms) >= length) ?? UNITS[3];
  return Math.abs(ms) < size ? 'just now' : WORDS.format(Math.round(ms / size), unit);
}
