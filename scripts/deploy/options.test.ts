import { expect, test } from 'vitest';
import { parseOptions, UsageError } from './options.ts';

test('reads the image from the environment', () => {
  expect(parseOptions([], {})).toMatchObject({
    registry: undefined,
    repository: undefined,
    tag: undefined,
  });
  const env = { FACTEUR_IMAGE_REGISTRY: ' ghcr.io ', FACTEUR_IMAGE_REPOSITORY: 'me/facteur', FACTEUR_IMAGE_TAG: '' };
  expect(parseOptions([], env)).toMatchObject({ registry: 'ghcr.io', repository: 'me/facteur', tag: undefined });
});

test('returns no options for --help', () => {
  expect(parseOptions(['--help', '--skip-build'], {})).toBeUndefined();
});

test.each<[string, string[], Record<string, string>, RegExp]>([
  ['an unknown flag', ['--overly', 'x'], {}, /--overly/],
  ['a positional argument', ['knative'], {}, /knative/],
  ['an overlay that is a path', ['--overlay', '../base'], {}, /--overlay/],
  ['a timeout of zero', ['--timeout', '0'], {}, /--timeout/],
  ['--skip-build without a tag', ['--skip-build'], {}, /FACTEUR_IMAGE_TAG/],
  ['an invalid tag', [], { FACTEUR_IMAGE_TAG: 'a b' }, /FACTEUR_IMAGE_TAG/],
  ['a tag that is a flag', [], { FACTEUR_IMAGE_TAG: '--push' }, /FACTEUR_IMAGE_TAG/],
])('refuses %s', (_name, args, env, message) => {
  expect(() => parseOptions(args, env)).toThrow(UsageError);
  expect(() => parseOptions(args, env)).toThrow(message);
});
