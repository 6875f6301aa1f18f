/** Reads the repository's TypeScript files and what each of them imports, for the checks beside this file. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { parseSync, Visitor } from 'rolldown/utils';

/** One import, re-export, `import()` or `import('…')` type of a file. */
export interface SourceImport {
  readonly specifier: string;
  readonly line: number;
  /** True when nothing of it is left at run time. */
  readonly typeOnly: boolean;
}

/** A source file; `path` is relative to the repository, with forward slashes. */
export interface SourceFile {
  readonly path: string;
  readonly imports: readonly SourceImport[];
}

const ROOT_FOLDERS = ['src', 'test', 'scripts', 'bench'];

/** Paths of all TypeScript files below the repository's source folders, sorted. */
export function sourcePaths(root: string): string[] {
  return readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && ROOT_FOLDERS.includes(entry.name))
    .flatMap((folder) => readdirSync(join(root, folder.name), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(root.length + 1)
        .replaceAll(sep, '/'),
    )
    .toSorted();
}

/** Parses one file. Throws when it is no TypeScript: nothing can be said about its imports then. */
export function readSourceFile(root: string, path: string): SourceFile {
  return { path, imports: importsOf(path, readFileSync(join(root, path), 'utf8')) };
}

/** The imports of a text, in the order of their lines. */
export function importsOf(path: string, text: string): SourceImport[] {
  const parsed = parseSync(path, text);
  const [fault] = parsed.errors;
  if (fault !== undefined) {
    throw new Error(`${path}: ${fault.message}`);
  }
  const found: SourceImport[] = [];
  const add = (specifier: string, start: number, typeOnly: boolean): void => {
    found.push({ specifier, line: text.slice(0, start).split('\n').length, typeOnly });
  };
  new Visitor({
    ImportDeclaration: (node) => add(node.source.value, node.start, node.importKind === 'type'),
    ExportAllDeclaration: (node) => add(node.source.value, node.start, node.exportKind === 'type'),
    ExportNamedDeclaration: (node) => {
      if (node.source !== null) {
        add(node.source.value, node.start, node.exportKind === 'type');
      }
    },
    ImportExpression: (node) => {
      if (node.source.type === 'Literal' && typeof node.source.value === 'string') {
        add(node.source.value, node.start, false);
      }
    },
    TSImportType: (node) => add(node.source.value, node.start, true),
  }).visit(parsed.program);
  return found;
}
