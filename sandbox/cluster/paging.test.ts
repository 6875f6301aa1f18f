import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Json } from '../../test/support/cluster.ts';
import { ApiFailure } from './api-failure.ts';
import { listPage } from './lists.ts';
import { matches, parseSelector } from './selector.ts';
import { seededRandom } from './random.ts';
import { Store } from './store.ts';

function newStore(eventWindow = 1000): Store {
  return new Store({
    clock: { now: () => new Date(0) },
    random: seededRandom(1),
    eventWindow,
    maxObjectBytes: 1_000_000,
  });
}

type Change = { readonly kind: 'put' | 'delete'; readonly id: number; readonly color: string };

function apply(store: Store, { kind, id, color }: Change): void {
  const name = `w-${id}`;
  const current = store.find('workflows', 'a', name);
  if (kind === 'delete') {
    if (current !== undefined) {
      store.delete('workflows', current);
    }
  } else if (current === undefined) {
    const metadata = { name, namespace: 'a', labels: { color } };
    store.create('workflows', { apiVersion: 'argoproj.io/v1alpha1', kind: 'Workflow', metadata, spec: {} });
  } else {
    store.update('workflows', current, 'patch', (object) => ({
      ...object,
      metadata: { ...object.metadata, labels: { color } },
    }));
  }
}

function page(store: Store, query: Record<string, string>): Json {
  return JSON.parse(listPage(store, { resource: 'workflows', namespace: 'a', query: new URLSearchParams(query) }));
}

const color = fc.constantFrom('red', 'green', 'blue');
const change = fc.record({
  kind: fc.constantFrom('put' as const, 'put' as const, 'delete' as const),
  id: fc.nat(15),
  color,
});

test('pages of any size together return the state at the first page, despite changes in between', () => {
  const selector = fc.constantFrom('', 'color=red', 'color!=red', 'color in (red,blue)', '!color');
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 40 }),
      fc.array(fc.array(change, { maxLength: 5 }), { minLength: 20, maxLength: 20 }),
      fc.integer({ min: 1, max: 7 }),
      selector,
      (before, between, limit, labelSelector) => {
        const store = newStore();
        before.forEach((each) => {
          apply(store, each);
        });
        const expected = [...store.all('workflows')]
          .filter(({ labels }) => matches(parseSelector(labelSelector), labels))
          .map(({ json }) => JSON.parse(json))
          .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
        const items: Json[] = [];
        const versions = new Set<string>();
        let token = '';
        let count = 0;
        do {
          const answer = page(store, {
            labelSelector,
            limit: String(limit),
            ...(token === '' ? {} : { continue: token }),
          });
          expect(answer.items.length).toBeLessThanOrEqual(limit);
          items.push(...answer.items);
          versions.add(answer.metadata.resourceVersion);
          token = answer.metadata.continue ?? '';
          between[count]?.forEach((each) => {
            apply(store, each);
          });
          count += 1;
        } while (token !== '');
        expect(items).toEqual(expected);
        expect(versions.size).toBe(1);
      },
    ),
  );
});

test('a list plus the events after it equals a new list', () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), fc.array(change, { maxLength: 30 }), (before, after) => {
      const store = newStore();
      before.forEach((each) => {
        apply(store, each);
      });
      const first = page(store, {});
      after.forEach((each) => {
        apply(store, each);
      });
      const known = new Map<string, unknown>(first.items.map((item: Json) => [item.metadata.name, item]));
      for (const { type, entry } of store.eventsAfter(Number(first.metadata.resourceVersion))) {
        if (type === 'DELETED') {
          known.delete(entry.object.metadata.name);
        } else {
          known.set(entry.object.metadata.name, JSON.parse(entry.json));
        }
      }
      const second = page(store, {});
      expect([...known.values()].toSorted(byName)).toEqual(second.items);
    }),
  );
});

function byName(a: Json, b: Json): number {
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

test('a page has the number of remaining items, except with a selector', () => {
  const store = newStore();
  [1, 2, 3].forEach((id) => {
    apply(store, { kind: 'put', id, color: 'red' });
  });
  expect(page(store, { limit: '2' }).metadata.remainingItemCount).toBe(1);
  expect(page(store, { limit: '2', labelSelector: 'color' }).metadata.remainingItemCount).toBeUndefined();
  expect(page(store, { limit: '3' }).metadata.continue).toBeUndefined();
});

test.each([
  [
    'a continue token that is older than the window',
    (store: Store) => ({ limit: '1', continue: page(store, { limit: '1' }).metadata.continue as string }),
    410,
  ],
  [
    'an exact version that is older than the window',
    (store: Store) => ({ resourceVersion: String(store.version), resourceVersionMatch: 'Exact' }),
    410,
  ],
  ['a future version', (store: Store) => ({ resourceVersion: String(store.version + 1000) }), 504],
  [
    'a continue token together with a version',
    (store: Store) => ({ resourceVersion: '5', continue: page(store, { limit: '1' }).metadata.continue as string }),
    400,
  ],
  ['an invalid continue token', () => ({ continue: 'nonsense' }), 400],
  ['a version that is not a number', () => ({ resourceVersion: 'x' }), 400],
  ['a limit that is not a number', () => ({ limit: 'x' }), 400],
])('refuses %s', (_what, query, code) => {
  const store = newStore(2);
  [1, 2, 3].forEach((id) => {
    apply(store, { kind: 'put', id, color: 'red' });
  });
  const wanted = query(store);
  [4, 5, 6, 7].forEach((id) => {
    apply(store, { kind: 'put', id, color: 'red' });
  });
  const failure = (() => {
    try {
      return page(store, wanted) as unknown;
    } catch (error) {
      return error;
    }
  })();
  expect(failure).toBeInstanceOf(ApiFailure);
  expect((failure as ApiFailure).code).toBe(code);
});

test('an old version within the window can be read exactly', () => {
  const store = newStore();
  apply(store, { kind: 'put', id: 1, color: 'red' });
  const then = String(store.version);
  apply(store, { kind: 'put', id: 1, color: 'blue' });
  apply(store, { kind: 'put', id: 2, color: 'red' });
  const { items, metadata } = page(store, { resourceVersion: then, resourceVersionMatch: 'Exact' });
  expect(items.map((item: Json) => item.metadata.labels.color)).toEqual(['red']);
  expect(metadata.resourceVersion).toBe(then);
});
