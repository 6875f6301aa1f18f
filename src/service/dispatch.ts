import type { Config } from '../config/config.ts';
import { DispatchEvents } from '../dispatch/dispatch-events.ts';
import { createDispatch, type Dispatch, type DispatchDeps } from '../dispatch/dispatch.ts';
import type { AppContext } from './context.ts';

/** The use case behind every door. Without a submitter, other processes submit. */
export function dispatchFor(
  config: Pick<Config, 'dispatcherDisabled' | 'argo' | 'codex' | 'server'>,
  context: AppContext,
  parts: Pick<DispatchDeps, 'db' | 'submitter' | 'sessions' | 'wakes' | 'rules'> &
    Partial<Pick<DispatchDeps, 'events' | 'followUps'>>,
): Dispatch {
  return createDispatch({
    events: new DispatchEvents(parts.rules, context.logger),
    ...parts,
    disabled: config.dispatcherDisabled,
    clock: context.clock,
    timer: context.timer,
    logger: context.logger,
    newId: context.newId,
    argo: config.argo,
    codex: config.codex,
    reports: config.server.publicUrl !== undefined,
  });
}
