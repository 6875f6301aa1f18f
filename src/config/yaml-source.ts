import type { Document, ErrorCode, Node } from 'yaml';
import { isNode, LineCounter, parseAllDocuments, parseDocument } from 'yaml';
import type { Fault, Place } from './fault.ts';

/** A parsed text, with a way from each of its nodes back to where it was written. */
export interface YamlSource {
  readonly document: Document;
  readonly root: unknown;
  /** Where a node begins. */
  readonly locate: (node: unknown) => Place;
  /** Where a character of the text is. */
  readonly locateOffset: (offset: number) => Place;
  /** Syntax errors; with any, `root` is unreliable. */
  readonly faults: readonly Fault[];
}

/**
 * The parser's own messages quote the source, which may be a secret with an unlucky first character, so each code has
 * our own text. `DUPLICATE_KEY` never occurs: the reader finds duplicate keys, and knows their full name.
 */
const MEANING: Partial<Record<ErrorCode, string>> = {
  ALIAS_PROPS: 'an alias cannot have a tag or an anchor of its own',
  BAD_ALIAS: 'an alias refers to an unknown anchor; quote text that begins with * or &',
  BAD_DQ_ESCAPE: 'unknown escape sequence in double-quoted text',
  BAD_INDENT: 'the indentation does not match the lines above, or a bracket is not closed',
  BAD_SCALAR_START: 'text that begins with this character must be quoted',
  BLOCK_AS_IMPLICIT_KEY: 'a second "key:" on the same line; quote text that contains ": "',
  MISSING_CHAR: 'missing closing quote, bracket or comma, or missing colon after a key',
  MULTILINE_IMPLICIT_KEY: 'missing colon after a key',
  MULTIPLE_DOCS: 'the file contains more than one document (---)',
  TAB_AS_INDENT: 'tabs are not allowed as indentation',
  TAG_RESOLVE_FAILED: 'unknown tag; quote text that begins with !',
  UNEXPECTED_TOKEN: 'unexpected token',
};

/** UTF-16, which PowerShell writes, has NULs if it is read as UTF-8: it would parse as something without keys. */
export function encodingFault(text: string, file: string): Fault | undefined {
  return text.includes('\0') ? { file, key: '', message: 'the file is not UTF-8 text; save it as UTF-8' } : undefined;
}

/** Parses YAML (and so JSON). Never throws: errors are returned, without any text of the source. */
export function parseYaml(text: string, file: string): YamlSource {
  const lineCounter = new LineCounter();
  return sourceOf(parseDocument(text, { lineCounter, ...OPTIONS }), lineCounter, file);
}

/** The same for a text with several documents; merge keys (`<<`) are applied. */
export function parseYamlDocuments(text: string, file: string): readonly YamlSource[] {
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter, merge: true, logLevel: 'error', ...OPTIONS });
  return documents.map((document) => sourceOf(document, lineCounter, file));
}

const OPTIONS = { prettyErrors: false, uniqueKeys: false } as const;

function sourceOf(document: Document, lineCounter: LineCounter, file: string): YamlSource {
  const locateOffset = (offset: number): Place => {
    const { line, col } = lineCounter.linePos(offset);
    return { file, line, column: col };
  };
  return {
    document,
    root: document.contents,
    locate: (node) => locateOffset((isNode(node) ? (node as Node).range?.[0] : undefined) ?? 0),
    locateOffset,
    faults: [...document.errors, ...document.warnings].map((error) => ({
      ...locateOffset(error.pos[0]),
      key: '',
      message: `invalid YAML: ${MEANING[error.code] ?? 'the syntax is invalid'}`,
    })),
  };
}
