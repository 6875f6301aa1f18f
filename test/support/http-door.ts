import { builtinCommands } from '../../src/domain/builtin-commands.ts';
import { createLogger, silentLogger } from '../../src/base/logger.ts';
import type { CodexDelivery } from '../../src/domain/codex-delivery.ts';
import type { Command } from '../../src/domain/command.ts';
import type { RunReceipt } from '../../src/domain/run.ts';
import { DispatchEvents } from '../../src/dispatch/dispatch-events.ts';
import type { AcceptOptions, Dispatch } from '../../src/dispatch/dispatch.ts';
import type { HttpDeps, RefusedLetter } from '../../src/entry/http/deps.ts';
import { Admission } from '../../src/entry/http/admission.ts';
import { createHttpServer } from '../../src/entry/http/server.ts';
import { DOORS } from '../../src/config/listeners.ts';

/** The default receipt of a run. */
export const RECEIPT: RunReceipt = {
  runId: '0190f3a2-0000-7000-8000-000000000001',
  deliveryId: 'delivery-1',
  namespace: 'argo-workflows',
  workflowName: 'plan-20260203-040506-abc123',
  correlationId: 'corr-1',
  acceptedAt: new Date('2026-02-03T04:05:06.789Z'),
  state: 'submitted',
  reason: '',
  recordedId: null,
  takenOver: false,
  duplicate: false,
};

/** Replaces the ledger and the cluster behind the door: records requests, and returns scripted answers. */
export class ScriptedDispatch implements Pick<Dispatch, 'command' | 'codexTask'> {
  readonly commands: Command[] = [];
  readonly deliveries: CodexDelivery[] = [];
  readonly options: AcceptOptions[] = [];
  answer: () => Promise<RunReceipt> = async () => RECEIPT;

  async command(command: Command, options: AcceptOptions): Promise<RunReceipt> {
    this.commands.push(command);
    this.options.push(options);
    return this.answer();
  }

  async codexTask(delivery: CodexDelivery, options: AcceptOptions): Promise<RunReceipt> {
    this.deliveries.push(delivery);
    this.options.push(options);
    return this.answer();
  }
}

export interface OpenDoor {
  readonly url: string;
  readonly port: number;
  readonly dispatch: ScriptedDispatch;
  /** The parked letters. */
  readonly letters: RefusedLetter[];
  /** Every log line so far. */
  readonly log: string[];
  close(graceMs?: number): Promise<void>;
}

/** A real HTTP server, by default on a free port, with a scripted dispatch behind it. */
export async function openDoor(
  overrides: Partial<HttpDeps> = {},
  at = { host: '127.0.0.1', port: 0 },
): Promise<OpenDoor> {
  const dispatch = new ScriptedDispatch();
  const letters: RefusedLetter[] = [];
  const log: string[] = [];
  let ids = 0;
  const deps: HttpDeps = {
    logger: createLogger('debug', { write: (line) => log.push(line) }),
    clock: { now: () => new Date('2026-02-03T04:05:06Z') },
    newId: () => `fresh-${(ids += 1)}`,
    version: '1.2.3',
    commit: 'abcdef0',
    maxBodyBytes: 64 * 1024,
    admission: new Admission({ bytes: 2 ** 20, requests: 1000 }),
    intakeTokens: [],
    codexEnabled: true,
    gate: { pass: () => undefined },
    dispatch,
    park: async (letter) => void letters.push(letter),
    events: new DispatchEvents(() => ({ commands: builtinCommands(), roleMap: {} }), silentLogger),
    readiness: () => ({ ready: true, checks: { postgres: 'ok' } }),
    ...overrides,
  };
  const server = createHttpServer(deps, [{ ...at, key: 'server.listen_address', doors: DOORS }]);
  const [address] = await server.listen();
  const port = address?.port ?? 0;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    dispatch,
    letters,
    log,
    close: (graceMs = 1_000) => server.close(graceMs),
  };
}
