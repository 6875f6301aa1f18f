/**
 * Counts passed and failed tests in vitest's JSON report. A test that was skipped, or never ran because its file could not be
 * loaded, counts as failed.
 *
 * `node scripts/count-tests.ts REPORT.json` prints `PASSED FAILED`, and the failures that vitest does not report as such.
 */
import { readFileSync } from 'node:fs';

interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

/** The totals of a report; `unseen` has lines about failures that vitest does not report as such. */
export interface TestCount {
  readonly passed: number;
  readonly failed: number;
  readonly unseen: readonly string[];
}

/** Adds up a report. Only tests with the status `passed` count as passed. */
export function countTests(report: Report): TestCount {
  const tests = report.testResults.flatMap((file) =>
    file.assertionResults.map((test) => ({ file: file.name, ...test })),
  );
  const skipped = tests
    .filter(({ status }) => status !== 'passed' && status !== 'failed')
    .map(({ file, fullName, status }) => `${status}: ${file} > ${fullName}`);
  const broken = report.testResults
    .filter(
      ({ status, assertionResults }) =>
        status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
    )
    .map(({ name, message }) => `did not load: ${name} ${message ?? ''}`.trimEnd());
  const passed = tests.filter(({ status }) => status === 'passed').length;
  return { passed, failed: tests.length - passed + broken.length, unseen: [...skipped, ...broken] };
}

if (import.meta.main) {
  const { passed, failed, unseen } = countTests(JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Report);
  for (const line of unseen) {
    console.error(line);
  }
  console.log(`${passed} ${failed}`);
}
