import { expect, test } from 'vitest';
import type { PooledConnection } from './checkout.ts';
import { PoolDatabase } from './pool-database.ts';

/** An error of the server, which does not break the connection itself. */
const refused = (): Error => Object.assign(new Error('refused'), { severity: 'ERROR', code: '22012' });

test.each([
  ['a transaction', (db: PoolDatabase) => db.transaction((tx) => tx.query({ text: 'SELECT 1 / 0' }))],
  ['a session', (db: PoolDatabase) => db.session((session) => session.query({ text: 'SELECT 1 / 0' }))],
])('does not reuse the connection of %s that cannot be rolled back', async (_what, use) => {
  const released: unknown[] = [];
  const connection = {
    query: async ({ text }: { readonly text: string }) => {
      if (/^ROLLBACK|1 \/ 0/.test(text)) {
        throw refused();
      }
      return { rows: [], rowCount: 0, command: text };
    },
    on: () => undefined,
    off: () => undefined,
    release: (isLost: unknown) => void released.push(isLost),
  } as unknown as PooledConnection;
  const db = new PoolDatabase({
    settings: 'SELECT',
    acquire: async () => connection,
    acquireProbe: async () => connection,
    listen: async () => ({ close: async () => undefined }),
    end: async () => undefined,
  });
  await expect(use(db)).rejects.toMatchObject({ sqlState: '22012' });
  expect(released).toEqual([true]);
});
