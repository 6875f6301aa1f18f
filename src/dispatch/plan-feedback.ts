import type { ArgoConfig } from '../config/config.ts';
import type { FeedbackWork } from '../domain/feedback.ts';
import type { NewRun } from '../domain/run.ts';
import { LABELS } from '../domain/workflow-plan.ts';
import type { Moment } from './new-run.ts';

/** The run for a piece of feedback work: it uses the work's own template, in the namespace of commands. */
export function feedbackRun(work: FeedbackWork, argo: ArgoConfig, moment: Moment): NewRun {
  const { name, workflowTemplate, parameters, actor, traceparent } = work;
  const deliveryId = `feedback:${name}:${work.workId}`;
  const { namespace, serviceAccount } = argo;
  return {
    ...moment,
    deliveryId,
    family: 'derived',
    kind: 'command',
    command: name,
    door: 'api',
    actor,
    correlationId: '',
    traceparent,
    userId: '',
    guildId: '',
    channelId: '',
    title: '',
    plan: {
      namespace,
      serviceAccount,
      workflowTemplate,
      namePrefix: name,
      parameters: { ...argo.parameters, ...parameters, action: name },
      labels: { [LABELS.command]: name },
      annotations: {},
    },
    idea: { sourceType: 'facteur.feedback', sourceRef: deliveryId, status: 'received', payload: { work: name } },
    task: { stage: name, metadata: { deliveryId } },
    runMetadata: { deliveryId, workflowTemplate },
  };
}
