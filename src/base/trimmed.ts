const WHITE_SPACE = /^\p{White_Space}$/u;

/**
 * Text without surrounding white space, as Go's `strings.TrimSpace` defines it: the Go service recorded ids this way. `trim()`
 * differs in two characters (it removes U+FEFF and leaves U+0085).
 */
export function trimmed(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && WHITE_SPACE.test(text.charAt(start))) {
    start += 1;
  }
  while (end > start && WHITE_SPACE.test(text.charAt(end - 1))) {
    end -= 1;
  }
  return text.slice(start, end);
}
