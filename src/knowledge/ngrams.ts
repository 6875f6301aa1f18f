import { EMBEDDING_WIDTH } from '../domain/embedding.ts';

/**
 * The version of what {@link embedNgrams} makes. A different algorithm needs a different name, because its vectors could not be
 * compared.
 */
export const NGRAMS_VERSION = 'facteur-ngrams-1';

const WORD_WEIGHT = 1;
const GRAM_WEIGHT = 0.5;
const GRAM_LENGTHS = [3, 4, 5];

/**
 * An embedding without a model: words, and the parts of `<word>` with 3 to 5 letters, counted in 1,536 buckets that are chosen by
 * hash. It matches texts that share words or forms of words, and knows nothing about meaning. All zero for a text without words.
 */
export function embedNgrams(text: string): number[] {
  const buckets = Array.from({ length: EMBEDDING_WIDTH }, () => 0);
  const add = (feature: string, weight: number): void => {
    const hash = hashOf(feature);
    const at = hash % EMBEDDING_WIDTH;
    // The sign comes from a bit that did not choose the bucket; opposite signs let collisions cancel out.
    buckets[at] = (buckets[at] ?? 0) + (hash >>> 31 === 0 ? weight : -weight);
  };
  for (const [word] of text.toLowerCase().matchAll(/[\p{L}\p{N}_]+/gu)) {
    add(word, WORD_WEIGHT);
    const marked = `<${word}>`;
    for (const length of GRAM_LENGTHS) {
      for (let start = 0; start + length <= marked.length; start += 1) {
        add(marked.slice(start, start + length), GRAM_WEIGHT);
      }
    }
  }
  return buckets;
}

/** FNV-1a over UTF-16 units, with a final mix, because its high bits alone are poor for short texts. */
function hashOf(text: string): number {
  let hash = 0x81_1c_9d_c5;
  for (let index = 0; index < text.length; index += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01_00_01_93);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85_eb_ca_6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2_b2_ae_35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
