import { hideKnown } from '../../base/known-credentials.ts';
import { redactText } from '../../base/redact.ts';

const HIDDEN = '***';
/** The patterns take quadratic time, and nobody reads longer lines. */
const MAX_LINE = 1000;
/** Colors, cursor moves and titles of a terminal: https://en.wikipedia.org/wiki/ANSI_escape_code */
const TERMINAL =
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[ -/]*[0-~])|\u009b[0-?]*[ -/]*[@-~]/g;

/** `name=value`, `name: value`, `"name": "value"` where the name suggests a secret. */
const NAMED =
  /((?:token|secret|passw(?:or)?d|passphrase|_pwd|credential|api[-_]?key|a(?:ccess|ccount)[-_]?key|private[-_]?key|authorization|cookie)[\w.-]{0,64}["']?\s*[:=]\s*)(?:(?:basic|bearer|bot)\s+)?("[^"]*"|'[^']*'|[^\s,;&]+)/gi;
/** A header with credentials, to the end of its line: a scheme and its token, or several cookies. */
const HEADER = /(\b(?:proxy-)?(?:authorization|(?:set-)?cookie)\s{0,8}:\s{0,8})(?!["'\s]).+/gi;
/** `--token value`. */
const FLAG =
  /((?<![\w-])--[\w-]{0,40}(?:token|secret|passw(?:or)?d|passphrase|api-?key)\s{1,8})(?!-)("[^"]*"|'[^']*'|\S+)/gi;
/** A line of only base64, as in the middle of a key whose first line was cut off. */
const BARE_KEY = /^\s*[A-Za-z0-9+/]{40,}={0,2}\s*$/;

/**
 * The end of a log in a form that may be shown in a chat: no terminal codes, nothing that looks like a credential. Programs may
 * print anything, so this is an extra safeguard and no guarantee: roles decide who may see logs.
 *
 * @param limits whole lines are dropped from the top until the rest fits
 */
export function lastLines(log: string, limits: { readonly lines: number; readonly chars: number }): string {
  const lines = log.trimEnd().split(/\r?\n/).slice(-limits.lines).map(plainLine);
  let kept = hideKeys(lines.map(hideSecrets));
  while (kept.length > 1 && kept.join('\n').length > limits.chars) {
    kept = kept.slice(1);
  }
  return kept.join('\n');
}

/** A line as a terminal would show it, including one that was overwritten repeatedly, such as a progress bar. */
function plainLine(line: string): string {
  const shown = line.slice(line.lastIndexOf('\r', line.length - 2) + 1);
  // Before the text is cut: the first part of a token is not recognized.
  return hideKnown(shown.slice(0, 2 * MAX_LINE).replaceAll(TERMINAL, '')).slice(0, MAX_LINE);
}

function hideSecrets(line: string): string {
  return [HEADER, FLAG, NAMED].reduce((rest, pattern) => rest.replaceAll(pattern, `$1${HIDDEN}`), redactText(line));
}

function hideKeys(lines: readonly string[]): string[] {
  let inside = false;
  return lines.map((line) => {
    const begins = line.includes('-----BEGIN ');
    const hidden = inside || begins || BARE_KEY.test(line);
    inside = (inside || begins) && !line.includes('-----END ');
    return hidden ? HIDDEN : line;
  });
}
