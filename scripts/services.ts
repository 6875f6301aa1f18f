/**
 * Real servers for the tests that need them.
 *
 *   node scripts/services.ts up            starts what is absent, and prints the variables for a shell to eval
 *   node scripts/services.ts status
 *   node scripts/services.ts down          stops what `up` started
 *   node scripts/services.ts run -- CMD…   starts what is absent, runs the command, stops it again; CMD's exit code
 *
 * A service whose variable is already set is used as it is, and never stopped. The others run in containers by Docker Compose if
 * an engine runs and FACTEUR_SERVICES is not `local`; else they are installed and started on this machine. FACTEUR_SERVICES_ONLY
 * selects services, separated by commas: unused ones would disturb a bench.
 */
import { ROOT, runCommandLine } from './services/command-line.ts';
import { kafka } from './services/kafka.ts';
import { pgbouncer } from './services/pgbouncer.ts';
import { postgres } from './services/postgres.ts';
import { redis } from './services/redis.ts';

const only = process.env['FACTEUR_SERVICES_ONLY']?.split(',');

await runCommandLine(
  {
    name: 'services',
    state: ROOT,
    services: [postgres, redis, kafka, pgbouncer].filter(({ name }) => only?.includes(name) ?? true),
    containers: process.env['FACTEUR_SERVICES'] !== 'local',
  },
  process.argv.slice(2),
);
