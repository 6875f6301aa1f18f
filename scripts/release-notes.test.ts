import { expect, test } from 'vitest';
import { releaseNotes } from './release-notes.ts';

const CHANGELOG = `# Changelog

## Unreleased

## [1.2.0] - 2026-02-01

### Added

- A thing.

## 1.1.0

- Another.
`;

test.each([
  ['1.2.0', '### Added\n\n- A thing.\n'],
  ['1.1.0', '- Another.\n'],
])('the notes of %s are its section', (version, notes) => {
  expect(releaseNotes(CHANGELOG, version)).toBe(notes);
});

test.each(['1.2', '2.0.0', 'Unreleased', ''])('%j has no notes', (version) => {
  expect(() => releaseNotes(CHANGELOG, version)).toThrow('CHANGELOG.md has no section');
});
