/** Numbers in a stored embedding. Shorter ones are filled with zeros, which leaves their cosines as they are. */
export const EMBEDDING_WIDTH = 1536;
