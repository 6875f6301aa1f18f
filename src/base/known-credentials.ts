import { redactText } from './redact.ts';

const HIDDEN = '***';
/**
 * Credentials with a recognizable format, by the lengths and alphabets of their providers. Hidden text is lost for good, so a name
 * that only starts like a credential must stay, such as `hf_hub_download` or `sk-learn-pipeline`.
 */
const KNOWN: readonly RegExp[] = [
  // GitHub. Tokens of installations may be `ghs_`, a number, and a JWT.
  /\bgh[pousr]_(?:[0-9A-Za-z]{36,}|\d+_eyJ[\w.-]{20,})/g,
  /\bgithub_pat_[0-9A-Za-z]{22}_\w{20,}/g,
  /\bglpat-(?=[a-z_-]{0,19}[0-9A-Z])[\w-]{20,}/g,
  // Slack.
  /\bxox[abceoprs]-\d[\w-]{9,}/g,
  /\bxapp-\d-[0-9A-Z]{8,}-[\w-]{10,}/g,
  // Stripe.
  /\b[rs]k_live_[0-9A-Za-z]{16,}/g,
  // Anthropic, OpenAI, Langfuse, and OpenRouter and others.
  /\bsk-ant-[a-z]{2,8}\d\d-[\w-]{20,}/g,
  /\bsk-[\w-]{16,200}?T3BlbkFJ[\w-]{16,}/g,
  /\bsk-lf-[0-9a-f]{8}-[0-9a-f-]{27}/g,
  /\bsk-(?:or-v\d-)?(?=[A-Za-z]{0,40}\d)[0-9A-Za-z]{20,}/g,
  /\bnpm_[0-9A-Za-z]{36}/g,
  // Hugging Face.
  /\bhf_[0-9A-Za-z]{34,}/g,
  // AWS and Google.
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
  /\bAIza[\w-]{35}/g,
  // A JWT, even if it is cut off. Without a dot it may be any JSON in base64, such as the state of a page in a URL.
  /(?<![\w-])eyJ[\w-]{8,}\.[\w-][\w.-]*/g,
  // Discord: the token of a bot begins with its id in base64, that of an interaction with `interaction:`.
  /\b(?:[MNO][DTjz][AEIMQUYcgk][w-z0-5]){5,6}[\w-]{0,4}\.[\w-]{6}\.[\w-]{25,}/g,
  /\baW50ZXJhY3Rpb246[\w+/=.-]*/g,
];

/** Matches whenever one of {@link KNOWN} could. Most texts need no more than this. */
const MAY_BE_KNOWN =
  /gh[pousr]_|github_pat_|glpat-|xox|xapp-|[rs]k_live_|sk-|npm_|hf_|AKIA|ASIA|AIza|eyJ|[MNO][DTjz][AEIMQUYcgk]|aW50ZXJhY3Rpb246/;

/** Hides everything that looks like a credential, in text that is stored or shown to others. */
export function hideCredentials(text: string): string {
  return hideKnown(redactText(text));
}

/** A text without credentials that have a form of their own. */
export function hideKnown(text: string): string {
  return MAY_BE_KNOWN.test(text) ? KNOWN.reduce((rest, pattern) => rest.replaceAll(pattern, HIDDEN), text) : text;
}
