import { defineConfig } from 'vitest/config';

// `./node_modules/.bin/vitest` typed by hand runs on whatever Node the system has, and most tests would even pass there.
if (!process.versions.node.startsWith('24.')) {
  throw new Error(
    `tests need Node 24, this is ${process.version}: use "npm test" or "npx vitest", which find the right one`,
  );
}

// What needs a real server, or kills processes: `npm run test:services` provisions the servers first.
const SERVICES_TESTS = [
  '{src,test,scripts}/**/*.services.test.ts',
  'test/conformance/**/*.test.ts',
  'test/chaos/**/*.test.ts',
];

// The embedded engine has one connection, so that nothing there ever happens at once. These run on both, on a server too.
const ON_BOTH_ENGINES = [
  'src/ledger/*.test.ts',
  'test/flow/{admission,cancel,dead-letters,durability,go-database,maintain,once,retry,runs-cli}.test.ts',
];

// Against a running stack, or one that it starts: `npm run test:e2e`.
const E2E_TESTS = ['test/e2e/**/*.test.ts'];

const shared = {
  testTimeout: 20_000,
  // A hook may start an embedded Postgres: several seconds on a busy machine with two cores.
  hookTimeout: 60_000,
  // One second, the default, is too little on a machine that is busy with the other tests.
  expect: { poll: { timeout: 10_000 } },
  // Spies never leak from one test into the next.
  restoreMocks: true,
  unstubEnvs: true,
  unstubGlobals: true,
} as const;

export default defineConfig({
  test: {
    // Processes, not threads: PGlite and the process-killing tests want one of their own, and a crash stays in its file.
    pool: 'forks',
    // One embedded Postgres takes 340 to 500 MiB and starting it a whole core.
    maxWorkers: 2,
    // A run that found nothing to run is a mistake in a pattern, not a success.
    passWithNoTests: false,
    // `.only` fails the run instead of hiding the other tests.
    allowOnly: false,
    projects: [
      {
        test: {
          ...shared,
          name: 'npm',
          include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'scripts/**/*.test.ts'],
          exclude: [...SERVICES_TESTS, ...E2E_TESTS],
        },
      },
      {
        test: {
          ...shared,
          name: 'services',
          include: [...SERVICES_TESTS, ...ON_BOTH_ENGINES],
          exclude: ['**/node_modules/**'],
        },
      },
      {
        test: {
          ...shared,
          name: 'e2e',
          include: E2E_TESTS,
        },
      },
    ],
  },
});
