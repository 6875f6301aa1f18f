import { randomUUID } from 'node:crypto';
import { Argument, type Command } from 'commander';
import { backoffMs } from '../base/backoff.ts';
import { FacteurError, fetchProblem } from '../base/errors.ts';
import { sleep, type Timer } from '../base/timer.ts';
import { urlBelow } from '../base/url-below.ts';
import type { CliIo } from './io.ts';
import { UsageError, type RegisterCommand } from './program.ts';
import { printable } from './table.ts';

/** What a report sends. */
interface Report {
  readonly method: 'POST' | 'PUT';
  /** The path below the run, for example `/events`. */
  readonly path: string;
  readonly body: object;
  /** Repeating a report with the same key changes nothing. */
  readonly key: string;
}

const OUTCOMES = ['pass', 'fail', 'waived'];

/** Number of attempts. The pauses add up to 23 to 45 seconds, as long as a restart of facteur takes. */
const TRIES = 8;
const PAUSES = { firstMs: 500, maxMs: 15_000 };
/** Longest wait for an answer, in milliseconds. */
const ANSWER_MS = 30_000;

/**
 * `facteur report …`: reports of a workflow about its own run. Destination and token come from the environment
 * (`FACTEUR_URL`, `FACTEUR_TOKEN`); without them nothing is reported, which does not fail the workflow.
 */
export function reportCommand(deps: { readonly timer: Timer; readonly random: () => number }): RegisterCommand {
  return (program, io) => {
    const report = program.command('report').description('report to facteur from within a workflow');
    const send: Send = async (wanted) => sendReport({ key: randomUUID(), ...wanted }, io, deps);
    registerEvent(report, send);
    registerArtifact(report, send);
    registerReflection(report, send, io);
    registerCheck(report, send);
    registerMetric(report, send);
    registerRouter(report, send);
    registerAnomaly(report, send);
    registerSsfo(report, send, io);
    registerRetrieval(report, send, io);
  };
}

type Send = (report: Omit<Report, 'key'> & Partial<Pick<Report, 'key'>>) => Promise<void>;

function registerEvent(report: Command, send: Send): void {
  report
    .command('event')
    .argument('<type>', 'such as tests.passed')
    .description('record an event of the run')
    .addHelpText('after', '\nExamples:\n  facteur report event tests.passed --payload \'{"count": 312}\'')
    .option('--payload <json>', 'details, as a JSON object', '{}')
    .action((type: string, options: { readonly payload: string }) =>
      send({ method: 'POST', path: '/events', body: { type, payload: objectOf(options.payload, '--payload') } }),
    );
}

function registerArtifact(report: Command, send: Send): void {
  report
    .command('artifact')
    .argument('<type>', 'such as diff')
    .argument('<uri>', 'location of the artifact')
    .description('record an artifact of the run')
    .addHelpText('after', '\nExamples:\n  facteur report artifact diff s3://builds/42/change.diff --checksum sha256:…')
    .option('--checksum <text>', 'such as sha256:…')
    .option('--metadata <json>', 'details, as a JSON object', '{}')
    .action((type: string, uri: string, options: { readonly checksum?: string; readonly metadata: string }) => {
      const checksum = options.checksum === undefined ? {} : { checksum: options.checksum };
      const metadata = objectOf(options.metadata, '--metadata');
      return send({ method: 'POST', path: '/artifacts', body: { type, uri, ...checksum, metadata } });
    });
}

function registerReflection(report: Command, send: Send, io: CliIo): void {
  report
    .command('reflection')
    .argument('<type>', 'such as failure_postmortem')
    .argument('[text]', 'what the run learned (default: standard input)')
    .description('record what the run learned: one text per type')
    .addHelpText(
      'after',
      "\nExamples:\n  facteur report reflection failure_postmortem 'The migration needs pgvector 0.8.'",
    )
    .action(async (type: string, text: string | undefined) => {
      const content = text ?? (await io.readStdin()).toString('utf8');
      await send({ method: 'PUT', path: `/reflections/${encodeURIComponent(type)}`, body: { content } });
    });
}

function registerCheck(report: Command, send: Send): void {
  report
    .command('check')
    .argument('<policy>', 'such as tests.required')
    .addArgument(new Argument('<status>', 'result').choices(OUTCOMES))
    .description('record the result of a policy check')
    .addHelpText('after', '\nExamples:\n  facteur report check tests.required pass')
    .option('--evidence <uri>', 'location of the evidence')
    .option('--metadata <json>', 'details, as a JSON object', '{}')
    .action((policyKey: string, status: string, options: { readonly evidence?: string; readonly metadata: string }) => {
      const evidence = options.evidence === undefined ? {} : { evidenceUri: options.evidence };
      const metadata = objectOf(options.metadata, '--metadata');
      return send({ method: 'POST', path: '/policy-checks', body: { policyKey, status, ...evidence, metadata } });
    });
}

function registerMetric(report: Command, send: Send): void {
  report
    .command('metric')
    .argument('<json>', 'such as {"cpuSeconds": 12}')
    .description('record what the run used; replaces the previous report')
    .addHelpText('after', '\nExamples:\n  facteur report metric \'{"cpuSeconds": 1250}\'')
    .action((json: string) =>
      send({ method: 'PUT', path: '/metrics', body: { resourceUsage: objectOf(json, 'the metric') } }),
    );
}

function registerRouter(report: Command, send: Send): void {
  report
    .command('router')
    .argument('<strategy>', 'such as retrieve or holdout')
    .addArgument(new Argument('<used>', 'whether retrieval was used').choices(['true', 'false']))
    .description('record whether retrieval was used')
    .addHelpText('after', '\nExamples:\n  facteur report router retrieve true')
    .option('--notes <text>', 'why', '')
    .action((strategy: string, used: string, { notes }: { readonly notes: string }) =>
      send({
        method: 'POST',
        path: '/router-decisions',
        body: { strategy, retrievalUsed: used === 'true', notes },
      }),
    );
}

function registerAnomaly(report: Command, send: Send): void {
  report
    .command('anomaly')
    .argument('<kind>', 'such as synthetic')
    .addArgument(new Argument('<outcome>', 'result').choices(OUTCOMES))
    .description('record the result of an anomaly check')
    .addHelpText('after', '\nExamples:\n  facteur report anomaly synthetic fail --payload \'{"score": 0.93}\'')
    .option('--payload <json>', 'details, as a JSON object', '{}')
    .action((kind: string, outcome: string, options: { readonly payload: string }) => {
      const payload = objectOf(options.payload, '--payload');
      return send({ method: 'POST', path: '/anomalies', body: { kind, outcome, payload } });
    });
}

function registerSsfo(report: Command, send: Send, io: CliIo): void {
  report
    .command('ssfo')
    .argument('[json]', 'object with retrievedAnswer, nonRetrievedAnswer and promptContext (default: standard input)')
    .description('record an answer with retrieval and one without')
    .addHelpText('after', '\nExamples:\n  facteur report ssfo --key question-1 < pair.json')
    .option('--key <text>', 'identifies the pair: a repeated report with the same key changes nothing')
    .action(async (json: string | undefined, { key }: { readonly key?: string }) => {
      const body = objectOf(json ?? (await io.readStdin()).toString('utf8'), 'the pair');
      await send({ method: 'POST', path: '/ssfo-pairs', body, ...(key === undefined ? {} : { key }) });
    });
}

function registerRetrieval(report: Command, send: Send, io: CliIo): void {
  report
    .command('retrieval')
    .argument('[json]', 'a JSON object (default: standard input)')
    .description('record the candidates and choices of a retrieval: one log per run')
    .addHelpText('after', '\nExamples:\n  facteur report retrieval < log.json')
    .action(async (json: string | undefined) => {
      const body = objectOf(json ?? (await io.readStdin()).toString('utf8'), 'the log');
      await send({ method: 'PUT', path: '/retrieval-log', body });
    });
}

function objectOf(text: string, what: string): object {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value;
    }
  } catch {
    // Reported below.
  }
  throw new UsageError(`${what} must be a JSON object`);
}

/** Retries until the report is accepted or refused for good; a repeated report changes nothing on the server. */
async function sendReport(
  { method, path, body, key }: Report,
  io: CliIo,
  { timer, random }: { readonly timer: Timer; readonly random: () => number },
): Promise<void> {
  const { FACTEUR_URL: url = '', FACTEUR_TOKEN: token = '' } = io.env;
  if (url === '' || token === '') {
    io.stderr.write('facteur: FACTEUR_URL or FACTEUR_TOKEN is not set; nothing was reported\n');
    return;
  }
  const facteur = URL.parse(url);
  if (facteur === null) {
    throw new UsageError('FACTEUR_URL is not a URL');
  }
  const where = urlBelow(facteur, `/v1/runs/${runOf(token)}${path}`);
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    'idempotency-key': key,
  };
  for (let attempt = 1; ; attempt += 1) {
    const failure = await tryOnce(io, where, { method, headers, body: JSON.stringify(body) });
    if (failure === undefined) {
      return;
    }
    if (!failure.retryable || attempt === TRIES) {
      throw failure;
    }
    await sleep(timer, backoffMs(attempt, PAUSES, random()), io.signal);
  }
}

/** The login page of a proxy must not pass for a stored report. */
const NOT_FACTEUR = 'the server at FACTEUR_URL is not facteur: the answer is not JSON';

/** Undefined if it was accepted. */
async function tryOnce(io: CliIo, url: URL, init: RequestInit): Promise<FacteurError | undefined> {
  let response: Response;
  try {
    // A redirected POST becomes a GET, which succeeds and reports nothing.
    const signal = AbortSignal.any([io.signal, AbortSignal.timeout(ANSWER_MS)]);
    response = await io.fetch(url, { ...init, redirect: 'manual', signal });
  } catch (error) {
    return new FacteurError('report.unreachable', `cannot reach facteur: ${fetchProblem(error)}`, {
      retryable: true,
    });
  }
  const isJson = response.headers.get('content-type')?.startsWith('application/json') === true;
  if (response.ok) {
    return isJson ? undefined : new FacteurError('report.refused', NOT_FACTEUR, { retryable: false });
  }
  const problem = (await response.json().catch(() => null)) as { readonly detail?: unknown } | null;
  const detail = printable(typeof problem?.detail === 'string' ? problem.detail : response.statusText);
  const retryable = response.status === 429 || response.status >= 500;
  return new FacteurError('report.refused', `facteur answered ${response.status}: ${detail}`, { retryable });
}

/** The token contains the run's id; facteur verifies it. */
function runOf(token: string): string {
  try {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as {
      sub?: unknown;
    };
    if (typeof claims.sub === 'string') {
      return encodeURIComponent(claims.sub);
    }
  } catch {
    // Reported below.
  }
  throw new UsageError('FACTEUR_TOKEN is not a run token');
}
