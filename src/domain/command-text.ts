/** At most this much of a text is read, in UTF-16 units: the description is its first sentence. */
const MAX_SCANNED = 4000;

/** Links and images keep only their text. Line marks of headings, quotes and lists, HTML tags and emphasis are removed. */
const LINK = /!?\[([^[\]]{0,200})\]\([^()\s]{0,500}\)/g;
const LINE_MARK = /^[ \t]{0,8}(?:#{1,6}|>|[-*+]|\d{1,3}[.)])[ \t]+/gm;
const FENCE = /^[ \t]{0,3}(?:`{3}|~{3}).{0,80}$/gm;
const TAG = /<\/?[A-Za-z][^<>]{0,200}>/g;
const EMPHASIS = /[*`]|~~|(?<!\w)_{1,2}|_{1,2}(?!\w)/g;
const UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\s]+/gu;
/** Not after an abbreviation: the next sentence must begin with a capital letter. */
const SENTENCE_END = /[.!?](?= \p{Lu}| ?$)/u;

/**
 * The first sentence of a Markdown text as Discord can show it: plain, on one line, at most `max` characters, cut at a
 * word. Empty if nothing is left.
 */
export function commandText(markdown: string, max: number): string {
  const plain = markdown
    .slice(0, MAX_SCANNED)
    .toWellFormed()
    .replaceAll('\r\n', '\n')
    .replaceAll(FENCE, '')
    .replaceAll(LINE_MARK, '')
    .replaceAll(LINK, '$1')
    .replaceAll(TAG, '')
    .replaceAll(EMPHASIS, '');
  const paragraph = plain.split(/\n[ \t]{0,8}\n/).find((part) => part.trim() !== '') ?? '';
  return shorten(firstSentence(paragraph.replaceAll(UNSEEN, ' ').trim()), max);
}

/** Without its final period. */
function firstSentence(text: string): string {
  const end = text.search(SENTENCE_END);
  if (end === -1) {
    return text;
  }
  return text[end] === '.' ? text.slice(0, end) : text.slice(0, end + 1);
}

/** At most `max` characters (code points), cut after a word if one ends in the second half. */
export function shorten(text: string, max: number): string {
  const characters = [...text];
  if (characters.length <= max) {
    return text;
  }
  const kept = characters.slice(0, max - 1).join('');
  const word = kept.lastIndexOf(' ');
  return `${(word > kept.length / 2 ? kept.slice(0, word) : kept).trimEnd()}…`;
}
