import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A memory limit for processes, like that of a container. */
export interface MemoryLimit {
  /** The mechanism, for readers of the test's output. */
  readonly kind: 'cgroup v2' | 'cgroup v1' | 'heap limit and peak memory';
  /** The file that gets the process id; missing if only the peak can be watched. */
  readonly processes?: string;
  /** Options for NODE_OPTIONS. */
  readonly nodeOptions: string;
  /** Whether a live process ever exceeded the limit. With a cgroup, the kernel would have killed it. */
  isExceededBy(pid: number): boolean;
  remove(): Promise<void>;
}

const CGROUPS = '/sys/fs/cgroup';

/**
 * Uses a cgroup, which kills processes over the limit, if this user may create one. Otherwise Node.js gets the heap limit
 * that it would have in the image, and the test checks the peak.
 */
export function limitMemory(name: string, bytes: number): MemoryLimit {
  return cgroup2(name, bytes) ?? cgroup1(name, bytes) ?? watched(bytes);
}

function cgroup2(name: string, bytes: number): MemoryLimit | undefined {
  const folder = join(CGROUPS, name);
  return attempt(() => {
    if (!readFileSync(join(CGROUPS, 'cgroup.controllers'), 'utf8').includes('memory')) {
      return undefined;
    }
    writeFileSync(join(CGROUPS, 'cgroup.subtree_control'), '+memory');
    return group('cgroup v2', folder, { 'memory.max': String(bytes), 'memory.swap.max': '0' });
  });
}

function cgroup1(name: string, bytes: number): MemoryLimit | undefined {
  const folder = join(CGROUPS, 'memory', name);
  return attempt(() => group('cgroup v1', folder, { 'memory.limit_in_bytes': String(bytes) }));
}

function group(kind: MemoryLimit['kind'], folder: string, settings: Record<string, string>): MemoryLimit {
  mkdirSync(folder);
  for (const [file, text] of Object.entries(settings)) {
    if (existsSync(join(folder, file))) {
      writeFileSync(join(folder, file), text);
    }
  }
  return {
    kind,
    processes: join(folder, 'cgroup.procs'),
    nodeOptions: '',
    isExceededBy: () => false,
    remove: () => removeGroup(folder),
  };
}

function watched(bytes: number): MemoryLimit {
  const heapMiB = Math.floor(bytes / 2 ** 20 / 2);
  return {
    kind: 'heap limit and peak memory',
    nodeOptions: `--max-old-space-size=${heapMiB}`,
    isExceededBy: (pid) => peakOf(pid) > bytes,
    remove: async () => undefined,
  };
}

function peakOf(pid: number): number {
  const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kibibytes) * 1024;
}

/** The kernel takes a moment to release ended processes. */
async function removeGroup(folder: string): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    if (attempt(() => (rmdirSync(folder), true)) === true) {
      return;
    }
    await once(spawn('sleep', ['0.1']), 'exit');
  }
}

/** Without permission there is no limit. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
