import { execFileSync } from 'node:child_process';
import { QUICK_ENGINE } from './quick-engine.ts';

/** Runs once, before the workers start: on a new machine each would create the same snapshots at the same time. */
export function setup(): void {
  const module = new URL('database.ts', import.meta.url).href;
  const script = `await (await import(${JSON.stringify(module)})).makeSnapshots()`;
  execFileSync(process.execPath, [...QUICK_ENGINE, '--input-type=module', '--eval', script], { stdio: 'inherit' });
}
