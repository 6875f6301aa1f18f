/**
 * Runs the bundle of a production folder like its executable, and at the end saves the code that V8 compiled next to each chunk:
 * `node scripts/record-code.ts FOLDER ARGUMENTS`.
 */
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setFlagsFromString } from 'node:v8';

/** `bin/bundle.js` of the folder. */
interface Loader {
  readonly Bundle: new (folder: string) => {
    load(name: string): unknown;
    saveCode(): void;
  };
}

// Otherwise V8 forgets the code of functions that ran only once, at the start.
setFlagsFromString('--no-flush-bytecode');
const [node = '', , folder = '', ...args] = process.argv;
const dist = join(resolve(folder), 'dist');
const { Bundle } = (await import(pathToFileURL(join(resolve(folder), 'bin/bundle.js')).href)) as Loader;
const bundle = new Bundle(dist);
process.argv = [node, join(resolve(folder), 'bin/facteur'), ...args];
process.once('exit', () => {
  // Chunks that this run did not use, such as the Kafka client.
  for (const name of readdirSync(dist).filter((file) => file.endsWith('.cjs'))) {
    bundle.load(name);
  }
  // V8 accepts only code that was saved with its current flags.
  setFlagsFromString('--flush-bytecode');
  bundle.saveCode();
});
await (bundle.load('main.cjs') as { readonly main: () => Promise<void> }).main();
