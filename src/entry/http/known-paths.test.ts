import { fastify } from 'fastify';
import { expect, test } from 'vitest';
import { trackPaths } from './known-paths.ts';

test('finds the methods that a path accepts', async () => {
  const app = fastify({ exposeHeadRoutes: false });
  const methodsOf = trackPaths(app);
  app.get('/v1/runs/:id', async () => '');
  app.post('/v1/runs/:id', async () => '');
  app.delete('/v1/runs/:id/events.json', async () => '');
  app.put('/v1/runs/search', async () => '');
  app.get('/console/*', async () => '');
  await app.ready();
  expect(methodsOf('/v1/runs/7')).toEqual(['GET', 'POST']);
  expect(methodsOf('/v1/runs/7/')).toEqual(['GET', 'POST']);
  expect(methodsOf('/v1/runs/7/events.json')).toEqual(['DELETE']);
  expect(methodsOf('/v1/runs/search')).toEqual(['PUT']);
  expect(methodsOf('/console/a/b')).toEqual(['GET']);
  for (const path of ['/v1/runs', '/v1/runs/', '/v1/runs/7/eventsXjson', '/v1/runs/7/8', '/x/console/a', '']) {
    expect(methodsOf(path)).toEqual([]);
  }
  await app.close();
});
