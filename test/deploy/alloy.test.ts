import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DEPLOY } from './manifests.ts';

/** Without comments. None of its strings contains `//` except the address of the endpoint. */
const CONFIG = readFileSync(join(DEPLOY, 'components/alloy/config.alloy'), 'utf8').replaceAll(/^\s*\/\/.*$/gm, '');

test('every referenced component is defined, and every one but the last is used', () => {
  const declared = [...CONFIG.matchAll(/^([\w.]+) "(\w+)" \{$/gm)].map(([, kind, label]) => `${kind}.${label}`);
  const used = [...CONFIG.matchAll(/\b((?:discovery|loki)\.\w+\.\w+)\.(?:targets|output|receiver)\b/g)].map(
    ([, name]) => name,
  );
  expect(declared.length).toBeGreaterThan(3);
  expect(used.filter((name) => !declared.includes(name ?? ''))).toEqual([]);
  expect(declared.filter((name) => !used.includes(name))).toEqual(['loki.source.kubernetes.pods']);
});

test('brackets are balanced', () => {
  for (const [open, close] of ['{}', '[]', '()'].map((pair) => [...pair])) {
    expect(CONFIG.split(open!).length).toBe(CONFIG.split(close!).length);
  }
});

test('has no label with an id: a run does not get its own stream', () => {
  const labels = [...CONFIG.matchAll(/target_label\s*=\s*"(\w+)"/g)].map(([, label]) => label);
  expect(labels.toSorted()).toEqual(['component', 'job', 'namespace', 'pod', 'service_name']);
  expect(CONFIG).toContain('values = { level = "" }');
});
