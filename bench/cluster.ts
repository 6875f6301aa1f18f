/**
 * The speed of the simulated cluster and our client, so that their limits are not mistaken for facteur's: `node bench/cluster.ts
 * [WORKFLOWS]`. The cluster runs in this process; read the numbers as a lower bound.
 */
import { createArgoClient } from '../src/clients/argo/client.ts';
import { startSimulatedCluster } from '../sandbox/cluster/cluster.ts';

const NAMESPACE = 'argo-workflows';
const CONCURRENCY = 64;
const total = Number(process.argv[2] ?? 10_000);

const cluster = await startSimulatedCluster({
  templates: [{ namespace: NAMESPACE, name: 'plan' }],
  defaults: { outcome: 'hang', at: 3, pendingMs: 500, startMs: 500, stepMs: 500 },
});
const connection = { server: cluster.url, headers: {}, tls: {} };
const client = createArgoClient({ source: 'bench', namespace: NAMESPACE, connection: async () => connection });

// Five events each: ADDED, Pending, Running and two steps; the third step hangs.
const wanted = total * 5;
let events = 0;
const watching = (async (): Promise<void> => {
  for await (const event of client.watchWorkflows(NAMESPACE, { signal: AbortSignal.timeout(120_000) })) {
    events += event.type === 'BOOKMARK' ? 0 : 1;
    if (events === wanted) {
      return;
    }
  }
})();

const latencies: number[] = [];
let next = 0;
async function createSome(): Promise<void> {
  while (next < total) {
    const name = `bench-${next}`;
    next += 1;
    const began = performance.now();
    await client.createWorkflow(NAMESPACE, {
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'Workflow',
      metadata: { name, labels: { 'app.kubernetes.io/managed-by': 'facteur' } },
      spec: {
        workflowTemplateRef: { name: 'plan' },
        arguments: { parameters: [{ name: 'objective', value: 'x'.repeat(600) }] },
      },
    });
    latencies.push(performance.now() - began);
  }
}

const began = performance.now();
await Promise.all(Array.from({ length: CONCURRENCY }, createSome));
const seconds = (performance.now() - began) / 1000;
const cpu = process.cpuUsage();
const cpuUs = Math.round((cpu.user + cpu.system) / total);
latencies.sort((a, b) => a - b);
const at = (share: number): string => `${(latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(1)} ms`;
console.log(
  `create: ${Math.round(total / seconds)}/s, p50 ${at(0.5)}, p99 ${at(0.99)} (${CONCURRENCY} at once); ${cpuUs} us of CPU each, both sides`,
);

const listing = performance.now();
let listed = 0;
for await (const page of client.listWorkflows(NAMESPACE, { labelSelector: 'app.kubernetes.io/managed-by=facteur' })) {
  listed += page.workflows.length;
}
console.log(`list: ${listed} workflows in ${Math.round(performance.now() - listing)} ms`);

await watching;
console.log(
  `watch: ${events} of ${wanted} events seen, ${Math.round((performance.now() - began) / 1000)} s after the start`,
);
console.log(`memory: ${Math.round(process.memoryUsage().rss / 1024 / 1024)} MiB, cluster and client together`);
await client.close();
await cluster.close();
