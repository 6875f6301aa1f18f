/**
 * The most values that a message may hold, in all lists, objects and nested messages together: far more than any has. As
 * many take some 10 ms of the event loop; five times as many took 70.
 */
export const MAX_VALUES = 10_000;

/** Bytes that cannot hold more values than that are not worth a look. */
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

/** Where the text ends that begins here: at a quote without a backslash of its own before it. */
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
