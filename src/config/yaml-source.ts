import type { Document, ErrorCode, Node } from 'yaml';
import { isNode, LineCounter, parseDocument } from 'yaml';
import type { Fault, Place } from './fault.ts';

/** A parsed text, with a way from each of its nodes back to where it was written. */
export interface YamlSource {
  readonly document: Document;
  readonly root: unknown;
  /** Where a node begins. */
  readonly locate: (node: unknown) => Place;
  /** What is no YAML; then `root` is not to be relied on. */
  readonly faults: readonly Fault[];
}

/**
 * The parser's own messages quote what they stumbled over, which may be a secret with an unlucky first letter, so each
 * code has words of ours. `DUPLICATE_KEY` never comes: the reader finds repeated keys, and knows their full name.
 */
const MEANING: Partial<Record<ErrorCode, string>> = {
  ALIAS_PROPS: 'an alias cannot have a tag or an anchor of its own',
  BAD_ALIAS: 'an alias refers to no anchor; a text that begins with * or & must stand in quotes',
  BAD_DQ_ESCAPE: 'a double-quoted text holds an unknown escape',
  BAD_INDENT: 'the indentation does not fit what stands above, or a bracket is not closed',
  BAD_SCALAR_START: 'a text that begins with this character must stand in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a second "key:" on the same line; a text that holds ": " must stand in quotes',
  MISSING_CHAR: 'a closing quote, bracket or comma, or the colon after a key, is missing',
  MULTILINE_IMPLICIT_KEY: 'the colon after a key is missing',
  MULTIPLE_DOCS: 'there is more than one document (---) in the file',
  TAB_AS_INDENT: 'tabs are not allowed as indentation',
  TAG_RESOLVE_FAILED: 'an unknown tag; a text that begins with ! must stand in quotes',
  UNEXPECTED_TOKEN: 'something stands where it cannot stand',
};

/** Parses YAML (so JSON too). Nothing is thrown: what is wrong comes back as faults, with no text of the source. */
export function parseYaml(text: string, file: string): YamlSource {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: false });
  const placeAt = (offset: number): Place => {
    const { line, col } = lineCounter.linePos(offset);
    return { file, line, column: col };
  };
  return {
    document,
    root: document.contents,
    locate: (node) => placeAt((isNode(node) ? (node as Node).range?.[0] : undefined) ?? 0),
    faults: [...document.errors, ...document.warnings].map((error) => ({
      ...placeAt(error.pos[0]),
      key: '',
      message: `this is not valid YAML: ${MEANING[error.code] ?? 'the syntax is wrong'}`,
    })),
  };
}
