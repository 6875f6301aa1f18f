import { Option, type Command } from 'commander';
import { Document, visit } from 'yaml';
import { UsageError } from './program.ts';

/** How a command prints what it found. */
export interface OutputOptions {
  readonly output?: 'wide' | 'json' | 'yaml' | 'name';
  /** `true`, or the wanted fields. */
  readonly json?: boolean | readonly string[];
}

/** What is printed. */
interface Shape<Row> {
  /** For `-o name`. */
  readonly name: (row: Row) => string;
  readonly text: (rows: readonly Row[], wide: boolean) => string;
}

/** `-o` and `--json` of a command that prints a list, whose rows have these fields. */
export function withListOutput(command: Command, fields: readonly string[]): Command {
  return command
    .addOption(
      new Option('-o, --output <format>', 'all columns, or a format for programs').choices([
        'wide',
        'json',
        'yaml',
        'name',
      ]),
    )
    .option('--json [fields]', 'one JSON object per line, with all fields or only these, separated by commas', (text) =>
      chosenFields(text, fields),
    );
}

/** `-o` and `--json` of a command that prints one object, or the result for each target; not every object has a name. */
export function withOutput(
  command: Command,
  formats: readonly string[] = ['json', 'yaml', 'name'],
  about = 'a format for programs',
): Command {
  return command
    .addOption(new Option('-o, --output <format>', about).choices(formats))
    .option('--json', 'short for -o json');
}

/** How a list is printed: for people, or one JSON object per line, a YAML list, or names. */
export function listOutput<Row>(rows: readonly Row[], options: OutputOptions, shape: Shape<Row>): string {
  const format = formatOf(options);
  if (format === 'text' || format === 'wide') {
    return shape.text(rows, format === 'wide');
  }
  if (format === 'name') {
    return rows.map((row) => `${shape.name(row)}\n`).join('');
  }
  const { json } = options;
  const chosen = typeof json === 'object' ? rows.map((row) => selected(row, json)) : rows;
  return format === 'yaml' ? yamlText(chosen) : chosen.map((row) => `${jsonText(row)}\n`).join('');
}

/** Prints one object. */
export function oneOutput<Row>(
  row: Row,
  options: OutputOptions,
  shape: Omit<Shape<Row>, 'text'> & { readonly text: () => string },
): string {
  switch (formatOf(options)) {
    case 'json':
      return `${jsonText(row)}\n`;
    case 'yaml':
      return yamlText(row);
    case 'name':
      return `${shape.name(row)}\n`;
    default:
      return shape.text();
  }
}

/** Prints one of several results before the others are known. */
export function itemOutput<Row>(
  row: Row,
  options: OutputOptions,
  shape: Omit<Shape<Row>, 'text'> & { readonly text: () => string },
): string {
  const text = oneOutput(row, options, shape);
  return formatOf(options) === 'yaml' ? `---\n${text}` : text;
}

/** The format that the options select. `--json FIELDS` chooses the fields of YAML, too. */
export function formatOf({ output, json = false }: OutputOptions): 'text' | 'wide' | 'json' | 'yaml' | 'name' {
  return json === false || output === 'yaml' ? (output ?? 'text') : 'json';
}

/** Whether the output is for a person: programs get the result without explanations. */
export function isForPeople(options: OutputOptions): boolean {
  return ['text', 'wide'].includes(formatOf(options));
}

/** Characters that JSON allows in a string but that affect a terminal, so they are escaped. YAML does not allow the last two. */
const INVISIBLE = /[\p{Cf}\p{Zl}\p{Zp}\u007f-\u009f\ufffe\uffff]/gu;

function jsonText(value: unknown): string {
  return JSON.stringify(value).replaceAll(INVISIBLE, jsonEscape);
}

/** Converts through JSON, so both formats have the same values, even for a YAML 1.1 reader, which reads a plain `no` as false. */
function yamlText(value: unknown): string {
  const document = new Document(JSON.parse(JSON.stringify(value)), { compat: 'yaml-1.1' });
  visit(document, {
    Scalar: (_key, node) => {
      if (typeof node.value === 'string' && node.value.search(INVISIBLE) >= 0) {
        node.type = 'QUOTE_DOUBLE';
      }
    },
  });
  return document.toString().replaceAll(INVISIBLE, yamlEscape);
}

/** `\u200b`; two such escapes for a character beyond 16 bits. */
function jsonEscape(character: string): string {
  return Array.from({ length: character.length }, (_, at) => `\\u${hex(character.charCodeAt(at), 4)}`).join('');
}

/** As in JSON, but with one escape per character: most YAML readers reject surrogates. */
function yamlEscape(character: string): string {
  return character.length === 1 ? jsonEscape(character) : `\\U${hex(character.codePointAt(0) ?? 0, 8)}`;
}

function hex(number: number, digits: number): string {
  return number.toString(16).padStart(digits, '0');
}

function selected<Row>(row: Row, fields: readonly string[]): Partial<Row> {
  return Object.fromEntries(fields.map((name) => [name, row[name as keyof Row]])) as Partial<Row>;
}

/** The fields that `--json` names. @throws UsageError for an unknown one */
function chosenFields(text: string, fields: readonly string[]): readonly string[] {
  return text.split(',').map((word) => {
    const field = fields.find((known) => known === word.trim());
    if (field === undefined) {
      throw new UsageError(`--json: unknown field ${JSON.stringify(word.trim())}; expected ${fields.join(', ')}`);
    }
    return field;
  });
}
