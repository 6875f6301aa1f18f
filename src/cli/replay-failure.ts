import { errorMessage, FacteurError } from '../base/errors.ts';
import type { RefusalKind } from '../domain/refusal.ts';

const CORRECT_IT = 'ask the sender for a corrected request, and drop this one';

/** Advice by the reason for which a replay was refused. */
const HELP: Partial<Readonly<Record<RefusalKind, string>>> = {
  forbidden: 'give the sender a role that may run the command (facteur explain COMMAND lists them), then replay it',
  unknown_command: 'define the command in the configuration, then replay it',
  invalid_option: `${CORRECT_IT}; or change the command's definition, then replay it`,
  template_tag: CORRECT_IT,
  unprintable: CORRECT_IT,
  too_large: CORRECT_IT,
  body_too_large: 'the rest was never read: ask the sender to send less, and drop this one',
  invalid_payload: CORRECT_IT,
  empty_payload: CORRECT_IT,
  missing_command: CORRECT_IT,
  missing_delivery_id: CORRECT_IT,
  unsupported_stage: 'facteur runs only tasks of the stage implementation: drop it',
};

/** Codes of the ledger and of a server for a letter that is no longer in the list, or never was. */
const GONE: ReadonlySet<string> = new Set([
  'dead_letter.settled',
  'dead_letter.unknown',
  'api.dead_letter_settled',
  'api.dead_letter_not_found',
]);

/** Why a replayed dead letter stays in the list, and what to do about it. */
export function replayFailure(letterId: string, error: unknown): FacteurError {
  const { code = '', details, retryable } = error instanceof FacteurError ? error : { retryable: false };
  if (GONE.has(code)) {
    return error as FacteurError;
  }
  const reason = [errorMessage(error), ...(details === undefined ? [] : [details])].join(': ');
  // A server names the refusal in its problem's code.
  const kind = code.replace(/^(?:refusal|api)\./, '');
  const known = Object.hasOwn(HELP, kind) ? HELP[kind as RefusalKind] : undefined;
  const help = known ?? (retryable ? 'replay it again later' : '');
  const message = [`dead letter ${letterId} stays in the list: ${reason}`, ...(help === '' ? [] : [help])].join('; ');
  return new FacteurError(code === '' ? 'dead_letter.stays' : code, message, { retryable, cause: error });
}
