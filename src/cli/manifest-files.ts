import { isScalar } from 'yaml';
import { errorMessage, FacteurError } from '../base/errors.ts';
import { isRecord } from '../base/json.ts';
import { formatFault, type Place } from '../config/fault.ts';
import { encodingFault, parseYamlDocuments, type YamlSource } from '../config/yaml-source.ts';
import type { Finding } from '../domain/lint/lint.ts';
import { readInput, type CliIo } from './io.ts';

/** A manifest, and a function that locates a finding in its file. */
export interface ManifestSource {
  readonly manifest: unknown;
  readonly locate: (finding: Pick<Finding, 'path' | 'text'>) => Place;
}

/** Larger files are not read. A WorkflowTemplate has at most 1.5 MiB, etcd's limit. */
const MAX_BYTES = 20 * 1024 * 1024;
/** For a file that is not YAML at all, the first errors suffice. */
const MAX_FAULTS = 20;

/**
 * The manifests of a YAML or JSON file, or of standard input for `-`: all documents, and the items of lists.
 *
 * @throws FacteurError `cli.unreadable` with the places of syntax errors
 */
export async function readManifests(io: CliIo, path: string): Promise<readonly ManifestSource[]> {
  const bytes = await readInput(io, path);
  if (bytes.length > MAX_BYTES) {
    throw unreadable(`${path}: the file is larger than ${MAX_BYTES / 1024 / 1024} MiB`);
  }
  const text = bytes.toString('utf8');
  const encoding = encodingFault(text, path);
  if (encoding !== undefined) {
    throw unreadable(formatFault(encoding));
  }
  const sources = parseYamlDocuments(text, path);
  const faults = sources.flatMap((source) => source.faults);
  if (faults.length > 0) {
    const more = faults.length > MAX_FAULTS ? [`and ${faults.length - MAX_FAULTS} more`] : [];
    throw unreadable([...faults.slice(0, MAX_FAULTS).map(formatFault), ...more].join('\n'));
  }
  return sources.flatMap((source) => manifestsOf(source, text));
}

function manifestsOf(source: YamlSource, text: string): readonly ManifestSource[] {
  const manifest = valueOf(source);
  const items = isRecord(manifest) && String(manifest['kind']).endsWith('List') ? manifest['items'] : undefined;
  if (!Array.isArray(items)) {
    return [{ manifest, locate: ({ path, text: part }) => locate(source, text, { path, part }) }];
  }
  return items.map((item: unknown, index) => ({
    manifest: item,
    locate: ({ path, text: part }) => locate(source, text, { path: ['items', index, ...path], part }),
  }));
}

function valueOf({ document, locate: place }: YamlSource): unknown {
  try {
    return document.toJS();
  } catch (error) {
    // Mostly too many aliases: a few lines that expand to gigabytes.
    throw unreadable(formatFault({ ...place(document.contents), key: '', message: errorMessage(error) }));
  }
}

interface Target {
  readonly path: Finding['path'];
  /** The text to find in the value. */
  readonly part: string;
}

/** The place of the part in the value, else of the value, or, if an alias or a merge hides it, of the enclosing node. */
function locate({ document, locate: place, locateOffset }: YamlSource, text: string, { path, part }: Target): Place {
  for (let length = path.length; length >= 0; length -= 1) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (isScalar(node) && node.range && part !== '') {
      const at = text.indexOf(part, node.range[0]);
      return at !== -1 && at < node.range[1] ? locateOffset(at) : place(node);
    }
    if (node !== undefined && node !== null) {
      return place(node);
    }
  }
  return place(document.contents);
}

function unreadable(message: string): FacteurError {
  return new FacteurError('cli.unreadable', message, { retryable: false });
}
