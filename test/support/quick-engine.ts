/**
 * For a process with an embedded Postgres that runs for seconds: optimizing the engine's WebAssembly takes longer than it
 * saves.
 */
export const QUICK_ENGINE: readonly string[] = ['--liftoff-only'];
