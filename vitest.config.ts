import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

// `./node_modules/.bin/vitest` typed by hand runs on whatever Node the system has, and most tests would even pass there.
if (!process.versions.node.startsWith('24.')) {
  throw new Error(
    `tests need Node 24, this is ${process.version}: use "npm test" or "npx vitest", which find the right one`,
  );
}

// What needs a real server, or kills processes: `npm run test:services` provisions the servers first.
const SERVICES_TESTS = ['{src,test,scripts}/**/*.services.test.ts', 'test/chaos/**/*.test.ts'];

// The embedded engine has one connection, so that nothing there ever happens at once. These run on both, on a server too.
const ON_BOTH_ENGINES = [
  'src/ledger/*.test.ts',
  'test/flow/{admission,approvals-race,cancel,dead-letters,durability,go-database,go-deliveries,knowledge-feedback,knowledge-loop,knowledge-review,late-create,maintain,once,retry,run-stream,runs-cli}.test.ts',
];

// Against a running stack, or one that it starts: `npm run test:e2e`.
const E2E_TESTS = ['test/e2e/**/*.test.ts'];

// Against a real API server with a real Argo controller: `npm run test:cluster` builds and starts them first.
const CLUSTER_TESTS = ['test/cluster/**/*.test.ts', 'test/conformance/*.real.test.ts'];

// They wait for most of their time, or start processes one after the other: begun last, they would run on alone.
const LONGEST = [
  'flow/sandbox',
  'flow/approvals',
  'flow/approvals-applied',
  'flow/discord-pings',
  'flow/cluster-trouble',
  'flow/discord-buttons',
  'conformance/cluster',
].map((name) => `/test/${name}.test.ts`);

/** Without results of an earlier run, as on a new machine, vitest would begin with the largest files. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): boolean => LONGEST.some((path) => moduleId.endsWith(path));
    // oxlint-disable-next-line unicorn/no-array-sort -- not an array's
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

const shared = {
  // These say nothing about how fast anything has to be: a test that hangs ends some time, on the busiest machine.
  testTimeout: 180_000,
  hookTimeout: 180_000,
  expect: { poll: { timeout: 90_000, interval: 20 } },
  // Spies never leak from one test into the next.
  restoreMocks: true,
  unstubEnvs: true,
  unstubGlobals: true,
} as const;

/** What `vi.waitFor` lacks a setting for. */
const setupFiles = ['test/support/patience.ts'];

export default defineConfig({
  test: {
    // Processes, not threads: PGlite and the process-killing tests want one of their own, and a crash stays in its file.
    pool: 'forks',
    sequence: { sequencer: LongestFirst },
    // One embedded Postgres takes 230 to 390 MiB. `npm test` has eight workers, since most of its tests wait more than they work;
    // those of the other suites work, or have servers that do.
    maxWorkers: 2,
    // A run that found nothing to run is a mistake in a pattern, not a success.
    passWithNoTests: false,
    // `.only` fails the run instead of hiding the other tests.
    allowOnly: false,
    projects: [
      {
        test: {
          ...shared,
          setupFiles,
          globalSetup: 'test/support/make-snapshots.ts',
          name: 'npm',
          // A worker serves many files: loading the product and starting a database for each took half of all the time. A test
          // leaves nothing behind that the next one could see.
          isolate: false,
          include: ['src/**/*.test.ts', 'sandbox/**/*.test.ts', 'test/**/*.test.ts', 'scripts/**/*.test.ts'],
          exclude: [...SERVICES_TESTS, ...E2E_TESTS, ...CLUSTER_TESTS],
        },
      },
      {
        test: {
          ...shared,
          setupFiles,
          name: 'services',
          include: [...SERVICES_TESTS, ...ON_BOTH_ENGINES],
          exclude: ['**/node_modules/**'],
        },
      },
      {
        test: {
          ...shared,
          setupFiles,
          name: 'e2e',
          include: E2E_TESTS,
        },
      },
      {
        test: {
          ...shared,
          setupFiles,
          name: 'cluster',
          include: CLUSTER_TESTS,
        },
      },
    ],
  },
});
