import { expect, test } from 'vitest';
import { openStack } from './stack.ts';

test('uses the stack in the variables', async () => {
  const stack = await openStack({
    FACTEUR_E2E_BASE_URL: ' http://127.0.0.1:18080/ ',
    FACTEUR_E2E_POSTGRES_DSN: 'postgres://a',
  });
  expect(stack).toMatchObject({ baseUrl: 'http://127.0.0.1:18080', dsn: 'postgres://a' });
});

test('fails if only one of the two variables is set', async () => {
  await expect(openStack({ FACTEUR_E2E_BASE_URL: 'http://127.0.0.1:18080' })).rejects.toThrow('or neither');
  await expect(openStack({ FACTEUR_E2E_POSTGRES_DSN: 'postgres://a' })).rejects.toThrow('or neither');
});
