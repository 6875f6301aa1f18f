import type { Database } from '../../clients/postgres/database.ts';
import type { ArgoConfig, FeedbackConfig } from '../../config/config.ts';
import type { RecordDeps } from '../../dispatch/decide.ts';
import type { StepLogDeps } from '../../dispatch/step-log.ts';
import type { Timer } from '../../base/timer.ts';
import type { Dispatch } from '../../dispatch/dispatch.ts';
import type { RuleSource } from '../../domain/command-rules.ts';
import type { RunPages } from '../../domain/run-pages.ts';
import type { Knowledge } from '../../knowledge/reflections.ts';
import type { ChangeFeed } from './change-feed.ts';
import type { ReportEvents } from './report-events.ts';

/** What the handlers of `/v1` need. */
export interface ApiDeps extends RuleSource {
  readonly db: Database;
  readonly dispatch: Pick<Dispatch, 'cancel' | 'codexTask' | 'command' | 'feedback' | 'retry'>;
  /** Of what a decision makes due. */
  readonly wakes: RecordDeps['wakes'];
  /** Whether Codex tasks are currently accepted. */
  readonly codexEnabled: boolean;
  /** Where commands run unless they say so themselves. */
  readonly argo: Pick<ArgoConfig, 'namespace' | 'workflowTemplate' | 'serviceAccount'>;
  /** Whether workflows receive a token to report back with. */
  readonly reports: boolean;
  /** For logs; absent without a cluster. */
  readonly workflows: StepLogDeps['workflows'];
  readonly timer: Timer;
  readonly newId: () => string;
  readonly now: () => Date;
  readonly changes: Pick<ChangeFeed, 'open'>;
  readonly knowledge: Knowledge;
  readonly reported: ReportEvents;
  /** The templates of work that follows from reports, where they are configured. */
  readonly feedback: FeedbackConfig;
  readonly pages: RunPages;
  /** The document of the API, made for its first reader: that takes a tenth of a second. */
  readonly document: () => Promise<object>;
}
