/** Brings what a Kafka broker needs onto this machine: Java, and the jars that pom.xml lists. */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const HERE = join(import.meta.dirname, 'kafka');
const POM = join(HERE, 'pom.xml');

/** Jars of the expected checksums, fetched once into `cache` and found there from then on. Returns their folder. */
export function ensureKafkaJars(cache: string): string {
  const sums = expectedSums();
  // Named after what is in it, so that a change of version fetches anew.
  const folder = join(cache, `kafka-jars-${sha256(Buffer.from([...sums.entries()].join('\n'))).slice(0, 12)}`);
  if (!existsSync(folder)) {
    const draft = mkdtempSync(join(cache, 'kafka-jars-draft-'));
    fetchJars(draft);
    checkJars(draft, sums);
    renameSync(draft, folder);
  }
  return folder;
}

/** Installs a Java runtime with apt where there is none. The distribution's default is 17 or newer wherever it is current. */
export function ensureJava(): void {
  ensureCommand('java', 'default-jre-headless');
}

function fetchJars(target: string): void {
  ensureCommand('mvn', 'maven');
  execFileSync(
    'mvn',
    ['-B', '-q', '-f', POM, 'dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${target}`],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
}

function ensureCommand(command: string, debianPackage: string): void {
  if (spawnSync(command, ['-version'], { stdio: 'ignore' }).status === 0) {
    return;
  }
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    throw new Error(`the test broker needs "${command}": install it (Debian package ${debianPackage}) and try again`);
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  execFileSync('apt-get', ['-qq', 'update'], { stdio: 'inherit', env });
  execFileSync('apt-get', ['-qq', 'install', '-y', '--no-install-recommends', debianPackage], {
    stdio: 'inherit',
    env,
  });
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
