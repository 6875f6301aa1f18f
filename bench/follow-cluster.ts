/**
 * The cluster of `bench/follow.ts`, in a separate process. It receives commands and reports every change of a
 * workflow when it happens.
 */
import { startSimulatedCluster } from '../sandbox/cluster/cluster.ts';
import type { Command } from '../sandbox/cluster/control.ts';
import { textField } from '../sandbox/cluster/objects.ts';

export type ToCluster =
  | { readonly kind: 'fill'; readonly workflows: readonly { readonly name: string; readonly delivery: string }[] }
  | { readonly kind: 'fault'; readonly command: Command }
  | { readonly kind: 'counts' };

export type FromCluster =
  | { readonly kind: 'up'; readonly url: string }
  | { readonly kind: 'filled'; readonly uids: Readonly<Record<string, string>> }
  | { readonly kind: 'counts'; readonly requests: Readonly<Record<string, number>> }
  /** Name, phase and progress, and when (milliseconds since 1970). */
  | { readonly kind: 'changes'; readonly changes: readonly (readonly [string, number])[] };

const NAMESPACE = 'argo';
const STEPS = 5;

/** Each workflow takes its steps at its own pace, so that changes are spread over time. */
const stepMs = Number(process.argv[2]);
const cluster = await startSimulatedCluster({
  namespaces: [NAMESPACE],
  templates: [{ namespace: NAMESPACE, name: 'plan' }],
  eventWindow: 50_000,
  plan: () => ({
    steps: STEPS,
    outcome: Math.random() < 0.2 ? 'fail' : 'succeed',
    pendingMs: Math.random() * stepMs,
    startMs: Math.random() * stepMs,
    stepMs: stepMs * (0.5 + Math.random()),
  }),
});

const send = (message: FromCluster): void => {
  process.send?.(message);
};

let changes: [string, number][] = [];
cluster.store.onCommit(({ resource, cause, entry }) => {
  if (resource === 'workflows' && (cause === 'state' || cause === 'progress')) {
    const { status } = entry.object;
    const key = `${entry.object.metadata.name} ${textField(status, 'phase')} ${textField(status, 'progress')}`;
    changes.push([key, Date.now()]);
  }
});
const telling = setInterval(() => {
  send({ kind: 'changes', changes });
  changes = [];
}, 200);

process.on('message', (message: ToCluster) => {
  switch (message.kind) {
    case 'fill':
      send({ kind: 'filled', uids: fill(message.workflows) });
      break;
    case 'fault':
      cluster.faults.apply(message.command);
      break;
    case 'counts':
      send({ kind: 'counts', requests: cluster.state()['requests'] as Record<string, number> });
      break;
  }
});
process.on('disconnect', () => {
  clearInterval(telling);
  void cluster.close();
});
send({ kind: 'up', url: cluster.url });

function fill(workflows: Extract<ToCluster, { kind: 'fill' }>['workflows']): Record<string, string> {
  const made = workflows.map(({ name, delivery }) =>
    cluster.store.create('workflows', {
      apiVersion: 'argoproj.io/v1alpha1',
      kind: 'Workflow',
      metadata: {
        name,
        namespace: NAMESPACE,
        labels: { 'app.kubernetes.io/managed-by': 'facteur', 'facteur.proompteng.ai/delivery': delivery },
      },
      spec: {
        workflowTemplateRef: { name: 'plan' },
        arguments: { parameters: [{ name: 'prompt', value: 'x'.repeat(1000) }] },
      },
    }),
  );
  return Object.fromEntries(made.map(({ object }) => [object.metadata.name, object.metadata.uid]));
}
