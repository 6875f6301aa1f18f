import { describe, expect, test } from 'vitest';
import { logPlaceOf } from './pod-name.ts';

const workflow = { name: 'plan-1' };

describe('logPlaceOf', () => {
  test.each([
    ['plan-1[0].build', { templateName: 'build' }, 'plan-1-build-'],
    ['plan-1[0].build', { templateRef: { name: 'shared', template: 'compile' } }, 'plan-1-compile-'],
    ['plan-1[0].build', {}, 'plan-1-'],
  ])('%s with %j', (name, more, start) => {
    const place = logPlaceOf(workflow, { type: 'Pod', id: 'plan-1-1', name, ...more });
    expect(place?.container).toBe('main');
    expect(place?.pod).toMatch(new RegExp(`^${start}\\d+$`));
  });

  // The FNV-1a hashes of these texts, as in Argo's own tests.
  test.each([
    ['hello', 1_335_831_723],
    ['こんにちは', 486_186_189],
  ])('the hash of %s', (name, hash) => {
    expect(logPlaceOf(workflow, { type: 'Pod', name, templateName: 't' })?.pod).toBe(`plan-1-t-${hash}`);
  });

  test('the pod of a single-pod workflow has the name of the workflow', () => {
    expect(logPlaceOf(workflow, { type: 'Pod', name: 'plan-1', templateName: 't' })?.pod).toBe('plan-1');
  });

  test('older controllers name pods after the node', () => {
    const metadata = { ...workflow, annotations: { 'workflows.argoproj.io/pod-name-format': 'v1' } };
    expect(logPlaceOf(metadata, { type: 'Pod', id: 'plan-1-77', name: 'x', templateName: 't' })?.pod).toBe('plan-1-77');
  });

  test('a container of a container set is in the pod of the node above it', () => {
    const set = logPlaceOf(workflow, { type: 'Pod', name: 'plan-1[0].all', templateName: 'all' });
    const part = logPlaceOf(workflow, { type: 'Container', name: 'plan-1[0].all.two', templateName: 'all' });
    expect(part).toEqual({ pod: set?.pod, container: 'two' });
  });

  test('truncates long names like the controller', () => {
    const pod = logPlaceOf({ name: 'w'.repeat(200) }, { type: 'Pod', name: 'x', templateName: 't'.repeat(100) })?.pod;
    expect(pod).toMatch(/^w{200}-t{41}-\d+$/);
  });

  test.each(['Suspend', 'HTTP', 'Steps', undefined])('a step of type %s has no pod', (type) => {
    expect(logPlaceOf(workflow, { type, name: 'x' })).toBeUndefined();
  });
});
