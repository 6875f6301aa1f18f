import { expect, test } from 'vitest';
import { imageName, withImage } from './kustomization.ts';

const CHOICE = { name: 'ghcr.io/me/facteur', tag: 'v2', digest: `sha256:${'ab'.repeat(32)}` };

test('changes the image and keeps comments and other fields', () => {
  const before = `# Why this is here.
kind: Kustomization
images:
  - name: postgres # not ours
    newTag: '18'
  # Ours.
  - name: facteur
    newTag: main # for now
resources: [../../base]
`;
  expect(withImage(before, CHOICE)).toBe(`# Why this is here.
kind: Kustomization
images:
  - name: postgres # not ours
    newTag: '18'
  # Ours.
  - name: facteur
    newTag: v2 # for now
    newName: ghcr.io/me/facteur
    digest: ${CHOICE.digest}
resources: [ ../../base ]
`);
});

test('finds an image that a base has renamed', () => {
  const before = 'images:\n  - name: registry.example.org/lab/facteur\n';
  expect(withImage(before, CHOICE)).toContain(
    'name: registry.example.org/lab/facteur\n    newName: ghcr.io/me/facteur\n',
  );
});

test.each([
  ['no images', 'kind: Kustomization\n'],
  ['another image', 'images:\n  - name: not-facteur\n'],
  ['images of the wrong type', 'images: facteur\n'],
  ['invalid YAML', 'images: [\n'],
])('refuses a kustomization with %s', (_name, text) => {
  expect(() => withImage(text, CHOICE)).toThrow('no entry "facteur"');
});

test.each([
  ['images:\n  - name: facteur\n    newName: ghcr.io/us/facteur\n', {}, 'ghcr.io/us/facteur'],
  ['images:\n  - name: registry.example.org/lab/facteur\n', {}, 'registry.example.org/lab/facteur'],
  [
    'images:\n  - name: facteur\n    newName: ghcr.io/us/facteur\n',
    { registry: 'localhost:5000' },
    'localhost:5000/us/facteur',
  ],
  ['images:\n  - name: facteur\n    newName: ghcr.io/us/facteur\n', { repository: 'me/it' }, 'ghcr.io/me/it'],
  ['images:\n  - name: facteur\n', {}, 'docker.io/facteur'],
])('takes the image name from the overlay, unless the environment overrides it', (text, given, name) => {
  expect(imageName(text, { registry: undefined, repository: undefined, ...given })).toBe(name);
});
