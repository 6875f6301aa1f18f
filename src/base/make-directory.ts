import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Makes a directory, and those above it, unless it is there. Node's own way to do that never ends below a directory
 * that takes no entries, such as `/proc`, and no signal stops it.
 */
export async function makeDirectory(path: string): Promise<void> {
  if (await isDirectory(path)) {
    return;
  }
  if (dirname(path) !== path) {
    await makeDirectory(dirname(path));
  }
  try {
    await mkdir(path);
  } catch (error) {
    // Somebody else may have been faster.
    if (!(await isDirectory(path))) {
      throw error;
    }
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}
