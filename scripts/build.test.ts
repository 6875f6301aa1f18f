import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildProduction } from './build.ts';
import { smoke } from './smoke.ts';

/** A one-file service that behaves like facteur from the outside, in a repository with the same layout. */
const GOOD = {
  accept: `answer(202, { workflowName: 'plan-1', duplicate: seen++ > 0 })`,
  stop: `server.close()`,
};

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'build-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function repository({ accept, stop }: typeof GOOD): string {
  const root = mkdtempSync(join(folder, 'repo-'));
  mkdirSync(join(root, 'src'));
  mkdirSync(join(root, 'migrations'));
  cpSync(join(import.meta.dirname, '../bin'), join(root, 'bin'), { recursive: true });
  symlinkSync(join(import.meta.dirname, '../node_modules'), join(root, 'node_modules'));
  writeFileSync(join(root, 'package.json'), '{"name":"tiny","version":"1.2.3","type":"module","scripts":{}}');
  writeFileSync(join(root, 'migrations/000001_first.sql'), 'SELECT 1');
  writeFileSync(
    join(root, 'src/lazy.ts'),
    `export const load = () => Promise.all([import('@electric-sql/pglite'), import('@electric-sql/pglite/nodefs'), import('@platformatic/kafka')]);`,
  );
  writeFileSync(
    join(root, 'src/main.ts'),
    `import { createServer } from 'node:http';
     import { readdirSync } from 'node:fs';
     let seen = 0;
     export async function main(): Promise<void> {
       await (await import('./lazy.ts')).load();
       const [host, port] = process.env['FACTEUR_SERVER_LISTEN_ADDRESS']!.split(':');
       const server = createServer((request, response) => {
         if (request.url === '/nowhere') process.once('exit', () => console.log('only where nobody calls'));
         const answer = (status: number, body: unknown) => response.writeHead(status).end(JSON.stringify(body));
         if (request.url === '/readyz') {
           answer(readdirSync(new URL('../migrations/', import.meta.url)).length === 1 ? 200 : 503, {});
         } else {
           response.setHeader('x-said', 'only in a request');
           ${accept};
         }
       }).listen(Number(port), host);
       process.once('SIGTERM', () => { console.log('stopping'); ${stop}; });
     }`,
  );
  return root;
}

describe('a built folder', () => {
  let out: string;

  beforeAll(async () => {
    out = join(folder, 'good');
    await buildProduction(repository(GOOD), out);
  });

  test('contains what production needs and no sources', () => {
    expect(readdirSync(out).toSorted()).toEqual(['bin', 'dist', 'migrations', 'node_modules', 'package.json']);
    expect(JSON.parse(readFileSync(join(out, 'package.json'), 'utf8'))).toMatchObject({
      version: '1.2.3',
      type: 'module',
    });
  });

  test('has the compiled code of every chunk, with the functions that a request calls, and V8 accepts it', () => {
    const dist = join(out, 'dist');
    const chunks = readdirSync(dist).filter((name) => name.endsWith('.cjs'));
    expect(chunks).toContain('main.cjs');
    // In its own process: V8 accepts only code that was saved with the same flags.
    const look = `
      import { readFileSync } from 'node:fs';
      import { Script } from 'node:vm';
      import { Bundle } from './bin/bundle.js';
      new Bundle(process.cwd() + '/dist');
      const isRejected = (name) => new Script(readFileSync('dist/' + name, 'latin1'), {
        cachedData: readFileSync('dist/' + name + '.code'),
      }).cachedDataRejected;
      console.log(JSON.stringify(${JSON.stringify(chunks)}.filter(isRejected)));`;
    const options = { cwd: out, encoding: 'utf8' } as const;
    const rejected = execFileSync(process.execPath, ['--input-type=module', '--eval', look], options);
    expect(JSON.parse(rejected)).toEqual([]);
    const code = readFileSync(join(dist, 'main.cjs.code'), 'latin1');
    expect(code).toContain('only in a request');
    expect(code).not.toContain('only where nobody calls');
  });

  test('keeps lazily loaded code in its own chunks, and has source maps', () => {
    const files = readdirSync(join(out, 'dist'));
    expect(files).toContain('main.cjs');
    expect(files.filter((name) => /^lazy-.*\.cjs$/.test(name))).toHaveLength(1);
    expect(existsSync(join(out, 'dist/main.cjs.map'))).toBe(true);
    // If it were bundled, the embedded Postgres would not find its data files.
    expect(files.filter((name) => /pglite|nodefs/.test(name))).toEqual([]);
  });

  test('passes the smoke test', async () => {
    const checks = await smoke(out);
    expect(checks.filter(({ fault }) => fault !== '')).toEqual([]);
    expect(checks).toHaveLength(4);
  });
});

describe('the smoke test finds', () => {
  /** Runs the broken sources without a build: a build that does not start and stop is already refused. */
  async function faults(broken: Partial<typeof GOOD>): Promise<string[]> {
    const out = mkdtempSync(join(folder, 'bad-'));
    const root = repository({ ...GOOD, ...broken });
    cpSync(join(root, 'bin'), join(out, 'bin'), { recursive: true });
    cpSync(join(root, 'src'), join(out, 'src'), { recursive: true });
    cpSync(join(root, 'migrations'), join(out, 'migrations'), { recursive: true });
    cpSync(join(root, 'package.json'), join(out, 'package.json'));
    symlinkSync(join(root, 'node_modules'), join(out, 'node_modules'));
    return (await smoke(out)).flatMap(({ name, fault }) => (fault === '' ? [] : [`${name}: ${fault}`]));
  }

  test('an answer other than 202', async () => {
    expect(await faults({ accept: `answer(500, { error: 'dispatch failed' })` })).toEqual([
      'accepts an event: answered 500 {"error":"dispatch failed"}',
      'recognizes a redelivery: answered 500 {"error":"dispatch failed"}',
    ]);
  });

  test('a repeated event that creates a second workflow', async () => {
    expect(await faults({ accept: `answer(202, { workflowName: 'plan-' + seen++, duplicate: true })` })).toEqual([
      'recognizes a redelivery: answered 202 {"workflowName":"plan-1","duplicate":true}',
    ]);
  });

  test('a stop that is not graceful, with the output', async () => {
    expect(await faults({ stop: 'process.exit(7)' })).toEqual([
      'stops with 0 on SIGTERM: ended with 7, having printed:\nstopping\n',
    ]);
  });

  test('a start that fails, with the reason', async () => {
    const [fault] = await faults({ accept: `syntax error` });
    expect(fault).toContain('becomes ready: Error: facteur was never ready, and ended with 1:');
  });
});

test('rejects a build that does not stop cleanly', async () => {
  const root = repository({ ...GOOD, stop: 'process.exit(7)' });
  await expect(buildProduction(root, join(folder, 'unclean'))).rejects.toThrow('ended with 7');
});
