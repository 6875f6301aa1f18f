import { afterAll, beforeAll, beforeEach } from 'vitest';
import { ClusterApi } from '../../scripts/cluster/api.ts';
import { OwnCluster } from '../cluster/own-cluster.ts';
import { logIn, type World } from '../cluster/world.ts';
import { restartConformance, type RestartingSubject } from './restart-suite.ts';

const own = new OwnCluster();
let world: World;
let subject: RestartingSubject;
beforeAll(async () => {
  world = await own.start();
}, 300_000);
beforeEach(async () => {
  const { access } = await logIn(world);
  subject = {
    api: new ClusterApi(access),
    admin: world.api,
    namespace: 'argo-workflows',
    stop: () => own.local.kill('apiserver'),
    start: () => own.begin('apiserver'),
  };
  return () => subject.api.close();
});
afterAll(async () => {
  await world.api.close();
  await own.stop();
});

restartConformance(() => subject);
