import { isArgoError } from '../clients/argo/errors.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import type { Database } from '../clients/postgres/database.ts';
import { workflowManifest } from '../domain/workflow-manifest.ts';
import { workflowName } from '../domain/workflow-name.ts';
import { CLAIM_SECONDS } from '../ledger/record-run.ts';
import { renameRun, type ClaimedRun } from '../ledger/submission-queue.ts';
import { postponed, postponedBy, type Creation, findOurs, judgeCreateFailure } from './creation.ts';
import { mintRunToken, type RunTokenKey } from '../base/run-token.ts';

/** Where workflows send their reports, and the key that signs their tokens. */
export interface Reporting {
  readonly url: string;
  readonly key: RunTokenKey;
}

/**
 * The parameters that let a workflow report back about its own run. They are not stored: they are made when the workflow is
 * created.
 */
async function reportParameters(
  { runId, acceptedAt, plan }: Pick<ClaimedRun, 'runId' | 'acceptedAt' | 'plan'>,
  reporting: Reporting | undefined,
): Promise<Readonly<Record<string, string>>> {
  return reporting === undefined || plan.report === false
    ? {}
    : { facteur_url: reporting.url, facteur_token: await mintRunToken(reporting.key, runId, acceptedAt) };
}

/** Adds parameters to a run that is about to be created. */
export type Enrich = (run: ClaimedRun) => Promise<Readonly<Record<string, string>>>;

interface CreateOnceDeps {
  readonly db: Database;
  readonly workflows: Pick<ArgoClient, 'createWorkflow' | 'getWorkflow' | 'isReady'>;
  /** Absent if workflows do not report back. */
  readonly reporting?: Reporting | undefined;
  readonly enrich?: Enrich | undefined;
  /** A monotonic clock of this process, in milliseconds. */
  readonly elapsedMs: () => number;
  /** The earliest time at which the claim can have begun, by this clock. */
  readonly claimedAtMs: number;
}

const CLAIM_MS = CLAIM_SECONDS * 1000;
/**
 * The timeout of a create: longer than the 10 s that the API server gives an admission webhook, so the error can name the webhook
 * that hangs. A create always ends with its claim, so two processes never try at the same time.
 */
const CREATE_TIMEOUT_MS = 12_000;
/** No create begins with less time than this left of its claim: its result would be lost. */
const MIN_CREATE_MS = 1000;
/** Foreign objects under our names are freak events; after this many names the run is postponed. */
const MAX_NAMES = 4;
/** A refusal that a starting API server may also give counts only if every attempt got it for this long. */
const BELIEVE_AFTER_MS = 30_000;
const READY_TIMEOUT_MS = 1500;

/**
 * Creates the workflow under its reserved name. If the name is taken, the existing workflow is read: if it has our delivery label
 * or run id it is ours (an earlier response was lost), otherwise the run gets another name.
 */
export async function createOnce(run: ClaimedRun, deps: CreateOnceDeps): Promise<Creation> {
  let name = run.workflowName;
  const believed = await isBelieved(run, deps);
  const [report, more] = await Promise.all([reportParameters(run, deps.reporting), deps.enrich?.(run)]);
  const parameters = { ...run.plan.parameters, ...more, ...report };
  let { claimedAtMs } = deps;
  for (let salt = 1; salt <= MAX_NAMES; salt += 1) {
    const creation = await tryName(run, name, { ...deps, believed, parameters, claimedAtMs });
    if (creation !== 'foreign') {
      return creation;
    }
    // Renaming renews the claim.
    const renewedAtMs = deps.elapsedMs();
    const next = workflowName(run.plan.namePrefix, run.acceptedAt, run.deliveryId, salt);
    if (!(await renameRun(deps.db, run, next))) {
      return postponed(name, 'another process continued with this run');
    }
    name = next;
    claimedAtMs = renewedAtMs;
  }
  return postponed(name, 'all attempted names are taken by other workflows');
}

/** Asked before the create, so the response of an API server that becomes ready in between does not count. */
async function isBelieved(run: ClaimedRun, { workflows }: CreateOnceDeps): Promise<boolean> {
  return run.refusedForMs >= BELIEVE_AFTER_MS && (await workflows.isReady({ timeoutMs: READY_TIMEOUT_MS }));
}

interface TryDeps extends CreateOnceDeps {
  readonly believed: boolean;
  readonly parameters: Readonly<Record<string, string>>;
}

async function tryName(run: ClaimedRun, name: string, deps: TryDeps): Promise<Creation | 'foreign'> {
  const { parameters } = deps;
  const leftMs = deps.claimedAtMs + CLAIM_MS - deps.elapsedMs();
  if (leftMs < MIN_CREATE_MS) {
    // Interrupted for too long: another process may have created the workflow, which may have ended and been deleted. Then no 409
    // would reveal it.
    return postponed(name, 'this attempt was interrupted for too long');
  }
  try {
    const manifest = workflowManifest({ ...run.plan, parameters }, { ...run, workflowName: name });
    const created = await deps.workflows.createWorkflow(run.plan.namespace, manifest, {
      timeoutMs: Math.min(CREATE_TIMEOUT_MS, leftMs),
    });
    return { kind: 'created', workflowName: name, workflowUid: created.metadata?.uid ?? '' };
  } catch (error) {
    const verdict = judgeCreateFailure(error, deps.believed);
    switch (verdict.kind) {
      case 'exists':
        return lookAtExisting(run, name, deps);
      case 'refuse':
        return { kind: 'refused', workflowName: name, reason: verdict.reason };
      case 'retry':
        return { ...verdict, kind: 'postponed', workflowName: name };
    }
  }
}

async function lookAtExisting(run: ClaimedRun, name: string, deps: CreateOnceDeps): Promise<Creation | 'foreign'> {
  try {
    const workflowUid = await findOurs(run, name, deps.workflows);
    if (workflowUid !== undefined) {
      return { kind: 'created', workflowName: name, workflowUid };
    }
    return 'foreign';
  } catch (error) {
    if (isArgoError(error, 'argo.not_found')) {
      // It existed a moment ago. After an earlier attempt it may have been ours, and a second one must never be created.
      return run.attempts > 1 ? { kind: 'created', workflowName: name, workflowUid: '' } : 'foreign';
    }
    return postponedBy(error, name);
  }
}
