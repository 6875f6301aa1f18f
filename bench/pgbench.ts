import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFile, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Statement } from '../src/clients/postgres/database.ts';
import { prepareRun, recordTogether } from '../src/ledger/record-run.ts';
import { commandNewRun } from './requests.ts';

/**
 * How often a second PostgreSQL's own load generator gets the ledger's statement done, one run each, with so many
 * clients: what is possible without Node, without a driver and without Kafka.
 */
export async function recordByPgbench(dsn: string, clients: number, seconds: number): Promise<number> {
  const executable = process.env['FACTEUR_TEST_PGBENCH'];
  if (executable === undefined) {
    throw new Error(
      'this bench needs FACTEUR_TEST_PGBENCH: run it by "FACTEUR_SERVICES=local node scripts/services.ts run -- …"',
    );
  }
  const script = join(tmpdir(), `facteur-pgbench-${randomUUID()}.sql`);
  await writeFile(script, `\\set n random(1, 1000000000000000)\n${await recordScript()};\n`);
  const flags = [
    '-n',
    '-M',
    'prepared',
    '-j',
    '2',
    '-c',
    String(clients),
    '-T',
    String(Math.ceil(seconds)),
    '-f',
    script,
    dsn,
  ];
  try {
    // As facteur's own sessions: a plan that was made while the tables were empty would read all of them for each run.
    const env = { ...process.env, PGOPTIONS: '-c enable_seqscan=off' };
    const { stdout } = await promisify(execFile)(executable, flags, { env });
    return Number(/tps = ([\d.]+)/.exec(stdout)?.[1]);
  } finally {
    await unlink(script);
  }
}

/** The statement as the ledger sends it, with a number that pgbench draws in place of what must differ from run to run. */
async function recordScript(): Promise<string> {
  const run = commandNewRun();
  const sent: Statement[] = [];
  await recordTogether({ query: async (statement) => (sent.push(statement), { rows: [], rowCount: 0 }) }, [
    prepareRun({ run, claim: true }),
  ]);
  // Spaced out and with a digit first, for pgbench takes ":false" and "command:NUMBER" for variables.
  const input = JSON.stringify(JSON.parse(String(sent[0]?.values?.[0])), null, 1)
    .replaceAll(run.deliveryId, '0NUMBER')
    .replace(/"workflow_name": "[^"]+"/, '"workflow_name": "bench-0NUMBER"');
  return (sent[0]?.text ?? '').replace('$1::json', `replace($input$${input}$input$, '0NUMBER', (:n)::text)::json`);
}
