import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { measureClient } from '../../src/base/telemetry-client.ts';
import { systemTimer } from '../../src/base/timer.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { DispatchEvents } from '../../src/dispatch/dispatch-events.ts';
import { createKafkaEvents } from '../../src/entry/kafka/kafka-events.ts';
import type { ClaimedDecision } from '../../src/ledger/approval-queue.ts';
import { measureState } from '../../src/service/state-metrics.ts';
import { DecideEvents } from '../../src/submit/decide-events.ts';
import { startCluster, type Json } from '../support/cluster.ts';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { openDiscordDoor } from '../support/discord-door.ts';
import { expectRun } from '../support/ledger.ts';
import { codexTask } from '../support/messages.ts';
import { readQuery, seriesOf, type Selector } from '../support/promql.ts';
import { startTestTelemetry } from '../support/telemetry.ts';
import { DEPLOY, parseManifests } from './manifests.ts';

const FOLDER = join(DEPLOY, 'components/monitoring');
const ROOT = join(DEPLOY, '..');
const [RULES] = parseManifests(readFileSync(join(FOLDER, 'alerts.yaml'), 'utf8'));
const ALERTS: readonly Json[] = RULES!['spec'].groups.flatMap((group: Json) => group.rules);
const DASHBOARD: Json = JSON.parse(readFileSync(join(FOLDER, 'dashboard.json'), 'utf8'));
const PANELS: readonly Json[] = DASHBOARD.panels.filter(({ type }: Json) => type !== 'row');

/** Every query, with the name of its alert or panel. */
const QUERIES: readonly (readonly [string, string])[] = [
  ...ALERTS.map(({ alert, expr }) => [alert, expr] as const),
  ...PANELS.flatMap(({ title, targets }) =>
    targets.map(({ expr }: Json) => [title, expr.replaceAll('$__rate_interval', '5m')] as const),
  ),
];

/** Labels that Prometheus or the receiver of pushed metrics adds. */
const ADDED = ['le', 'instance', 'job', 'namespace'];
const RUNBOOK = 'https://github.com/proompteng/facteur/blob/main/docs/runbook.md';

let database: TestDatabase | undefined;
/** The series of a facteur after some runs through every door. */
let series: ReturnType<typeof seriesOf>;
const documented = [...readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8').matchAll(/^\| `([a-z0-9_]+)`/gm)].map(
  ([, name = '']) => name,
);
afterAll(() => database?.close());

const DECISION: ClaimedDecision = {
  runId: 'r',
  key: 'k',
  fence: 1,
  namespace: 'argo',
  workflowName: 'w',
  workflowUid: 'u',
  command: 'plan',
  traceparent: '',
  nodeId: 'n',
  node: 'approve',
  startedAt: '',
  verdict: 'approved',
  decidedBy: 'ada',
  decidedAt: new Date(1000),
  requestedAt: new Date(0),
  reason: '',
  outputs: {},
  dropped: false,
  attempts: 1,
};

test('runs through every door are scraped as metrics', async () => {
  const { scrape } = await startTestTelemetry();
  // Opened after telemetry: its statements must be measured.
  database = await createTestDatabase();
  const { db } = database;
  const cluster = await startCluster({ defaults: { outcome: 'succeed', at: 1, pendingMs: 0, startMs: 0, stepMs: 0 } });
  const { discord, facteur } = await openDiscordDoor({
    ...{ db, cluster, roles: ['http', 'submit', 'follow', 'notify'] },
    env: { FACTEUR_DISCORD_REGISTER_COMMANDS: 'true' },
  });
  const { interactionId } = await discord.people.command('plan', [{ name: 'objective', value: 'x' }], {
    id: '200000000000000001',
  });
  await facteur.send(codexTask({ deliveryId: 'd1' }));
  await expectRun(db, interactionId, 'succeeded');
  await expectRun(db, 'd1', 'succeeded');
  const events = createKafkaEvents('commands', new DispatchEvents(() => ({ commands: {}, roleMap: {} }), silentLogger));
  events.committed({ partition: 0, offset: 1n });
  events.retried({ command: 'plan', code: 'postgres.unavailable' });
  events.lag(new Map([[0, 1n]]));
  measureState({
    ...{ gate: { isOpen: false }, db, logger: silentLogger, timer: systemTimer },
    rules: () => ({ commands: {}, roleMap: {} }),
    readiness: async () => ({ ready: true, checks: { kafka: 'ok' } }),
  });
  new DecideEvents(silentLogger).settled(DECISION, { kind: 'applied' });
  // A request without an answer.
  const unanswered = { method: 'PATCH', purpose: 'edit the message', url: new URL('https://discord.com') };
  await expect(measureClient('discord')(unanswered, () => Promise.reject(new Error('reset')))).rejects.toThrow('reset');
  await expect
    .poll(async () => {
      series = seriesOf(await scrape());
      return series.get('http_client_request_duration_seconds_count')?.map((labels) => labels['service_peer_name']);
    })
    .toEqual(expect.arrayContaining(['kubernetes', 'discord']));
});

test('no metric has a label that Prometheus sets for the target: it would rename ours to `exported_…`', () => {
  const target = new Set(['job', 'instance', 'namespace', 'pod', 'container', 'service', 'endpoint']);
  const clashing = [...series].filter(([, all]) =>
    all.some((labels) => Object.keys(labels).some((one) => target.has(one))),
  );
  expect(clashing.map(([name]) => name)).toEqual([]);
});

describe.each(QUERIES)('%s: %s', (_what, text) => {
  const { selectors, groupings } = readQuery(text);

  test('selects only facteur’s series', () => {
    for (const { matchers } of selectors) {
      const jobs = matchers.filter(({ label }) => label === 'job').map(({ operator, value }) => operator + value);
      expect(['=~(.+/)?facteur', '=~$job']).toContain(jobs.join());
    }
  });

  test('uses metrics that facteur emits, with their labels', () => {
    expect(selectors.length).toBeGreaterThan(0);
    for (const selector of selectors) {
      const found = matching(selector);
      expect({ selector, found }).not.toEqual({ selector, found: [] });
      const labels = found.flatMap((one) => Object.keys(one));
      for (const label of groupings.filter((one) => !ADDED.includes(one))) {
        expect(labels).toContain(label);
      }
    }
  });
});

/** The series that a selector finds. A pattern of a value matches if the label exists. */
function matching({ name, matchers }: Selector): Record<string, string>[] {
  const named = [...series].filter(([one]) => (typeof name === 'string' ? one === name : name.test(one)));
  return named
    .flatMap(([, all]) => all)
    .filter((labels) =>
      matchers.every(({ label, operator, value }) => {
        if (ADDED.includes(label)) {
          return true;
        }
        const actual = labels[label];
        return actual !== undefined && (operator !== '=' || actual === value);
      }),
    );
}

/** The names as in the documentation: of the metrics, not of their samples. */
function metricNames(): string[] {
  const names = [...series.keys()].map((name) => name.replace(/_(bucket|sum|count)$/, ''));
  return [...new Set(names)].filter((name) => !/^(target_info|v8js_|nodejs_)/.test(name)).toSorted();
}

test('docs/metrics.md lists exactly the metrics that facteur emits', () => {
  expect(documented.toSorted()).toEqual(metricNames());
});

describe.each(ALERTS)('$alert', ({ alert, expr, labels, annotations }) => {
  test('has a severity, a description, and a link to its section of the runbook', () => {
    expect(expr).toBeTypeOf('string');
    expect(['critical', 'warning', 'info']).toContain(labels.severity);
    expect(annotations.summary.length).toBeGreaterThan(10);
    expect(annotations.description.length).toBeGreaterThan(20);
    expect(annotations.runbook_url).toBe(`${RUNBOOK}#${alert.toLowerCase()}`);
    expect(readFileSync(join(ROOT, 'docs/runbook.md'), 'utf8')).toContain(`### ${alert}\n`);
  });
});

test('every alert has a unique name, and the runbook lists exactly the alerts', () => {
  const names = ALERTS.map(({ alert }) => alert);
  expect(new Set(names).size).toBe(names.length);
  const told = [...readFileSync(join(ROOT, 'docs/runbook.md'), 'utf8').matchAll(/^### (Facteur\w+)$/gm)].map(
    ([, name]) => name,
  );
  expect(told.toSorted()).toEqual(names.toSorted());
});

test('panels have unique ids and positions', () => {
  const places = DASHBOARD.panels.map(({ gridPos: { x, y } }: Json) => `${x}/${y}`);
  expect(new Set(places).size).toBe(places.length);
  expect(new Set(DASHBOARD.panels.map(({ id }: Json) => id)).size).toBe(places.length);
});
