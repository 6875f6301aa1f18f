import { expect, test } from 'vitest';
import { parseOptions, UsageError } from './options.ts';

test('says of the image what the environment says', () => {
  expect(parseOptions([], {})).toMatchObject({
    registry: undefined,
    repository: undefined,
    tag: undefined,
  });
  const env = { FACTEUR_IMAGE_REGISTRY: ' ghcr.io ', FACTEUR_IMAGE_REPOSITORY: 'me/facteur', FACTEUR_IMAGE_TAG: '' };
  expect(parseOptions([], env)).toMatchObject({ registry: 'ghcr.io', repository: 'me/facteur', tag: undefined });
});

test('gives nothing to do when help is asked for', () => {
  expect(parseOptions(['--help', '--skip-build'], {})).toBeUndefined();
});

test.each<[string, string[], Record<string, string>, RegExp]>([
  ['an unknown flag', ['--overly', 'x'], {}, /--overly/],
  ['a word that belongs to nothing', ['knative'], {}, /knative/],
  ['an overlay that is a path', ['--overlay', '../base'], {}, /--overlay/],
  ['no time', ['--timeout', '0'], {}, /--timeout/],
  ['going back to nothing in particular', ['--skip-build'], {}, /FACTEUR_IMAGE_TAG/],
  ['a tag that is none', [], { FACTEUR_IMAGE_TAG: 'a b' }, /FACTEUR_IMAGE_TAG/],
  ['a tag that is a flag', [], { FACTEUR_IMAGE_TAG: '--push' }, /FACTEUR_IMAGE_TAG/],
])('refuses %s', (_name, args, env, message) => {
  expect(() => parseOptions(args, env)).toThrow(UsageError);
  expect(() => parseOptions(args, env)).toThrow(message);
});
