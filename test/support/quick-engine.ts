/**
 * For a process with an embedded Postgres that lives for seconds: to optimize the engine's WebAssembly takes longer than
 * that process ever saves by it.
 */
export const QUICK_ENGINE: readonly string[] = ['--liftoff-only'];
