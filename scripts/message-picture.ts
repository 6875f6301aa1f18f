/**
 * Draws the message of a run as Discord shows it, from facteur's own rendering: `docs/message.svg`, which README.md shows. Run
 * `npm run picture` after a change to the messages; a test fails until then.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { applyMessage, NOTHING } from '../sandbox/discord/message-rules.ts';
import { buttonRows, type ShownButton } from '../sandbox/discord/buttons.ts';
import { readMarkup, type Look, type MarkupLine } from '../sandbox/discord/markup.ts';
import { readApprovalRules } from '../src/domain/approval-rules.ts';
import { renderRun } from '../src/notify/render.ts';
import type { ShownRun } from '../src/notify/shown-run.ts';

export const PICTURE = 'docs/message.svg';

const NOW = new Date('2026-11-29T12:04:00Z');
const secondsAgo = (seconds: number): Date => new Date(NOW.getTime() - seconds * 1000);
const PEOPLE: Readonly<Record<string, string>> = { '200000000000000001': 'Ada' };

/** Half-way, and waiting for a second approval: the message with the most content. */
const RUN: ShownRun = {
  runId: '0b5e7d3c-1f2a-4b6c-8d9e-0f1a2b3c4d5e',
  command: 'release',
  title: 'v4',
  state: 'running',
  namespace: 'argo',
  workflowName: 'release-20261129-120124-k3x9q2',
  workflowUid: '7a1c0f3e-5b6d-4c8a-9e2f-1a3b5c7d9e0f',
  progress: '1/3',
  reason: '',
  userId: '200000000000000001',
  door: 'discord',
  actor: '',
  retryCount: 0,
  cancelRequested: false,
  canceledBy: '',
  step: 'approve',
  results: [],
  queue: null,
  reflectionsWaiting: 0,
  retryOf: null,
  retriedBy: null,
  acceptedAt: secondsAgo(156),
  startedAt: secondsAgo(154),
  finishedAt: null,
  approvals: [
    {
      key: '0123456789abcdef',
      kind: 'node',
      state: 'waiting',
      node: 'approve',
      rules: {
        ...readApprovalRules({
          'facteur.proompteng.ai/approval-message': 'Deploy to production?',
          'facteur.proompteng.ai/quorum': '2',
        }),
        timeoutOutputs: {},
      },
      fields: [],
      votes: { '200000000000000002': { name: 'bob', at: secondsAgo(40).toISOString() } },
      verdict: null,
      decidedBy: '',
      expiresAt: null,
      problem: '',
    },
  ],
};

const WIDTH = 760;
const LEFT = 72;
const LINE = 24;
const TEXT_SIZE = 15;
const SMALL_SIZE = 12.5;
const SANS = "'gg sans', 'Noto Sans', 'Helvetica Neue', Helvetica, Arial, sans-serif";
const MONO = "Consolas, 'Liberation Mono', Menlo, monospace";
const COLOURS = { back: '#313338', text: '#dbdee1', dim: '#949ba4', code: '#2b2d31', blue: '#5865f2', link: '#00a8fc' };
const BUTTONS: Readonly<Record<ShownButton['style'], string>> = {
  blue: COLOURS.blue,
  grey: '#4e5058',
  green: '#248046',
  red: '#da373c',
  link: '#4e5058',
};

/** The picture as SVG, identical on every machine. */
export function drawMessage(): string {
  const options = {
    uiUrl: 'https://argo.example.com',
    detached: false,
    usualMs: 245_000,
    reviewed: false,
    last: false,
  };
  // Throws for a message that Discord would reject.
  const { content, components } = applyMessage(NOTHING, { ...renderRun(RUN, options) });
  const lines = readMarkup(content, { nameOf: (id) => PEOPLE[id] ?? id, now: NOW });
  const rows = buttonRows(components);
  const body = [
    ...head(),
    ...lines.map((line, index) => drawLine(line, 92 + index * LINE)),
    ...rows.flatMap((row, index) => drawButtons(row, 84 + lines.length * LINE + index * 42)),
  ];
  const height = 84 + lines.length * LINE + rows.length * 42 + 8;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="The message of a run in Discord">
<rect width="${WIDTH}" height="${height}" rx="8" fill="${COLOURS.back}"/>
${body.join('\n')}
</svg>
`;
}

function head(): readonly string[] {
  const at = (x: number, y: number, text: string, style: Style): string => drawText(text, { x, y, ...style });
  return [
    `<path d="M 36 44 V 32 Q 36 24 44 24 H 66" fill="none" stroke="#4e5058" stroke-width="2"/>`,
    at(LEFT, 29, 'Ada', { size: SMALL_SIZE, weight: 600 }),
    at(LEFT + 27, 29, 'used', { size: SMALL_SIZE, fill: COLOURS.dim }),
    at(LEFT + 58, 29, '/release', { size: SMALL_SIZE, fill: COLOURS.link }),
    `<circle cx="36" cy="68" r="20" fill="${COLOURS.blue}"/>`,
    `<text x="36" y="75" text-anchor="middle" font-family="${SANS}" font-size="20" font-weight="700" fill="#fff">f</text>`,
    at(LEFT, 64, 'facteur', { size: TEXT_SIZE, weight: 600, fill: '#f2f3f5' }),
    `<rect x="${LEFT + 58}" y="52" width="34" height="15" rx="4" fill="${COLOURS.blue}"/>`,
    at(LEFT + 63, 63, 'APP', { size: 10.5, weight: 600, fill: '#fff' }),
    at(LEFT + 100, 64, 'Today at 12:01', { size: 11.5, fill: COLOURS.dim }),
  ];
}

interface Style {
  readonly size: number;
  readonly fill?: string;
  readonly weight?: number;
  readonly mono?: boolean;
}

function drawLine({ kind, spans }: MarkupLine, y: number): string {
  const size = kind === 'small' ? SMALL_SIZE : TEXT_SIZE;
  const parts: string[] = [];
  let x = LEFT;
  for (const { text, look } of spans) {
    const style = styleOf(look, size, kind === 'small');
    const width = widthOf(text, style);
    if (look === 'code') {
      parts.push(
        `<rect x="${round(x)}" y="${round(y - size)}" width="${round(width + 8)}" height="${round(size * 1.35)}" rx="4" fill="${COLOURS.code}"/>`,
      );
    }
    parts.push(drawText(text, { x: look === 'code' ? x + 4 : x, y, ...style }));
    x += look === 'code' ? width + 8 : width;
  }
  if (x > WIDTH - 16) {
    throw new Error(`a line is too long for the picture: ${spans.map(({ text }) => text).join('')}`);
  }
  return parts.join('\n');
}

function styleOf(look: Look, size: number, small: boolean): Style {
  const fill = small ? COLOURS.dim : COLOURS.text;
  switch (look) {
    case 'bold':
      return { size, fill, weight: 700 };
    case 'code':
      return { size: size * 0.88, fill, mono: true };
    case 'link':
    case 'mention':
      return { size, fill: COLOURS.link };
    case 'plain':
      return { size, fill };
  }
}

/** `textLength` scales every font to the width of the measured one. */
function drawText(text: string, at: Style & { readonly x: number; readonly y: number }): string {
  const { x, y, size, fill = COLOURS.text, weight = 400, mono = false } = at;
  const length = round(widthOf(text, at));
  return `<text x="${round(x)}" y="${y}" xml:space="preserve" font-family="${mono ? MONO : SANS}" font-size="${round(size)}" font-weight="${weight}" fill="${fill}" textLength="${length}">${escapeXml(text)}</text>`;
}

function drawButtons(row: readonly ShownButton[], y: number): readonly string[] {
  let x = LEFT;
  return row.flatMap(({ label, style }) => {
    const text = style === 'link' ? `${label} ↗` : label;
    const look: Style = { size: 14, weight: 500, fill: '#fff' };
    const width = widthOf(text, look) + 32;
    const left = x;
    x += width + 8;
    return [
      `<rect x="${round(left)}" y="${y}" width="${round(width)}" height="32" rx="4" fill="${BUTTONS[style]}"/>`,
      drawText(text, { x: left + 16, y: y + 21, ...look }),
    ];
  });
}

/** Character widths in ems, about those of Helvetica. */
const WIDTHS: readonly (readonly [RegExp, number])[] = [
  [/[\p{Emoji_Presentation}▶⏸]/u, 1.3],
  [/\ufe0f/u, 0],
  [/[▰▱]/u, 0.82],
  [/[ijl'|.,:;!/]/u, 0.26],
  [/[ ·fIrt()[\]-]/u, 0.31],
  [/[mwMW]/u, 0.83],
  [/[A-Z↗]/u, 0.67],
];

function widthOf(text: string, { size, mono = false, weight = 400 }: Style): number {
  const sum = [...text].reduce((total, character) => {
    const width = WIDTHS.find(([pattern]) => pattern.test(character))?.[1] ?? 0.54;
    return total + (mono ? 0.55 : width);
  }, 0);
  return sum * size * (weight >= 600 ? 1.05 : 1);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

if (import.meta.main) {
  writeFileSync(join(import.meta.dirname, '..', PICTURE), drawMessage());
}
