import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { environmentOf, serverOf } from './workloads.ts';
import { renderOwn } from './own-overlay.ts';
import { typeFaults } from './type-check.ts';

test('with intake-oidc, KafkaSources send tokens with the accounts and the audience that facteur accepts', async () => {
  const manifests = renderOwn('knative', ['intake-oidc']);
  expect(await typeFaults(manifests)).toEqual([]);
  const variables = Object.entries(environmentOf(serverOf(manifests).spec)).filter(
    (entry): entry is [string, string] => typeof entry[1] === 'string' && entry[0].includes('_INTAKE_OIDC_'),
  );
  const { config } = await loadConfig({
    env: Object.fromEntries(variables),
    readFile: async () => '',
    require: [],
  });
  const sources = manifests.filter(({ kind }) => kind === 'KafkaSource');
  const audiences = sources.map(({ spec }) => spec.sink.audience);
  expect(new Set(audiences)).toEqual(new Set([config.server.intakeOidc?.audience]));
  const accounts = sources.map(
    ({ metadata }) =>
      `system:serviceaccount:${metadata.namespace}:${metadata.name}-oidc-sources.knative.dev-kafkasource`,
  );
  expect(config.server.intakeOidc?.subjects.toSorted()).toEqual(accounts.toSorted());
});
