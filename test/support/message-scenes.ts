import type { MessageBody } from '../../src/clients/discord/message.ts';
import { renderRun } from '../../src/notify/render.ts';
import type { RenderOptions, ShownRun } from '../../src/notify/shown-run.ts';

const ACCEPTED = new Date('2026-11-21T12:00:00Z');
export const after = (seconds: number) => new Date(ACCEPTED.getTime() + seconds * 1000);

export const RUN: ShownRun = {
  runId: '0b5e7d3c-1f2a-4b6c-8d9e-0f1a2b3c4d5e',
  command: 'plan',
  state: 'queued',
  namespace: 'argo-workflows',
  workflowName: 'plan-20261121-120000-k3x9q2',
  workflowUid: '',
  progress: '',
  reason: '',
  userId: '200000000000000001',
  door: 'discord',
  actor: '',
  retryCount: 0,
  cancelRequested: false,
  canceledBy: '',
  title: 'Ship the sandbox',
  step: '',
  results: [],
  queue: null,
  retryOf: null,
  retriedBy: null,
  acceptedAt: ACCEPTED,
  startedAt: null,
  finishedAt: null,
  approvals: [],
  reflectionsWaiting: 0,
};
export const CREATED: Partial<ShownRun> = { workflowUid: '7a1c', startedAt: after(3) };
const OPTIONS: RenderOptions = { uiUrl: 'https://argo.example.com', detached: false, last: false, reviewed: false };

/** As near to what a person sees as text gets: buttons in brackets, a link with its address. */
function readable({ content, components }: MessageBody): string {
  const rows = (components as unknown as { components: Record<string, string | boolean | undefined>[] }[]).map((row) =>
    row.components
      .map(({ label, url, custom_id: id, disabled }) =>
        url === undefined
          ? `[${String(label)}${disabled === true ? ' (off)' : ''}: ${String(id)}]`
          : `[${String(label)} -> ${String(url)}]`,
      )
      .join('\n'),
  );
  return [content, ...rows].join('\n');
}

/** A title, what the run is, and how it is shown. */
export type MessageScene = readonly [string, Partial<ShownRun>, Partial<RenderOptions>?];

export function sceneOf([title, run, options]: MessageScene): string {
  return `=== ${title}\n${readable(renderRun({ ...RUN, ...run }, { ...OPTIONS, ...options }))}\n`;
}
