import { toJson, type DescFile } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'rolldown';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { file_proompteng_facteur_v1_contract as contract } from '../src/proto/proompteng/facteur/v1/contract_pb.ts';
import { file_proompteng_froussard_v1_codex_task as codexTask } from '../src/proto/proompteng/froussard/v1/codex_task_pb.ts';
import { descriptorsAsJson } from './descriptors.ts';

const root = join(import.meta.dirname, '..');
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'facteur-descriptors-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** The exports of a generated module in a bundle. */
async function bundled(module: string): Promise<Readonly<Record<string, DescFile>>> {
  const file = `${module.replaceAll('/', '_')}.mjs`;
  const input = { [file]: join(root, 'src/proto', module) };
  const output = { dir: folder, entryFileNames: '[name]', chunkFileNames: `[name]-of-${file}` } as const;
  await build({ input, cwd: root, platform: 'node', logLevel: 'warn', plugins: [descriptorsAsJson], output });
  return (await import(pathToFileURL(join(folder, file)).href)) as Record<string, DescFile>;
}

test.for([
  ['proompteng/facteur/v1/contract_pb.ts', contract],
  ['proompteng/froussard/v1/codex_task_pb.ts', codexTask],
] as const)('a bundle contains the descriptors of %s', async ([module, expected]) => {
  const file = Object.entries(await bundled(module)).find(([name]) => name.startsWith('file_'))?.[1];
  expect(toJson(FileDescriptorProtoSchema, file?.proto as DescFile['proto'])).toEqual(
    toJson(FileDescriptorProtoSchema, expected.proto),
  );
  expect(file?.messages.map(summary)).toEqual(expected.messages.map(summary));
  expect(expected.messages.length).toBeGreaterThan(0);
});

/** The parts of a descriptor that readers and writers of messages use. */
function summary({ typeName, fields }: DescFile['messages'][number]): unknown {
  return [
    typeName,
    fields.map((field) => ({
      name: field.name,
      localName: field.localName,
      jsonName: field.jsonName,
      number: field.number,
      kind: field.fieldKind,
      scalar: field.scalar,
      presence: field.presence,
      oneof: field.oneof?.name,
      message: field.message?.typeName,
      enum: field.enum?.values.map(({ name, number }) => [name, number]),
    })),
  ];
}
