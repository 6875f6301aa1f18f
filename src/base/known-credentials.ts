const HIDDEN = '***';
/** Credentials that say by their form what they are: of GitHub, GitLab, Slack, AWS, Google, OpenAI and its kind, Discord, and JWTs. */
const KNOWN: readonly RegExp[] = [
  /\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|xapp-|sk-|rk_live_|sk_live_|npm_|hf_)[\w-]{10,}/g,
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
  /\bAIza[\w-]{30,}/g,
  /\beyJ[\w-]{8,}(?:\.[\w-]*)*/g,
  /\b[MNO][\w-]{23,39}\.[\w-]{6}\.[\w-]{25,}/g,
  /\baW50ZXJhY3Rpb246[\w+/=.-]*/g,
];

/** A text without credentials that say by their form what they are. */
export function hideKnown(text: string): string {
  return KNOWN.reduce((rest, pattern) => rest.replaceAll(pattern, HIDDEN), text);
}
