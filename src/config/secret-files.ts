import { fileProblem } from '../base/errors.ts';
import { fileVariableOf, read, type Environment } from './environment.ts';
import type { Fault } from './fault.ts';
import type { KeyInfo } from './keys.ts';

/**
 * Adds the secrets that are mounted as files, as in Kubernetes and Docker, to the environment: a file is not visible in a process
 * list or a crash report, and can be rotated.
 */
export async function withSecretFiles(
  env: Environment,
  keys: readonly KeyInfo[],
  readFile: (path: string) => Promise<string>,
): Promise<{ readonly env: Environment; readonly faults: readonly Fault[] }> {
  const found: Record<string, string> = {};
  const faults: Fault[] = [];
  for (const info of keys) {
    const variable = fileVariableOf(info);
    const path = variable === undefined ? undefined : read(env, variable);
    if (variable === undefined || path === undefined) {
      continue;
    }
    const text = await readFile(path).catch((error: unknown) => ({ error }));
    const problem = problemOf(text, read(env, info.variable) === undefined ? undefined : info.variable);
    if (problem !== undefined) {
      faults.push({ variable, key: info.key, message: `${info.key}: ${problem}` });
    } else if (typeof text === 'string') {
      found[info.variable] = text.trim();
    }
  }
  return { env: { ...env, ...found }, faults };
}

function problemOf(text: string | { readonly error: unknown }, rival: string | undefined): string | undefined {
  if (rival !== undefined) {
    return `${rival} is set, too; set only one of them`;
  }
  if (typeof text !== 'string') {
    // The system's message contains the path, which may be the secret itself by mistake.
    return `cannot read the file: ${fileProblem(text.error, 'input/output error')}`;
  }
  return text.trim() === '' ? 'the file is empty' : undefined;
}
