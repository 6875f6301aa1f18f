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

/** Dependencies of the handlers of `/v1`. */
export interface ApiDeps extends RuleSource {
  readonly db: Database;
  readonly dispatch: Pick<Dispatch, 'cancel' | 'codexTask' | 'command' | 'feedback' | 'retry'>;
  /** Announces the work that a decision makes due. */
  readonly wakes: RecordDeps['wakes'];
  /** Whether Codex tasks are currently accepted. */
  readonly codexEnabled: boolean;
  /** The default target of commands. */
  readonly argo: Pick<ArgoConfig, 'namespace' | 'workflowTemplate' | 'serviceAccount'>;
  /** Whether workflows receive a token for reporting back. */
  readonly reports: boolean;
  /** For logs; absent without a cluster. */
  readonly workflows: StepLogDeps['workflows'];
  readonly timer: Timer;
  readonly newId: () => string;
  readonly now: () => Date;
  readonly changes: Pick<ChangeFeed, 'open'>;
  readonly knowledge: Knowledge;
  readonly reported: ReportEvents;
  /** The templates for work that follows from reports, if configured. */
  readonly feedback: FeedbackConfig;
  readonly pages: RunPages;
  /** The API document, created for its first reader: that takes a tenth of a second. */
  readonly document: () => Promise<object>;
}
