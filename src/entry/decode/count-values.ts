/**
 * Maximum number of values in a message, counting all lists, objects and nested messages: far more than any has. This many take
 * about 10 ms of the event loop; five times as many took 70.
 */
export const MAX_VALUES = 10_000;

/** Fewer bytes cannot contain more values than that, so they are not checked. */
const SMALL_BYTES = MAX_VALUES;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const BRACKET = 0x5b;
const BRACE = 0x7b;

/**
 * Whether JSON has more values than a message may contain. A small value takes two bytes in JSON and thirty times as
 * many in memory, so this is checked before parsing. The result for invalid JSON is arbitrary.
 */
export function hasTooManyValues(json: Uint8Array): boolean {
  if (json.length <= SMALL_BYTES) {
    return false;
  }
  let values = 0;
  for (let place = 0; place < json.length && values <= MAX_VALUES; place += 1) {
    const byte = json[place];
    if (byte === QUOTE) {
      place = endOfText(json, place + 1);
    } else if (byte === COMMA || byte === BRACKET || byte === BRACE) {
      values += 1;
    }
  }
  return values > MAX_VALUES;
}

/** The end of the text that starts here: a quote that is not escaped. */
function endOfText(json: Uint8Array, start: number): number {
  for (let place = start; ; place += 1) {
    place = json.indexOf(QUOTE, place);
    if (place === -1) {
      return json.length;
    }
    let before = place;
    while (before > start && json[before - 1] === BACKSLASH) {
      before -= 1;
    }
    if ((place - before) % 2 === 0) {
      return place;
    }
  }
}
