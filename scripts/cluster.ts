/**
 * A real Kubernetes API server with a real Argo controller, for the tests that need one.
 *
 *   node scripts/cluster.ts up            starts it, and prints the variable for a shell to eval
 *   node scripts/cluster.ts status
 *   node scripts/cluster.ts down          stops what `up` started
 *   node scripts/cluster.ts run -- CMD…   starts it, runs the command, stops it again; CMD's exit code
 *
 * The programs are built from their Go modules, once. If FACTEUR_TEST_KUBECONFIG names a cluster, that one is used, and only the
 * kubelet replacement is started.
 */
import { join } from 'node:path';
import { cluster, standIn } from './cluster/service.ts';
import { ROOT, runCommandLine } from './services/command-line.ts';

await runCommandLine(
  { name: 'cluster', state: join(ROOT, 'cluster'), services: [cluster, standIn], containers: false },
  process.argv.slice(2),
);
