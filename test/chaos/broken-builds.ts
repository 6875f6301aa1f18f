import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../support/facteur-process.ts';

/** A replacement of one text in a source file. */
export interface Patch {
  readonly file: string;
  /** Must occur in the file exactly once. */
  readonly find: string;
  readonly replace: string;
}

/**
 * Three ways to break facteur, to prove that the checker notices. They are text replacements, because the product should
 * not contain a switch for them.
 */
export const BROKEN_BUILDS = {
  /** Each delivery is recorded under an id of its own: every redelivery is new. */
  'dedupe off': {
    file: 'src/ledger/record-run.ts',
    find: 'delivery_key: deliveryKey(run.family, deliveryId),',
    replace: `delivery_key: deliveryKey(run.family, deliveryId) + '#' + crypto.randomUUID(),`,
  },
  /** The sender gets 202 before the run is recorded. */
  'acknowledge before commit': {
    file: 'src/entry/http/intake.ts',
    find: 'const receipt = await intake.accept();',
    replace: `const accepting = intake.accept().catch(() => undefined);
    const receipt = (await Promise.race([accepting, Promise.resolve()])) ?? ({ state: 'queued', acceptedAt: new Date(0) } as RunReceipt);`,
  },
  /** Every process that claims the lease gets it. */
  'no lease': {
    file: 'src/ledger/leases.ts',
    find: 'WHERE lease.holder = EXCLUDED.holder OR lease.expires_at <= now()',
    replace: 'WHERE true',
  },
} as const satisfies Record<string, Patch>;

/** A copy of this checkout with one patch, in a folder of its own. */
export interface BrokenBuild {
  readonly executable: string;
  remove(): void;
}

/** @throws Error if the text to replace does not occur exactly once: update the patch to match the source */
export function makeBrokenBuild({ file, find, replace }: Patch): BrokenBuild {
  const root = join(import.meta.dirname, '..', '..');
  const folder = temporaryFolder();
  for (const part of ['bin', 'src', 'migrations', 'package.json']) {
    cpSync(join(root, part), join(folder.path, part), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(folder.path, 'node_modules'));
  const path = join(folder.path, file);
  const parts = readFileSync(path, 'utf8').split(find);
  if (parts.length !== 2) {
    folder.remove();
    throw new Error(`"${find}" stands ${parts.length - 1} times in ${file}, not once`);
  }
  writeFileSync(path, parts.join(replace));
  return { executable: join(folder.path, 'bin', 'facteur'), remove: folder.remove };
}
