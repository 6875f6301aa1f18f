import type { MessageBody } from '../../src/clients/discord/message.ts';
import { renderRun } from '../../src/notify/render.ts';
import type { RenderOptions, ShownRun } from '../../src/notify/shown-run.ts';
import { aMessage } from './notify.ts';

export const RUN: ShownRun = aMessage({}, { title: 'Ship the sandbox' });
export const after = (seconds: number) => new Date(RUN.acceptedAt.getTime() + seconds * 1000);
export const CREATED: Partial<ShownRun> = { workflowUid: '7a1c', startedAt: after(3) };
const OPTIONS: RenderOptions = { uiUrl: 'https://argo.example.com', detached: false, last: false, reviewed: false };

/** The message as text: buttons in brackets, links with their URL. */
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

/** A title, the fields of the run, and the options for rendering. */
export type MessageScene = readonly [string, Partial<ShownRun>, Partial<RenderOptions>?];

export function sceneOf([title, run, options]: MessageScene): string {
  return `=== ${title}\n${readable(renderRun({ ...RUN, ...run }, { ...OPTIONS, ...options }))}\n`;
}
