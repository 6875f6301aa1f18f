import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { clientFor, manifest, NAMESPACE, startCluster } from '../../../test/support/cluster.ts';

const WHOLE = { container: 'main', tailLines: 20 };

/** A cluster that answers every request like this, and records the requests. */
async function clusterSaying(status: number, body: string) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.accept}`);
    response.writeHead(status, { 'content-type': status === 200 ? 'text/plain' : 'application/json' }).end(body);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { asked, client: clientFor(`http://127.0.0.1:${(server.address() as AddressInfo).port}`) };
}

describe('podLog', () => {
  test('requests the last lines of one container, and returns them unchanged', async () => {
    const { asked, client } = await clusterSaying(200, '{"level":"info"}\nnot json\n');
    expect(await client.podLog('argo', 'a/b', { container: 'main', tailLines: 20 })).toBe(
      '{"level":"info"}\nnot json\n',
    );
    expect(asked).toEqual(['/api/v1/namespaces/argo/pods/a%2Fb/log?container=main&tailLines=20&limitBytes=65536 */*']);
  });

  test.each([
    [403, 'Forbidden', 'argo.forbidden'],
    [404, 'NotFound', 'argo.not_found'],
  ])('%i %s is %s', async (status, reason, code) => {
    const details = { name: 'pod', kind: 'pods' };
    const body = JSON.stringify({ kind: 'Status', status: 'Failure', reason, message: 'no', code: status, details });
    const { client } = await clusterSaying(status, body);
    await expect(client.podLog('argo', 'pod', WHOLE)).rejects.toMatchObject({ code });
  });

  test('times out if the cluster never answers', async () => {
    const server = createServer(() => undefined);
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const client = clientFor(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await expect(client.podLog('argo', 'pod', { ...WHOLE, timeoutMs: 50 })).rejects.toMatchObject({
      code: 'argo.timeout',
    });
  });

  test('the simulated cluster has the logs of its steps', async () => {
    const cluster = await startCluster({ defaults: { outcome: 'fail', at: 1, pendingMs: 0, startMs: 0, stepMs: 0 } });
    const client = clientFor(cluster.url);
    await client.createWorkflow(NAMESPACE, manifest('one'));
    await expect.poll(async () => (await client.getWorkflow(NAMESPACE, 'one')).status?.phase).toBe('Failed');
    const nodes = Object.values((await client.getWorkflow(NAMESPACE, 'one')).status?.nodes ?? {});
    const failed = nodes.find((node) => node.type === 'Pod' && node.phase === 'Failed');
    const pod = `one-${failed?.templateName}-${/\d+$/.exec(failed?.id ?? '')?.[0]}`;
    expect(await client.podLog(NAMESPACE, pod, { container: 'main', tailLines: 1 })).toMatch(/^step-1: .*exit code 1/);
    await expect(client.podLog(NAMESPACE, 'other', WHOLE)).rejects.toMatchObject({ code: 'argo.not_found' });
  });
});
