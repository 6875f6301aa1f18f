/**
 * Reads a body as UTF-8 text, up to a limit.
 *
 * @throws the error from `tooLarge` if there are more than `maxBytes`, and any error of the body
 */
export async function readBounded(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  maxBytes: number,
  tooLarge = (): Error => new Error('the response is too large'),
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) {
      throw tooLarge();
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size).toString('utf8');
}
