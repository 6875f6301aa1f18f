/** Dimensions of a stored embedding. Shorter ones are padded with zeros, which does not change their cosines. */
export const EMBEDDING_WIDTH = 1536;
