import { errorMessage } from '../../base/errors.ts';
import { DatabaseError, type DatabaseErrorCode } from './database.ts';

/** An error that the server sent, as opposed to one of the connection. */
interface ServerError extends Error {
  readonly severity: string;
  readonly code?: string;
  readonly constraint?: string;
  readonly routine?: string;
}

/** Checks the shape, because the embedded engine has a class of its own for the same message. */
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
  '25P04', // a transaction that took too long
  '55P03', // a lock that was not available in time
  '26000', // a pooler that lost our prepared statements: the next connection prepares them again
]);

/** Errors of the server, the schema or the role. The values are not at fault, so their sender must not be refused. */
const BROKEN = new Set([
  '28', // a role that may not be taken
  '3D', // no such database
  '3F', // no such schema
  '42', // no such table or column, no permission, a statement name that a pooler gave to two clients
  '55', // an object that is not in the required state
  '58', // the operating system: a file that cannot be read
  'F0', // a broken configuration file
  'XX', // an internal error, or damaged data
]);

/** Primary keys from sequences. Logical replication, or a restore of the data alone, leaves a sequence behind its table's rows. */
const SEQUENCED = new Set(['run_events_pkey', 'dead_letters_pkey', 'refusals_pkey']);

/** Class 22 is "this value does not fit its type"; 54000 is what a text too long for an index gives. */
const INVALID = new Set(['22', '54000']);

/** After these errors the connection stays open but keeps failing; a new one works. */
const STUCK_CONNECTION = new Set(['25006', '26000', '42P05']);

/** A table changed after a statement was prepared: only a new connection, which prepares it again, helps. */
function isStalePlan(error: ServerError): boolean {
  return error.routine === 'RevalidateCachedQuery';
}

/** Only VACUUM lets transactions begin again. The SQLSTATE is that of a value that is too long (54000). */
function isOutOfTransactionIds({ routine }: ServerError): boolean {
  return routine === 'GetNewTransactionId' || routine === 'GetNewMultiXactId';
}

/** Whether a connection must be thrown away after this failure of a statement on it. */
export function losesConnection(error: unknown): boolean {
  if (!isServerError(error)) {
    return true;
  }
  return error.severity !== 'ERROR' || STUCK_CONNECTION.has(error.code ?? '') || isStalePlan(error);
}

/**
 * The typed error for a failed statement. `statement` is its name, for the message. The server's own text is kept except where it
 * quotes values (class 22), and its error object is never the cause, because `detail` and `where` quote rows.
 */
export function statementError(error: unknown, statement: string | undefined): DatabaseError {
  const where = statement === undefined ? '' : ` in ${statement}`;
  if (isServerError(error)) {
    return serverError(error, where);
  }
  if (error instanceof TypeError || error instanceof RangeError) {
    return new DatabaseError('postgres.failed', `cannot send a value${where}: ${error.message}`, {
      retryable: false,
    });
  }
  return connectionError(error);
}

/** The typed error for any connection failure, even a rejected password: the request is not at fault. */
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
  const [code, retryable] = classify(error, state);
  const text = code === 'postgres.invalid' ? 'postgres cannot store a value' : `postgres: ${error.message}`;
  return new DatabaseError(code, `${text}${where} (${state})${hintOf(error)}`, {
    retryable,
    sqlState: state,
    constraint: error.constraint,
  });
}

function isBehindSequence({ code, constraint = '' }: ServerError): boolean {
  return code === '23505' && SEQUENCED.has(constraint);
}

function hintOf(error: ServerError): string {
  if (isBehindSequence(error)) {
    return '; the sequence of the table is behind its rows: set it with setval';
  }
  return error.code === '42P01' ? '; has "facteur migrate" been run?' : '';
}

function classify(error: ServerError, state: string): [DatabaseErrorCode, boolean] {
  if (isStalePlan(error) || isOutOfTransactionIds(error)) {
    return ['postgres.unavailable', true];
  }
  if (isBehindSequence(error)) {
    return ['postgres.broken', true];
  }
  return classOf(state);
}

function classOf(state: string): [DatabaseErrorCode, boolean] {
  const matches = (states: Set<string>): boolean => states.has(state) || states.has(state.slice(0, 2));
  if (matches(UNAVAILABLE)) {
    return ['postgres.unavailable', true];
  }
  if (state === '23505') {
    return ['postgres.conflict', false];
  }
  // 40001 and 40P01: two transactions conflicted, and this one lost.
  if (state.startsWith('40')) {
    return ['postgres.conflict', true];
  }
  if (matches(BROKEN)) {
    return ['postgres.broken', true];
  }
  return [matches(INVALID) ? 'postgres.invalid' : 'postgres.failed', false];
}
