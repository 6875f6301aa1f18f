import { expect, test } from 'vitest';
import { ensureNamespace } from '../../scripts/cluster/set-up.ts';
import { event } from '../support/messages.ts';
import { freshId, useBench } from './bench.ts';

// Who may send work, by tokens from a real API server. facteur reads the keys with its own service account.

const bench = useBench();

const [NAMESPACE, AUDIENCE] = ['intake-test', 'facteur-intake'];
const ENV = {
  FACTEUR_SERVER_INTAKE_OIDC_ISSUER: 'https://kubernetes.default.svc',
  FACTEUR_SERVER_INTAKE_OIDC_AUDIENCE: AUDIENCE,
  FACTEUR_SERVER_INTAKE_OIDC_SUBJECTS: `system:serviceaccount:${NAMESPACE}:sender`,
};

async function tokenFor(account: string, audience: string): Promise<string> {
  const { api } = bench.world;
  await ensureNamespace(api, NAMESPACE);
  await api.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: account, namespace: NAMESPACE } });
  const path = `/api/v1/namespaces/${NAMESPACE}/serviceaccounts/${account}/token`;
  const body = { spec: { audiences: [audience], expirationSeconds: 3600 } };
  const { status } = await api.call<{ readonly status: { readonly token: string } }>(path, { method: 'POST', body });
  return status.token;
}

test.each([
  [202, 'sender', AUDIENCE],
  [401, 'sender', 'https://kubernetes.default.svc'],
  [401, 'somebody', AUDIENCE],
])('%i for a token of the account %s for %s', async (status, account, audience) => {
  const facteur = await bench.start('as-told', { env: ENV });
  const authorization = `Bearer ${await tokenFor(account, audience)}`;
  const answer = await facteur.send(event({ interactionId: freshId('oidc') }), { authorization });
  expect(answer.status).toBe(status);
});

test('401 without a token', async () => {
  const facteur = await bench.start('as-told', { env: ENV });
  expect((await facteur.send(event({ interactionId: freshId('oidc') }))).status).toBe(401);
});
