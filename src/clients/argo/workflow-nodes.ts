import { createRequire } from 'node:module';
import type * as Zlib from 'node:zlib';
import { isRecord } from '../../base/json.ts';

/** Decompression happens on the event loop; larger nodes are skipped, and the workflow's own message is used. */
const MAX_UNPACKED_BYTES = 8 * 1024 * 1024;
/** 8 MiB, as a power of two: a frame may demand 128 MiB before its first byte. */
const MAX_ZSTD_WINDOW = 23;

const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);

type Json = Readonly<Record<string, unknown>>;

/** Loaded with the first packed nodes: every start would spend 6 ms on it. */
function zlib(): typeof Zlib {
  return createRequire(import.meta.url)('node:zlib') as typeof Zlib;
}

/** One node of a workflow, with the fields that connect it to others. Absent fields are empty. */
export interface WorkflowNode {
  readonly id: string;
  readonly name: string;
  readonly displayName: string;
  readonly type: string;
  readonly phase: string;
  readonly message: string;
  /** The Steps, DAG or container set that it belongs to. */
  readonly boundaryId: string;
  /** Nodes that started after it, inside it or following it. */
  readonly children: readonly string[];
  /** A lifecycle hook or an exit handler: its result does not affect its step. */
  readonly hooked: boolean;
  readonly finishedAt: string;
  /** As the controller wrote it. */
  readonly raw: Json;
}

export function hasFailed({ phase }: WorkflowNode): boolean {
  return phase === 'Failed' || phase === 'Error';
}

/**
 * Tells whether a node belongs to an exit handler of the workflow or of a step, by the controller's own rule: a stop ends all
 * other nodes.
 */
export function createIsOnExit(nodes: ReadonlyMap<string, WorkflowNode>): (node: WorkflowNode) => boolean {
  const known = new Map<WorkflowNode, boolean>();
  return (node) => {
    // From the node outwards; all nodes of a circle get the same answer.
    const inner = new Set<WorkflowNode>();
    let at: WorkflowNode | undefined = node;
    while (at !== undefined && !known.has(at) && !at.displayName.endsWith('.onExit') && !inner.has(at)) {
      inner.add(at);
      at = nodes.get(at.boundaryId);
    }
    const onExit = at !== undefined && (known.get(at) ?? at.displayName.endsWith('.onExit'));
    inner.forEach((one) => known.set(one, onExit));
    return onExit;
  };
}

/** The failed node that ended first: the failure began there. */
export function firstFailure(nodes: readonly WorkflowNode[]): WorkflowNode | undefined {
  return nodes.filter(hasFailed).toSorted((a, b) => a.finishedAt.localeCompare(b.finishedAt))[0];
}

/**
 * The nodes of a workflow's status by id. Argo compresses the nodes of larger workflows, and moves those of the largest into its
 * own database. Empty for the latter, and for nodes that are unreadable or too large to decompress.
 */
export function readNodes(status: Json): ReadonlyMap<string, WorkflowNode> {
  const nodes = Object.values(rawNodes(status)).filter(isRecord).map(readNode);
  return new Map(nodes.map((node) => [node.id, node]));
}

/** Whether a workflow has nodes that {@link readNodes} cannot return. */
export function areUnseen(nodes: ReadonlyMap<string, WorkflowNode>, status: Json): boolean {
  return (
    nodes.size === 0 && `${stringOf(status['offloadNodeStatusVersion'])}${stringOf(status['compressedNodes'])}` !== ''
  );
}

function rawNodes(status: Json): Json {
  if (isRecord(status['nodes']) && Object.keys(status['nodes']).length > 0) {
    return status['nodes'];
  }
  // Nodes that are absent, broken or too large are ignored: a step's message is optional.
  return unpackNodes(stringOf(status['compressedNodes'])) ?? {};
}

/** Nodes as Argo packs them, by id; undefined if they are unreadable or too large. */
export function unpackNodes(packed: string): Json | undefined {
  try {
    const nodes: unknown = JSON.parse(unpack(Buffer.from(packed, 'base64')).toString('utf8'));
    return isRecord(nodes) ? nodes : undefined;
  } catch {
    return undefined;
  }
}

/** Packs nodes with the algorithm of `like`, since an older controller may know no other. */
export function packNodes(nodes: Json, like: string): string {
  const { brotliCompressSync, gzipSync, zstdCompressSync } = zlib();
  const pack = { zstd: zstdCompressSync, gzip: gzipSync, brotli: brotliCompressSync }[
    algorithmOf(Buffer.from(like, 'base64'))
  ];
  return pack(JSON.stringify(nodes)).toString('base64');
}

/** By the first bytes, as Argo does. Brotli has no signature, so it is the fallback. */
function algorithmOf(packed: Buffer): 'zstd' | 'gzip' | 'brotli' {
  if (packed.subarray(0, ZSTD_MAGIC.length).equals(ZSTD_MAGIC)) {
    return 'zstd';
  }
  return packed.subarray(0, GZIP_MAGIC.length).equals(GZIP_MAGIC) ? 'gzip' : 'brotli';
}

function unpack(packed: Buffer): Buffer {
  const { brotliDecompressSync, constants, gunzipSync, zstdDecompressSync } = zlib();
  const bounds = { maxOutputLength: MAX_UNPACKED_BYTES };
  switch (algorithmOf(packed)) {
    case 'zstd':
      return zstdDecompressSync(packed, { ...bounds, params: { [constants.ZSTD_d_windowLogMax]: MAX_ZSTD_WINDOW } });
    case 'gzip':
      return gunzipSync(packed, bounds);
    case 'brotli':
      return brotliDecompressSync(packed, bounds);
  }
}

function readNode(raw: Json): WorkflowNode {
  const flag = raw['nodeFlag'];
  return {
    id: stringOf(raw['id']),
    name: stringOf(raw['name']),
    displayName: stringOf(raw['displayName']),
    type: stringOf(raw['type']),
    phase: stringOf(raw['phase']),
    message: stringOf(raw['message']),
    boundaryId: stringOf(raw['boundaryID']),
    children: Array.isArray(raw['children']) ? (raw['children'] as unknown[]).map(stringOf) : [],
    hooked: isRecord(flag) && flag['hooked'] === true,
    finishedAt: stringOf(raw['finishedAt']),
    raw,
  };
}

/** A string field, or empty. */
export function stringOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
