import * as fc from 'fast-check';
import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { expect, onTestFinished, test } from 'vitest';
import { createLogger } from './logger.ts';
import type { LogSink } from './logger.ts';
import { readableLog } from './readable-log.ts';
import { Secret } from './secret.ts';

function collect(): { lines: string[]; sink: LogSink } {
  const lines: string[] = [];
  return { lines, sink: { write: (line) => lines.push(line) } };
}

test('writes one JSON object per line, with the fields of child loggers', () => {
  const { lines, sink } = collect();
  const logger = createLogger('info', sink).child({ traceId: 'abc' }).child({ runId: 'r-1' });
  logger.info({ attempt: 2 }, 'workflow submitted');
  expect(lines).toHaveLength(1);
  expect(lines[0]?.endsWith('\n')).toBe(true);
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    traceId: 'abc',
    runId: 'r-1',
    attempt: 2,
    message: 'workflow submitted',
  });
});

test('adds the current trace to a line, unless the line sets another', async () => {
  const { lines, sink } = collect();
  const logger = createLogger('info', sink);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager());
  onTestFinished(() => context.disable());
  const span = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', traceFlags: 1 };
  context.with(trace.setSpanContext(ROOT_CONTEXT, span), () => {
    logger.info({}, 'a');
    logger.info({ traceId: 'other' }, 'b');
    logger.info({ traceId: span.traceId }, 'b');
    logger.child({ traceId: 'other' }).child({ n: 1 }).info({}, 'c');
  });
  logger.info({}, 'd');
  const traces = lines.map((line) => line.match(/"(?:trace|span)Id":"[^"]*"/g)?.join());
  expect(traces).toEqual([
    `"traceId":"${span.traceId}","spanId":"${span.spanId}"`,
    '"traceId":"other"',
    `"traceId":"${span.traceId}","spanId":"${span.spanId}"`,
    '"traceId":"other"',
    undefined,
  ]);
});

test('omits lines below the level', () => {
  const { lines, sink } = collect();
  const logger = createLogger('warn', sink);
  logger.debug({}, 'a');
  logger.info({}, 'b');
  logger.warn({}, 'c');
  logger.error({}, 'd');
  expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual(['c', 'd']);
});

test('redacts secrets in fields, in messages and in the fields of child loggers', () => {
  const { lines, sink } = collect();
  const logger = createLogger('debug', sink).child({ botToken: 'hunter2', dsn: 'postgres://a:hunter2@db/x' });
  logger.debug(
    { held: new Secret('hunter2'), error: new Error('GET https://u:hunter2@host/') },
    'at amqp://u:hunter2@q',
  );
  expect(lines[0]).not.toContain('hunter2');
});

test('formats readable lines for a terminal', () => {
  const { lines, sink } = collect();
  const logger = createLogger('debug', readableLog(sink, false));
  logger.warn({ command: 'plan', note: 'two words', count: 3, list: [1] }, 'slow cluster');
  expect(lines[0]).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} WARN {2}slow cluster command=plan note="two words" count=3 list=\[1\]\n$/,
  );
});

test('adds colour only if asked to', () => {
  const { lines, sink } = collect();
  createLogger('debug', readableLog(sink, true)).error({}, 'down');
  expect(lines[0]).toContain('\u001b[31mERROR\u001b[0m');
});

test('untrusted text cannot move the cursor or forge a line', () => {
  const { lines, sink } = collect();
  createLogger('debug', readableLog(sink, false)).info({ name: '\u001b[2J\nFAKE\u202e' }, 'x\r\ny\u009b');
  expect(lines).toHaveLength(1);
  expect(lines[0]?.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u009b\u202e]/);
});

test.each([
  ['a long text', { text: 'x'.repeat(1e6) }],
  ['text with six bytes per character', { text: '\u0001'.repeat(1e6) }],
  ['many fields', Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`field${index}`, '€'.repeat(50)]))],
  ['a long list', { list: Array.from({ length: 1e5 }, () => 'x'.repeat(100)) }],
  ['long names', { ['n'.repeat(1e6)]: 1, ['€'.repeat(1e6)]: { deeper: 'x'.repeat(1e5) } }],
  ['an error', { error: new TypeError('e'.repeat(1e6), { cause: new Error('c'.repeat(1e6)) }) }],
  ['a symbol', { symbol: Symbol('s'.repeat(1e6)) }],
])('a line is never longer than 8 KiB: %s', (_name, fields) => {
  const { lines, sink } = collect();
  const logger = createLogger('info', sink);
  logger.info(fields, 'said');
  logger.child(fields).warn(fields, 'm'.repeat(1e6));
  createLogger('info', readableLog(sink, true)).info(fields, 'said');
  expect(lines.map((line) => [Buffer.byteLength(line) <= 8192, line.endsWith('\n')])).toEqual([
    [true, true],
    [true, true],
    [true, true],
  ]);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'info', message: 'said' });
  expect(JSON.parse(lines[1] ?? '')).toMatchObject({ level: 'warn' });
});

test('writes one line of JSON of at most 8 KiB for any fields', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: 'binary' }), fc.anything({ maxDepth: 4 })),
      fc.string(),
      (fields, text) => {
        const { lines, sink } = collect();
        const repeated = Object.fromEntries(
          Object.entries(fields).map(([name, value]) => [name, [value, text.repeat(900)]]),
        );
        createLogger('info', sink).info(repeated, text.repeat(300));
        expect(lines).toHaveLength(1);
        expect(Buffer.byteLength(lines[0] ?? '')).toBeLessThanOrEqual(8192);
        JSON.parse(lines[0] ?? '');
      },
    ),
  );
});

test('cutting a text does not expose a secret', () => {
  const { lines, sink } = collect();
  const logger = createLogger('info', sink);
  for (let before = 1950; before < 2050; before += 1) {
    logger.info({ text: `${'x'.repeat(before)} https://u:hunter2hunter2@host/ Bearer hunter2hunter2` }, 'said');
  }
  expect(lines.filter((line) => line.includes('hunter'))).toEqual([]);
});
