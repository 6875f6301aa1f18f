import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

const FOLDER = join(import.meta.dirname, '../../.github/workflows');
const WORKFLOWS = readdirSync(FOLDER).map((name) => ({ name, text: readFileSync(join(FOLDER, name), 'utf8') }));

interface Job {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly 'timeout-minutes'?: number;
  /** Missing in a job that calls one of our workflows. */
  readonly steps?: readonly {
    readonly uses?: string;
    readonly run?: string;
    readonly with?: Readonly<Record<string, unknown>>;
  }[];
}

function jobsOf(text: string): readonly Job[] {
  return Object.values((parse(text) as { readonly jobs: Readonly<Record<string, Job>> }).jobs);
}

test('finds the workflows', () => {
  expect(WORKFLOWS.map(({ name }) => name)).toEqual(['image.yml', 'release.yml', 'test.yml']);
});

describe.each(WORKFLOWS)('$name', ({ text }) => {
  const jobs = jobsOf(text);

  test('pins every action to a commit, with its release in a comment', () => {
    const uses = text.split('\n').filter((line) => line.includes('uses:') && !line.includes('uses: $/'));
    expect(uses.length).toBeGreaterThan(1);
    expect(uses.filter((line) => !/uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(line))).toEqual([]);
  });

  test('uses one release of each action', () => {
    const uses = jobs.flatMap(({ steps = [] }) => steps.flatMap((step) => step.uses ?? []));
    const commits = Map.groupBy(uses, (use) => use.split('@')[0]);
    expect([...commits].filter(([, all]) => new Set(all).size > 1)).toEqual([]);
  });

  test('grants rights only per job, and every job has a timeout', () => {
    expect(parse(text).permissions).toEqual({});
    expect(jobs.filter(({ permissions }) => !['read', 'write'].includes(permissions?.['contents'] ?? ''))).toEqual([]);
    expect(jobs.filter((job) => job.steps !== undefined && job['timeout-minutes'] === undefined)).toEqual([]);
  });

  test('keeps no credentials in a checkout, and has no expressions in scripts', () => {
    const steps = jobs.flatMap((job) => job.steps ?? []);
    const checkouts = steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'));
    expect(checkouts.filter((step) => step.with?.['persist-credentials'] !== false)).toEqual([]);
    expect(steps.filter(({ run }) => run?.includes('${{'))).toEqual([]);
  });
});

test('runs the same tests as .ci/run', () => {
  const { text } = WORKFLOWS.find(({ name }) => name === 'test.yml')!;
  expect(text).toContain('run: bash .ci/run\n');
  expect(text).toContain('run: npm run test:e2e\n');
});

test('builds the image for both architectures, with provenance, an SBOM and the commit', () => {
  const { text } = WORKFLOWS.find(({ name }) => name === 'image.yml')!;
  expect(
    parse(text).jobs.build.strategy.matrix.include.map((one: { architecture: string }) => one.architecture),
  ).toEqual(['amd64', 'arm64']);
  const build = jobsOf(text)[0]?.steps?.find(({ uses }) => uses?.startsWith('docker/build-push-action@'));
  expect(build?.with).toMatchObject({ provenance: 'mode=max', sbom: true });
  expect(build?.with?.['build-args']).toContain('FACTEUR_COMMIT=${{ github.sha }}');
});

test('only a release may write to the repository', () => {
  const writing = WORKFLOWS.filter(({ text }) =>
    jobsOf(text).some(({ permissions }) => permissions?.['contents'] === 'write'),
  );
  expect(writing.map(({ name }) => name)).toEqual(['release.yml']);
});

test('a push that changes files of the image builds it, in a workflow with the Go service’s name', () => {
  const { name, on } = parse(WORKFLOWS.find((one) => one.name === 'image.yml')!.text);
  expect(name).toBe('Facteur Docker Build and Push');
  const copied = [
    ...readFileSync(join(FOLDER, '../../Dockerfile'), 'utf8').matchAll(/^COPY (?!--)(.+) \S+$/gm),
  ].flatMap(([, sources = '']) => sources.split(' '));
  expect(on.push.paths.map((path: string) => path.replace('/**', ''))).toEqual(expect.arrayContaining(copied));
});

test('Dependabot updates everything that is pinned, a week after a release', () => {
  const { updates } = parse(readFileSync(join(FOLDER, '../dependabot.yml'), 'utf8'));
  const ecosystems = updates.map((one: { 'package-ecosystem': string }) => one['package-ecosystem']);
  expect(ecosystems).toEqual(['npm', 'docker', 'docker-compose', 'github-actions', 'gomod']);
  expect(updates.filter((one: { cooldown?: Record<string, number> }) => one.cooldown?.['default-days'] !== 7)).toEqual(
    [],
  );
});
