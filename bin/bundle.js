// Loads the bundle of a production folder, with the code that V8 compiled of it when the folder was built. Node's own compile
// cache keeps what V8 compiles when it loads a file, but none of the functions that are called afterwards.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { constants, Script } from 'node:vm';

/** In percent of what lives. Where a machine has memory, V8 otherwise lets the heap grow up to fourfold before it collects. */
const HEAP_GROWTH = 70;
/** V8's own choice. */
const ANY_GROWTH = 0;

export class Bundle {
  #folder;
  #require;
  #chunks = new Map();
  #growth = ANY_GROWTH;

  constructor(folder) {
    this.#folder = folder;
    this.#require = createRequire(join(folder, 'main.cjs'));
  }

  /** What a chunk exports. Each is an expression: a function with the parameters of a CommonJS module. */
  load(name) {
    const known = this.#chunks.get(name);
    if (known !== undefined) {
      return known.module.exports;
    }
    const filename = join(this.#folder, name);
    setGrowth(ANY_GROWTH);
    // The build leaves only ASCII, of which V8 keeps a byte per character.
    const script = new Script(readFileSync(filename, 'latin1'), {
      filename,
      cachedData: readCode(filename),
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
    setGrowth(this.#growth);
    const module = { exports: {} };
    this.#chunks.set(name, { filename, script, module });
    const require = (specifier) =>
      specifier.startsWith('./') ? this.load(specifier.slice(2)) : this.#require(specifier);
    script.runInThisContext()(module.exports, require, module, filename, this.#folder);
    return module.exports;
  }

  /** To be called after the start: V8 refuses code that was compiled under other flags, Node's own code included. */
  limitHeapGrowth() {
    this.#growth = HEAP_GROWTH;
    setGrowth(HEAP_GROWTH);
  }

  /** Leaves beside each loaded chunk the code that V8 has compiled of it so far. */
  saveCode() {
    for (const { filename, script } of this.#chunks.values()) {
      writeFileSync(codeOf(filename), script.createCachedData());
    }
  }
}

function setGrowth(percent) {
  setFlagsFromString(`--heap-growing-percent=${percent}`);
}

/** Undefined while the folder is built. V8 refuses what another version of it compiled, and compiles again. */
function readCode(filename) {
  try {
    return readFileSync(codeOf(filename));
  } catch (error) {
    if (error.code === 'ENOENT') {
      return undefined;
    }
    throw error;
  }
}

function codeOf(filename) {
  return `${filename}.code`;
}
