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
 * The rate per second at which PostgreSQL's own load generator executes the ledger's statement, one run each: the limit without
 * Node, driver and Kafka.
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
    // As in facteur's own sessions: a plan made for empty tables would scan them for each run.
    const env = { ...process.env, PGOPTIONS: '-c enable_seqscan=off' };
    const { stdout } = await promisify(execFile)(executable, flags, { env });
    return Number(/tps = ([\d.]+)/.exec(stdout)?.[1]);
  } finally {
    await unlink(script);
  }
}

/** The ledger's statement, with a random number of pgbench in place of the values that must be unique per run. */
async function recordScript(): Promise<string> {
  const run = commandNewRun();
  const sent: Statement[] = [];
  await recordTogether({ query: async (statement) => (sent.push(statement), { rows: [], rowCount: 0 }) }, [
    prepareRun({ run, claim: true }),
  ]);
  // With spaces and a leading digit, because pgbench treats ":false" and "command:NUMBER" as variables.
  const input = JSON.stringify(JSON.parse(String(sent[0]?.values?.[0])), null, 1)
    .replaceAll(run.deliveryId, '0NUMBER')
    .replace(/"workflow_name": "[^"]+"/, '"workflow_name": "bench-0NUMBER"');
  return (sent[0]?.text ?? '').replace('$1::json', `replace($input$${input}$input$, '0NUMBER', (:n)::text)::json`);
}
