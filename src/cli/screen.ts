import { charactersOf, widthOf } from '../base/text-columns.ts';
import type { CliIo } from './io.ts';

/** The output for text that people read. */
export interface Screen {
  /** Width in columns; undefined if lines may have any length, as in a file. */
  readonly width: number | undefined;
  readonly colour: boolean;
}

export type Colour = 'red' | 'green' | 'yellow' | 'blue' | 'grey' | 'bold';

const CODES: Readonly<Record<Colour, readonly [number, number]>> = {
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  grey: [90, 39],
  bold: [1, 22],
};

/** Only terminals get colors, unless `NO_COLOR` or `FORCE_COLOR` is set (https://no-color.org, https://force-color.org). */
export function screenOf({ stdout, env }: Pick<CliIo, 'stdout' | 'env'>): Screen {
  // A terminal whose size was never set, as in some containers, reports 0.
  const { isTTY, columns = 0 } = stdout;
  return { width: isTTY && columns > 0 ? columns : undefined, colour: isColoured(isTTY, env) };
}

function isColoured(isTTY: boolean, env: CliIo['env']): boolean {
  const { FORCE_COLOR: forced = '', NO_COLOR: unwanted = '', TERM: terminal } = env;
  if (forced !== '') {
    return forced !== '0' && forced !== 'false';
  }
  return isTTY && unwanted === '' && terminal !== 'dumb';
}

/** Colors the text, if the screen has colors. */
export function paint(text: string, colour: Colour | undefined, screen: Pick<Screen, 'colour'>): string {
  if (colour === undefined || !screen.colour || text === '') {
    return text;
  }
  const [on, off] = CODES[colour];
  return `\u001b[${on}m${text}\u001b[${off}m`;
}

/** The text cut to this many columns, with `…` for what is left out. */
export function fitted(text: string, columns: number): string {
  if (text.length <= columns && /^[ -~]*$/.test(text)) {
    return text;
  }
  const characters = charactersOf(text);
  if (characters.reduce((sum, character) => sum + widthOf(character), 0) <= columns) {
    return text;
  }
  let room = columns - 1;
  const kept = characters.slice(
    0,
    characters.findIndex((character) => (room -= widthOf(character)) < 0),
  );
  return `${kept.join('').trimEnd()}…`;
}
