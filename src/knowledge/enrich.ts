import type { Clock } from '../base/clock.ts';
import type { Timer } from '../base/timer.ts';
import { within } from '../base/within.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { KnowledgeConfig } from '../config/config.ts';
import type { RetrievalStrategy } from '../domain/retrieval.ts';
import { LABELS } from '../domain/workflow-plan.ts';
import {
  readRetrieval,
  readUseFacts,
  recordLateRetrieval,
  recordRetrieval,
  type UseFacts,
} from '../ledger/retrievals.ts';
import { searchReflections, type FoundReflection } from '../ledger/search-reflections.ts';
import type { ClaimedRun } from '../ledger/submission-queue.ts';
import { choose, isHeldOut, weigh, type Candidate, type Weighed } from './choose.ts';
import { compose, parameterOf, type ComposedReflection, type Composition } from './compose.ts';
import type { Embedder } from './embed.ts';
import { queryTextOf } from './query-text.ts';
import type { ReflectionEvents } from './reflection-events.ts';
import type { RetrievalEvents } from './retrieval-events.ts';
import { createTrust } from './trust-by-rules.ts';
import { baseline } from './usefulness.ts';

/** The parameter's name. */
const PARAMETER = 'reflections';
/** After this, a run is submitted without reflections. */
const LIMIT_MS = 300;
/** Part of {@link LIMIT_MS}: after this, the search uses only words. */
const EMBED_LIMIT_MS = 200;
/** Number of candidates of a search, of which the best are chosen. */
const CANDIDATES = 20;

type Parameters = Readonly<Record<string, string>>;

interface EnricherDeps {
  readonly db: Database;
  readonly clock: Clock;
  readonly timer: Timer;
  readonly settings: KnowledgeConfig;
  readonly embedder: Pick<Embedder, 'embedQuery'>;
  readonly searches: Pick<ReflectionEvents, 'search'>;
  readonly events: RetrievalEvents;
}

interface EnricherParts extends EnricherDeps {
  /** Trusts reflections according to the rules before a search. */
  readonly trust: (repository: string) => Promise<void>;
}

/** A request for reflections on behalf of a run. */
interface Request {
  readonly run: ClaimedRun;
  readonly repository: string;
  readonly askedBy: string;
  readonly command: string;
}

/**
 * Creates the function that gives runs their reflections. It takes 300 ms at most and never fails: a run is submitted in any
 * case. What a run receives is recorded before it is returned, so every attempt to create the workflow sends the same. A retry
 * that finds no record sends nothing, because the first attempt may have created the workflow without reflections.
 */
export function createEnricher(deps: EnricherDeps): (run: ClaimedRun) => Promise<Parameters> {
  const parts = { ...deps, trust: createTrust(deps.db, deps.settings) };
  return async (run) => {
    const asked = requestOf(run);
    return asked === undefined ? {} : inTime(asked, parts);
  };
}

function requestOf(run: ClaimedRun): Request | undefined {
  const { knowledge, labels } = run.plan;
  return knowledge === undefined ? undefined : { run, ...knowledge, command: labels[LABELS.command] ?? '' };
}

async function inTime(asked: Request, deps: EnricherParts): Promise<Parameters> {
  let deciding: Promise<Parameters> | undefined;
  try {
    const outcome = await within(deps.timer, LIMIT_MS, (signal) => {
      deciding = asked.run.attempts > 1 ? again(asked, deps) : decide(asked, deps, signal);
      return deciding;
    });
    if (outcome.inTime) {
      return outcome.value;
    }
    deps.events.tookTooLong(asked.run);
  } catch (error) {
    deps.events.failed(asked.run, error);
  }
  if (asked.run.attempts === 1) {
    void recordThatNoneCame(asked, deps, deciding);
  }
  return {};
}

/** Recorded after a decision that is still in progress, because that comes too late. */
async function recordThatNoneCame(
  { run: { runId }, repository, askedBy }: Request,
  { db, events }: EnricherDeps,
  deciding: Promise<unknown> | undefined,
): Promise<void> {
  await Promise.allSettled([deciding]);
  try {
    await recordLateRetrieval(db, { runId, repository, askedBy });
    events.decided('timed_out');
  } catch (error) {
    events.lateDecisionNotRecorded(runId, error);
  }
}

/** The decision of an earlier attempt, without reflections that were retired since. */
async function again({ run }: Request, { db }: EnricherDeps): Promise<Parameters> {
  const recorded = await readRetrieval(db, run.runId);
  return recorded === undefined || recorded.composition === null
    ? {}
    : parametersOf(recorded.composition as Composition, recorded.trusted);
}

/** A search, or the reason why there was none. */
interface Decision {
  readonly strategy: RetrievalStrategy;
  readonly received: readonly WeighableReflection[];
  readonly weighed: readonly Weighed<WeighableReflection>[];
  readonly facts?: UseFacts;
}

interface WeighableReflection extends Candidate {
  readonly found: FoundReflection;
}

async function decide(asked: Request, deps: EnricherParts, signal: AbortSignal): Promise<Parameters> {
  const { run, repository, askedBy } = asked;
  const decision = await decisionFor(asked, deps, signal);
  const { strategy, received, weighed, facts } = decision;
  const composition =
    strategy === 'retrieve'
      ? compose(
          repository,
          received.map(({ found }) => composed(found, facts?.writers ?? [])),
        )
      : null;
  const kept = new Set(composition?.reflections.map(({ id }) => id));
  signal.throwIfAborted();
  const trusted = await recordRetrieval(deps.db, {
    runId: run.runId,
    strategy,
    repository,
    askedBy,
    composition,
    uses: received
      .filter(({ reflectionId }) => kept.has(reflectionId))
      .map(({ reflectionId, similarity }, index) => ({ reflectionId, similarity, place: index + 1 })),
    log: weighed.length === 0 ? null : logOf(decision),
  });
  deps.events.decided(strategy);
  return trusted === undefined || composition === null ? {} : parametersOf(composition, trusted);
}

async function decisionFor(asked: Request, deps: EnricherParts, signal: AbortSignal): Promise<Decision> {
  if (!deps.settings.enabled) {
    return { strategy: 'disabled', received: [], weighed: [] };
  }
  const { settings, clock } = deps;
  const found = await search(asked, deps, signal);
  const facts = await readUseFacts(deps.db, found, asked);
  const weighed = weigh(
    found.map((one) => weighable(one, facts)),
    { minSimilarity: settings.minSimilarity, expected: baseline(facts), now: clock.now() },
  );
  const chosen = choose(weighed);
  if (chosen.length === 0) {
    return { strategy: 'nothing_similar', received: [], weighed, facts };
  }
  // Only among runs that would receive something: the comparison needs runs of the same kind.
  return isHeldOut(asked.run.runId, settings.holdout)
    ? { strategy: 'holdout', received: [], weighed, facts }
    : { strategy: 'retrieve', received: chosen, weighed, facts };
}

async function search(
  { run, repository }: Request,
  deps: EnricherParts,
  signal: AbortSignal,
): Promise<readonly FoundReflection[]> {
  const text = queryTextOf(run.plan);
  if (text === '') {
    return [];
  }
  const [embedding] = await Promise.all([embeddingOf(text, deps), deps.trust(repository)]);
  signal.throwIfAborted();
  const query = { text, ...embedding, repository, excludeRuns: [run.runId], limit: CANDIDATES };
  return deps.searches.search(() => searchReflections(deps.db, { ...query, states: ['trusted'] }));
}

/** Absent if the endpoint is slow or fails: then the search uses only words. */
async function embeddingOf(
  text: string,
  { embedder, timer }: EnricherDeps,
): Promise<{ readonly embedding?: readonly number[]; readonly embeddingVersion?: string }> {
  const made = await within(timer, EMBED_LIMIT_MS, (signal) => embedder.embedQuery(text, signal));
  return made.inTime && made.value !== undefined
    ? { embedding: made.value.embedding, embeddingVersion: made.value.version }
    : {};
}

function weighable(found: FoundReflection, { outcomes }: UseFacts): WeighableReflection {
  const { id: reflectionId, similarity, vectorRank, wordRank: wordPlace, createdAt } = found;
  const known = outcomes.find((one) => one.reflectionId === reflectionId);
  const score = [vectorRank, wordPlace].reduce<number>(
    (sum, place) => sum + (place === null ? 0 : 1 / (60 + place)),
    0,
  );
  return { reflectionId, score, similarity, wordPlace, createdAt, outcomes: known ?? { helped: 0, hurt: 0 }, found };
}

function composed(
  { id, type, content, runId, createdAt }: FoundReflection,
  writers: UseFacts['writers'],
): ComposedReflection {
  const { command = '', state = '' } = writers.find((writer) => writer.runId === runId) ?? {};
  return { id, type, text: content, from: { runId, command, outcome: state, at: createdAt.toISOString() } };
}

/** Empty if nothing is left. */
function parametersOf(composition: Composition, trusted: readonly string[]): Parameters {
  const reflections = composition.reflections.filter(({ id }) => trusted.includes(id));
  return reflections.length === 0 ? {} : { [PARAMETER]: parameterOf({ ...composition, reflections }) };
}

/** The contents of the artifact: numbers and ids, no texts. */
function logOf({ strategy, received, weighed, facts }: Decision): Readonly<Record<string, unknown>> {
  return {
    strategy,
    expectedSuccess: facts === undefined ? null : baseline(facts),
    chosen: received.map(({ reflectionId }) => reflectionId),
    candidates: weighed.map(({ candidate: { reflectionId, similarity, wordPlace, outcomes }, weight, isSimilar }) => ({
      reflectionId,
      similarity,
      wordPlace,
      helped: outcomes.helped,
      hurt: outcomes.hurt,
      weight,
      isSimilar,
    })),
  };
}
