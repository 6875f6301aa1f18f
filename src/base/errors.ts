/** Options shared by every typed error. `details` is shown to the caller, so it must never contain internals. */
interface FacteurErrorOptions {
  readonly retryable: boolean;
  readonly details?: string;
  readonly cause?: unknown;
}

/**
 * The base class of all errors that facteur raises itself.
 *
 * `code` is stable and dotted (`argo.conflict`), `message` is one line that may be shown to an operator, `details`
 * may be shown to the sender of the request, and `retryable` says whether a retry can succeed.
 */
export class FacteurError extends Error {
  readonly code: string;
  readonly retryable: boolean;
  readonly details: string | undefined;

  constructor(code: string, message: string, options: FacteurErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable;
    this.details = options.details;
  }
}

/** One line for a log or a terminal from any thrown value: never a stack, never empty. */
export function errorMessage(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') {
    return error.errors.map(errorMessage).join('; ');
  }
  if (error instanceof Error) {
    return error.message === '' ? error.name : error.message;
  }
  try {
    return String(error);
  } catch {
    // For example, an object without a prototype.
    return 'an unprintable value';
  }
}

const FILE_PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
};

/** Why a file cannot be read, in plain words for common error codes. */
export function fileProblem(error: unknown, other = errorMessage(error)): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return FILE_PROBLEMS[code] ?? other;
}

/** Why a `fetch` failed: its own message gives no reason. */
export function fetchProblem(error: unknown): string {
  const message = errorMessage(error instanceof Error && error.cause instanceof Error ? error.cause : error);
  // The Fetch standard blocks some ports, but its error does not say so.
  return message === 'bad port' ? 'HTTP clients block this port' : message;
}
