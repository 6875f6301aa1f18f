/** A process that only follows: `node follow-process.ts HOLDER LEASE_MS DSN CLUSTER_URL NAMESPACE`. Ends on SIGTERM. */
import { createLogger } from '../../src/base/logger.ts';
import { createArgoClient } from '../../src/clients/argo/client.ts';
import { Follower } from '../../src/follow/follower.ts';
import { openTestPostgres } from './database.ts';

const [holder = '', leaseMs = '', dsn = '', clusterUrl = '', namespace = ''] = process.argv.slice(2);
const db = openTestPostgres(dsn);
const connection = { server: clusterUrl, headers: {}, tls: {} };
const workflows = createArgoClient({
  source: 'test',
  namespace: undefined,
  connection: async () => connection,
});
const follower = new Follower({
  labelOf: (command) => command,
  db,
  workflows,
  logger: createLogger('info', process.stdout),
  random: Math.random,
  namespaces: [namespace],
  holder,
  timings: { leaseMs: Number(leaseMs), settledMs: 500, auditMs: 1000 },
});
follower.start();
process.once('SIGTERM', () => {
  void follower
    .stop()
    .then(() => workflows.close())
    .then(() => db.close());
});
