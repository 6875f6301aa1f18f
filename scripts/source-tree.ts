/** Reads the repository's TypeScript files and what each of them imports, for the checks beside this file. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { parseSync, Visitor, type ESTree } from 'rolldown/utils';

/** One import, re-export, `import()` or `import('…')` type of a file. */
export interface SourceImport {
  readonly specifier: string;
  readonly line: number;
  /** True if it has no effect at run time. */
  readonly typeOnly: boolean;
  /** True for `import()`, which loads on demand. */
  readonly lazy: boolean;
  /** The imported names, as the other file exports them; `*` for everything. */
  readonly names: readonly string[];
}

/** An exported declaration. */
export interface SourceExport {
  readonly name: string;
  readonly line: number;
}

/** A source file; `path` is relative to the repository, with forward slashes. */
export interface SourceFile {
  readonly path: string;
  readonly imports: readonly SourceImport[];
  readonly exports: readonly SourceExport[];
}

const ROOT_FOLDERS = ['src', 'sandbox', 'test', 'scripts', 'bench'];

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

/** Parses one file. Throws if it is not TypeScript: its imports are then unknown. */
export function readSourceFile(root: string, path: string): SourceFile {
  return parseSource(path, readFileSync(join(root, path), 'utf8'));
}

function parseSource(path: string, text: string): SourceFile {
  const parsed = parseSync(path, text);
  const [fault] = parsed.errors;
  if (fault !== undefined) {
    throw new Error(`${path}: ${fault.message}`);
  }
  const imports: SourceImport[] = [];
  const exports: SourceExport[] = [];
  const lineOf = (start: number): number => text.slice(0, start).split('\n').length;
  const add = (specifier: string, start: number, more: Omit<SourceImport, 'specifier' | 'line'>): void => {
    imports.push({ specifier, line: lineOf(start), ...more });
  };
  new Visitor({
    ImportDeclaration: ({ source, start, importKind, specifiers }) => {
      const names = specifiers.map((each) => (each.type === 'ImportSpecifier' ? nameOf(each.imported) : '*'));
      add(source.value, start, { typeOnly: importKind === 'type', lazy: false, names });
    },
    ExportAllDeclaration: ({ source, start, exportKind }) =>
      add(source.value, start, { typeOnly: exportKind === 'type', lazy: false, names: ['*'] }),
    ExportNamedDeclaration: ({ source, start, exportKind, specifiers, declaration }) => {
      if (source !== null) {
        const names = specifiers.map(({ local }) => nameOf(local));
        add(source.value, start, { typeOnly: exportKind === 'type', lazy: false, names });
      }
      exports.push(...declaredNames(declaration).map((name) => ({ name, line: lineOf(start) })));
    },
    ImportExpression: ({ source, start }) => {
      if (source.type === 'Literal' && typeof source.value === 'string') {
        add(source.value, start, { typeOnly: false, lazy: true, names: ['*'] });
      }
    },
    TSImportType: ({ source, start }) => add(source.value, start, { typeOnly: true, lazy: false, names: ['*'] }),
  }).visit(parsed.program);
  return { path, imports, exports };
}

function nameOf(node: ESTree.ModuleExportName): string {
  return node.type === 'Literal' ? node.value : node.name;
}

/** The names that a declaration defines; for a pattern, the bound names. */
function declaredNames(declaration: ESTree.ExportNamedDeclaration['declaration']): string[] {
  if (declaration === null || !('id' in declaration || 'declarations' in declaration)) {
    return [];
  }
  const bindings = 'declarations' in declaration ? declaration.declarations.map(({ id }) => id) : [declaration.id];
  return bindings.flatMap((binding) => {
    if (binding?.type === 'ObjectPattern') {
      return binding.properties.flatMap((each) =>
        each.type === 'Property' && each.value.type === 'Identifier' ? [each.value.name] : [],
      );
    }
    return binding?.type === 'Identifier' ? [binding.name] : [];
  });
}
