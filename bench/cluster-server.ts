/**
 * A simulated cluster in a process of its own, so that it does not share facteur's event loop. Prints its kubeconfig's path. Its
 * workflows never end, or succeed soon if the second argument is `succeed`.
 */
import { writeFile } from 'node:fs/promises';
import { startSimulatedCluster } from '../sandbox/cluster/cluster.ts';

const path = process.argv[2] ?? '';
const cluster = await startSimulatedCluster({
  namespaces: ['argo'],
  templates: [{ namespace: 'argo', name: 'facteur-dispatch' }],
  plan: () => (process.argv[3] === 'succeed' ? { outcome: 'succeed' } : { outcome: 'hang', at: 1 }),
});
await writeFile(path, cluster.kubeconfig());
console.log(path);
