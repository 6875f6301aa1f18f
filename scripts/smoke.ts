/**
 * The last check before a release: copies the production folder out of the repository, starts it, sends it an event, and stops it
 * like Kubernetes.
 *
 * `node scripts/smoke.ts [OUT]` checks `out`, or the given folder.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { postEvent, startProduction } from './production.ts';
import type { Answer, Production } from './production.ts';

interface Check {
  readonly name: string;
  /** Empty on success. */
  readonly fault: string;
}

/** Runs every check on a copy of the folder; a check that cannot run counts as failed. */
export async function smoke(out: string): Promise<Check[]> {
  const folder = mkdtempSync(join(tmpdir(), 'facteur-smoke-'));
  try {
    cpSync(out, folder, { recursive: true });
    return await checkFolder(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function checkFolder(folder: string): Promise<Check[]> {
  let facteur: Production;
  try {
    facteur = await startProduction(folder);
  } catch (error) {
    return [{ name: 'becomes ready', fault: String(error) }];
  }
  const checks = [
    { name: `becomes ready (${facteur.readyMs} ms)`, fault: '' },
    ...(await checkEvents(facteur.url)),
    ...(await checkStop(facteur)),
  ];
  return checks;
}

async function checkEvents(url: string): Promise<Check[]> {
  const first = await postEvent(url, 'smoke-1');
  const second = await postEvent(url, 'smoke-1');
  const names = [first, second].map(({ body }) => body['workflowName']);
  return [
    { name: 'accepts an event', fault: expected(first.status === 202 && names[0] !== undefined, first) },
    {
      name: 'recognizes a redelivery',
      fault: expected(second.status === 202 && second.body['duplicate'] === true && names[0] === names[1], second),
    },
  ];
}

function expected(holds: boolean, answer: Answer): string {
  return holds ? '' : `answered ${answer.status} ${JSON.stringify(answer.body)}`;
}

async function checkStop(facteur: Production): Promise<Check[]> {
  const { code, log } = await facteur.stop();
  return [{ name: 'stops with 0 on SIGTERM', fault: code === 0 ? '' : `ended with ${code}, having printed:\n${log}` }];
}

if (import.meta.main) {
  const checks = await smoke(process.argv[2] ?? join(import.meta.dirname, '../out'));
  for (const { name, fault } of checks) {
    console.log(fault === '' ? `ok   ${name}` : `FAIL ${name}: ${fault}`);
  }
  const failed = checks.filter(({ fault }) => fault !== '').length;
  console.log(`smoke: ${checks.length - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}
