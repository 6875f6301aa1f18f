import { remember } from '../base/remember.ts';
import { runOfToken } from '../base/run-token.ts';
import type { Gate } from '../base/gate.ts';
import type { ArgoClient } from '../clients/argo/workflows.ts';
import type { Database } from '../clients/postgres/database.ts';
import type { Config, ServerConfig } from '../config/config.ts';
import type { AppContext } from './context.ts';
import type { RecordDeps } from '../dispatch/decide.ts';
import type { Dispatch } from '../dispatch/dispatch.ts';
import type { RuleSource } from '../domain/command-rules.ts';
import { runPages } from '../domain/run-pages.ts';
import { callerCheck, type VerifyRunToken } from '../entry/api/caller.ts';
import type { ChangeFeed } from '../entry/api/change-feed.ts';
import type { ApiDeps } from '../entry/api/deps.ts';
import { ApiProblem } from '../entry/api/problem.ts';
import type { ApiDoor } from '../entry/api/register.ts';
import { API_ROUTES } from '../entry/api/routes.ts';
import type { ReportEvents } from '../entry/api/report-events.ts';
import { RunRate } from '../entry/api/run-rate.ts';
import { Admission, type AdmissionRoom } from '../entry/http/admission.ts';
import type { Embedder } from '../knowledge/embed.ts';
import type { ReflectionEvents } from '../knowledge/reflection-events.ts';
import { createKnowledge } from '../knowledge/reflections.ts';
import { runStanding } from '../ledger/find-runs.ts';

/** Separate from the other doors, because many workflows may report at once. */
const ROOM: AdmissionRoom = { bytes: 8 * 2 ** 20, requests: 250 };

/** The dependencies of `/v1`. */
interface ApiParts extends Pick<AppContext, 'clock' | 'newId' | 'timer'>, RuleSource, RecordDeps {
  readonly workflows: ArgoClient | undefined;
  readonly gate: Gate;
  readonly db: Database;
  readonly dispatch: Dispatch;
  readonly changes: ChangeFeed;
  readonly embedder: Embedder;
  /** Created at the start, so that counters are zero, and not absent, before the first event. */
  readonly reported: ReportEvents;
  readonly reviewed: ReflectionEvents;
}

/** `/v1`, wired. */
export function apiDoor(config: Config, parts: ApiParts): ApiDoor<ApiDeps> {
  const {
    server,
    argo,
    codex,
    knowledge: { feedback, reviewers },
  } = config;
  const { clock, newId, gate, db, dispatch, changes, wakes, rules, embedder, reported, reviewed } = parts;
  return {
    routes: API_ROUTES,
    whoCalls: callerCheck({ apiTokens: server.apiTokens, verifyRunToken: runTokenCheck(server, parts) }),
    runRate: new RunRate(() => performance.now()),
    admission: new Admission(ROOM),
    gate,
    deps: {
      db,
      dispatch,
      changes,
      wakes,
      knowledge: createKnowledge({
        db,
        embedder,
        events: reviewed,
        reviewing: reviewers.length > 0 ? wakes : undefined,
      }),
      feedback,
      reported,
      rules,
      argo,
      workflows: parts.workflows,
      timer: parts.timer,
      reports: server.publicUrl !== undefined,
      codexEnabled: codex.enabled,
      newId,
      now: () => clock.now(),
      document: remember(async () => (await import('../entry/api/document.ts')).apiDocument(API_ROUTES)),
      pages: runPages({ ui: argo.uiUrl, trace: config.telemetry.traceUrl }),
    },
  };
}

/** The token identifies the run; the ledger knows whether that run may still report. */
function runTokenCheck(
  { runTokenKeys, runTokenGraceMs }: ServerConfig,
  { clock, gate, db }: Pick<ApiParts, 'clock' | 'gate' | 'db'>,
): VerifyRunToken {
  return async (token) => {
    const runId = await runOfToken(runTokenKeys, token, clock.now());
    if (runId === undefined) {
      throw unauthorized('unauthorized', 'invalid token');
    }
    gate.pass();
    const standing = await runStanding(db, runId, runTokenGraceMs);
    if (standing !== 'live') {
      throw unauthorized('run_ended', 'the run of this token has ended');
    }
    return runId;
  };
}

function unauthorized(code: string, detail: string): ApiProblem {
  return new ApiProblem(401, code, detail, { headers: { 'www-authenticate': 'Bearer realm="facteur"' } });
}
