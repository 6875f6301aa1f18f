import { MAX_LINE_BYTES, type LogSink } from './logger.ts';

const COLOURS: Readonly<Record<string, string>> = { debug: '2', info: '32', warn: '33', error: '31' };
const OWN_FIELDS = new Set(['level', 'time', 'message']);

/**
 * A sink that turns JSON log lines into readable lines: `12:34:56.789 INFO  message key=value …`. Text from
 * outside is escaped, so it cannot move the cursor or forge a second line.
 *
 * @param colour whether the terminal supports ANSI colors
 */
export function readableLog(sink: LogSink, colour: boolean): LogSink {
  return { write: (line) => sink.write(`${fitted(formatLine(line, colour))}\n`) };
}

/** Cuts a line that escaping made too long. */
function fitted(line: string): string {
  const room = MAX_LINE_BYTES - '…\n'.length * 3;
  const bytes = Buffer.from(line, 'utf8');
  return bytes.length <= room ? line : `${bytes.toString('utf8', 0, room).replace(/\ufffd$/, '')}…`;
}

function formatLine(line: string, colour: boolean): string {
  const record = JSON.parse(line) as Record<string, unknown>;
  const level = String(record['level']);
  const label = level.toUpperCase().padEnd(5);
  const parts = [
    String(record['time']).slice(11, 23),
    colour ? `\u001b[${COLOURS[level] ?? '0'}m${label}\u001b[0m` : label,
    printable(String(record['message'])),
  ];
  for (const [name, value] of Object.entries(record)) {
    if (!OWN_FIELDS.has(name)) {
      parts.push(`${printable(name)}=${formatValue(value)}`);
    }
  }
  return parts.join(' ');
}

function formatValue(value: unknown): string {
  if (typeof value === 'string') {
    return value === '' || /[\s"=]/.test(value) ? printable(JSON.stringify(value)) : printable(value);
  }
  return printable(JSON.stringify(value));
}

/** Control characters, line separators and text-direction marks as `\uXXXX`. */
function printable(text: string): string {
  return text.replaceAll(
    /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
