import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Creates a directory and its parents unless they exist. Node's recursive `mkdir` never returns below a directory that accepts no
 * entries, such as `/proc`, and no signal stops it.
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
    // Another process may have created it meanwhile.
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
