import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/base/secret.ts';
import type { LastDispatch, Sessions } from '../../src/clients/sessions/sessions.ts';

export const DISPATCH: LastDispatch = {
  namespace: 'argo-workflows',
  workflowName: 'plan-20261121-120000-abc123',
  message: 'queued',
  correlationId: 'correlation-1',
  traceId: 'trace-1',
};

/** The contract of every session store. */
export function sessionsConformance(open: () => Promise<Sessions>): void {
  describe('sessions', () => {
    test('remember the last dispatch of each user', async () => {
      const sessions = await open();
      await sessions.rememberDispatch('1', DISPATCH);
      await sessions.rememberDispatch('2', { ...DISPATCH, correlationId: 'other' });
      await sessions.rememberDispatch('1', { ...DISPATCH, correlationId: 'later “✓”' });
      expect(await sessions.lastDispatch('1')).toEqual({ ...DISPATCH, correlationId: 'later “✓”' });
      expect(await sessions.lastDispatch('2')).toMatchObject({ correlationId: 'other' });
      expect(await sessions.lastDispatch('3')).toBeUndefined();
      await sessions.close();
    });

    test('keep tokens by interaction, as secrets', async () => {
      const sessions = await open();
      await sessions.keepToken('i1', new Secret('aW50ZXJhY3Rpb246'));
      const token = await sessions.tokenOf('i1');
      expect(token).toBeInstanceOf(Secret);
      expect(token?.reveal()).toBe('aW50ZXJhY3Rpb246');
      expect(await sessions.tokenOf('i2')).toBeUndefined();
      expect(sessions.status().ok).toBe(true);
      await sessions.close();
      await sessions.close();
    });
  });
}
