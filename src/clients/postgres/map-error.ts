import { errorMessage } from '../../base/errors.ts';
import { DatabaseError, type DatabaseErrorCode } from './database.ts';

/** An error that the server sent, as opposed to one of the connection. */
interface ServerError extends Error {
  readonly severity: string;
  readonly code?: string;
  readonly constraint?: string;
  readonly routine?: string;
}

/** By shape: the embedded engine brings a class of its own for the same message. */
function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && 'severity' in error && typeof error.severity === 'string';
}

/** SQLSTATE classes (two characters) and single states that mean "not now": the same statement can work later. */
const UNAVAILABLE = new Set([
  '08', // connection exceptions
  '53', // no memory, no disk, too many connections
  '57', // stopping, starting, cancelled by a timeout
  '25006', // a server that became a read-only standby
  '25P03', // idle in a transaction for too long
  '55P03', // a lock that was not free in time
  '26000', // a pooler that lost our prepared statements: made again on the next connection
]);

/** Class 22 is "this value does not fit its type"; 54000 is what a text too long for an index gives. */
const INVALID = new Set(['22', '54000']);

/** After these the connection works, but goes on failing: a new one does not. */
const STUCK_CONNECTION = new Set(['25006', '26000']);

/** A table changed while its statement was prepared: only a new connection, which prepares again, gets over it. */
function isStalePlan(error: ServerError): boolean {
  return error.routine === 'RevalidateCachedQuery';
}

/** Whether a connection must be thrown away after this failure of a statement on it. */
export function losesConnection(error: unknown): boolean {
  if (!isServerError(error)) {
    return true;
  }
  return error.severity !== 'ERROR' || STUCK_CONNECTION.has(error.code ?? '') || isStalePlan(error);
}

/**
 * What a failed statement means. `statement` is its name, for the message. The server's own text is kept except where
 * it quotes values (class 22), and its error object is never the cause, because `detail` and `where` quote rows.
 */
export function statementError(error: unknown, statement: string | undefined): DatabaseError {
  const where = statement === undefined ? '' : ` in ${statement}`;
  if (isServerError(error)) {
    return serverError(error, where);
  }
  if (error instanceof TypeError || error instanceof RangeError) {
    return new DatabaseError('postgres.failed', `a value${where} cannot be sent: ${error.message}`, {
      retryable: false,
    });
  }
  return connectionError(error);
}

/** Every failure to get a connection, also a refused password: nothing about the request is at fault. */
export function connectionError(error: unknown): DatabaseError {
  const sqlState = isServerError(error) ? error.code : undefined;
  return new DatabaseError('postgres.unavailable', `postgres is not available: ${errorMessage(error)}`, {
    retryable: true,
    sqlState,
    cause: isServerError(error) ? undefined : error,
  });
}

function serverError(error: ServerError, where: string): DatabaseError {
  const state = error.code ?? 'XX000';
  const [code, retryable] = isStalePlan(error) ? (['postgres.unavailable', true] as const) : classify(state);
  const text = code === 'postgres.invalid' ? 'postgres cannot hold a value' : `postgres: ${error.message}`;
  const hint = state === '42P01' ? '; has "facteur migrate" been run?' : '';
  return new DatabaseError(code, `${text}${where} (${state})${hint}`, {
    retryable,
    sqlState: state,
    constraint: error.constraint,
  });
}

function classify(state: string): [DatabaseErrorCode, boolean] {
  const matches = (states: Set<string>): boolean => states.has(state) || states.has(state.slice(0, 2));
  if (matches(UNAVAILABLE)) {
    return ['postgres.unavailable', true];
  }
  if (state === '23505') {
    return ['postgres.conflict', false];
  }
  // 40001 and 40P01: two transactions met, and this one lost.
  if (state.startsWith('40')) {
    return ['postgres.conflict', true];
  }
  return [matches(INVALID) ? 'postgres.invalid' : 'postgres.failed', false];
}
