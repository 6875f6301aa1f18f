import { WORDS } from './words.ts';

const CELLS = 10;

/** Argo's `done/total` as a bar with its numbers; nothing when it says nothing. */
export function progressBar(progress: string): string {
  const match = /^(\d{1,9})\/(\d{1,9})$/.exec(progress);
  const total = Number(match?.[2]);
  const done = Math.min(Number(match?.[1]), total);
  if (match === null || total === 0) {
    return '';
  }
  // Full only when all is done.
  const filled = done === total ? CELLS : Math.min(CELLS - 1, Math.round((done / total) * CELLS));
  return `${'▰'.repeat(filled)}${'▱'.repeat(CELLS - filled)} ${WORDS.steps(done, total)}`;
}
