import { redactText } from './redact.ts';

const HIDDEN = '***';
/** Credentials that have a form of their own: of GitHub, GitLab, Slack, AWS, Google, OpenAI and its kind, Discord, and JWTs. */
const KNOWN: readonly RegExp[] = [
  /\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|xapp-|sk-|rk_live_|sk_live_|hf_)[\w-]{10,}/g,
  // Unlike a variable such as `npm_config_registry`.
  /\bnpm_[0-9A-Za-z]{10,}/g,
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
  /\bAIza[\w-]{30,}/g,
  /\beyJ[\w-]{8,}(?:\.[\w-]*)*/g,
  /\b[MNO][\w-]{23,39}\.[\w-]{6}\.[\w-]{25,}/g,
  /\baW50ZXJhY3Rpb246[\w+/=.-]*/g,
];

/** A text without anything that looks like a credential, for what is stored or shown to others. */
export function hideCredentials(text: string): string {
  return hideKnown(redactText(text));
}

/** A text without credentials that have a form of their own. */
export function hideKnown(text: string): string {
  return KNOWN.reduce((rest, pattern) => rest.replaceAll(pattern, HIDDEN), text);
}
