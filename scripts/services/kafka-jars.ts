/** Installs what a Kafka broker needs on this machine: Java, and the jars that pom.xml lists. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ServiceContext } from './service.ts';

const HERE = join(import.meta.dirname, 'kafka');
const POM = join(HERE, 'pom.xml');

/** Downloads the jars into the cache, once, and verifies their checksums. Returns their folder. */
export function ensureKafkaJars(context: ServiceContext): string {
  const { cache, say } = context;
  const sums = expectedSums();
  // Named after its contents, so that a version change causes a new download.
  const folder = join(cache, `kafka-jars-${sha256(Buffer.from([...sums.entries()].join('\n'))).slice(0, 12)}`);
  if (!existsSync(folder)) {
    say('fetching the Kafka broker (once)');
    const draft = mkdtempSync(join(cache, 'kafka-jars-draft-'));
    ensureCommand(context, 'mvn', 'maven');
    fetchJars(draft);
    checkJars(draft, sums);
    renameSync(draft, folder);
  }
  return folder;
}

/** Installs a Java runtime with apt if there is none. The default of current distributions is 17 or newer. */
export function ensureJava(context: ServiceContext): void {
  ensureCommand(context, 'java', 'default-jre-headless');
}

function fetchJars(target: string): void {
  execFileSync(
    'mvn',
    ['-B', '-q', '-f', POM, 'dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${target}`],
    // Maven prints errors to standard output, which has only the variables here.
    { stdio: ['ignore', process.stderr, process.stderr] },
  );
}

function ensureCommand({ say }: ServiceContext, command: string, debianPackage: string): void {
  if (spawnSync(command, ['-version'], { stdio: 'ignore' }).status === 0) {
    return;
  }
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    throw new Error(`the test broker needs "${command}": install it (Debian package ${debianPackage}) and try again`);
  }
  say(`installing ${debianPackage} (once)`);
  const apt = (...args: string[]): Buffer =>
    execFileSync('apt-get', ['-qq', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  apt('update');
  apt('install', '-y', '--no-install-recommends', debianPackage);
}

/** File name -> SHA-256, in the format of `sha256sum`. */
function expectedSums(): Map<string, string> {
  const lines = readFileSync(join(HERE, 'SHA256SUMS'), 'utf8').trim().split('\n');
  return new Map(
    lines.map((line) => {
      const [sum = '', name = ''] = line.split(/\s+/);
      return [name, sum];
    }),
  );
}

function checkJars(folder: string, sums: ReadonlyMap<string, string>): void {
  const found = readdirSync(folder).toSorted();
  const wrong = found.filter((name) => sums.get(name) !== sha256(readFileSync(join(folder, name))));
  const missing = [...sums.keys()].filter((name) => !found.includes(name));
  if (wrong.length + missing.length > 0) {
    rmSync(folder, { recursive: true });
    throw new Error(`the broker's jars are not those of SHA256SUMS: ${[...wrong, ...missing].join(', ')}`);
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
