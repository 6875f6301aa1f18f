import { formatPlace, type Place } from '../config/fault.ts';
import type { Finding } from '../domain/lint/lint.ts';
import { REVIEWED, REVIEWED_SPEC } from '../domain/lint/review.ts';
import { RULES, type Level } from '../domain/lint/rules.ts';
import { printable } from './table.ts';

/** A finding with its place in a file; empty for one from the cluster. */
interface PlacedFinding extends Finding {
  readonly at: Place;
}

/** A template that was checked. */
interface CheckedTemplate {
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string;
  readonly at: Place;
  /** The value of the annotation `reviewed-spec` after a review. */
  readonly specHash: string;
}

export interface LintReport {
  readonly findings: readonly PlacedFinding[];
  readonly templates: readonly CheckedTemplate[];
}

export type ReportFormat = 'human' | 'json' | 'sarif';

/** The report as text. */
export function formatReport(report: LintReport, format: ReportFormat, version: string): string {
  switch (format) {
    case 'json':
      return `${JSON.stringify(report, undefined, 2)}\n`;
    case 'sarif':
      return `${JSON.stringify(sarif(report, version), undefined, 2)}\n`;
    case 'human':
      return human(report);
  }
}

/** `2 errors, 1 warning` */
export function countFindings(findings: readonly Pick<Finding, 'level'>[]): string {
  const count = (level: Level, one: string, many = `${one}s`): string[] => {
    const number = findings.filter((finding) => finding.level === level).length;
    return number === 0 ? [] : [`${number} ${number === 1 ? one : many}`];
  };
  return [...count('error', 'error'), ...count('warning', 'warning'), ...count('info', 'note')].join(', ');
}

function human({ findings, templates }: LintReport): string {
  const lines = findings.flatMap(({ level, place, message, rule, fix, ...finding }) => [
    `${placeOf(finding)}: ${level}: ${place}: ${message} [${rule}]`,
    `    fix: ${fix}`,
  ]);
  const refused = templates.filter((one) =>
    findings.some((found) => found.level === 'error' && found.name === one.name && found.namespace === one.namespace),
  );
  const reviews = refused.flatMap((one) => [
    `${placeOf(one)}: after a review, set ${REVIEWED}: '<name>: <why>' and ${REVIEWED_SPEC}: ${one.specHash}`,
  ]);
  const summary = `${templates.length} ${templates.length === 1 ? 'template' : 'templates'}: ${countFindings(findings) || 'nothing found'}`;
  return [...lines, ...reviews, summary].map((line) => `${printable(line)}\n`).join('');
}

/** `build.yaml:3:5`, or `argo-workflows/build` from the cluster. */
function placeOf({ at, namespace, name }: Pick<PlacedFinding, 'at' | 'namespace' | 'name'>): string {
  return formatPlace(at) || [namespace, name].filter((part) => part !== undefined).join('/');
}

const SARIF_LEVELS = { error: 'error', warning: 'warning', info: 'note' } as const satisfies Record<Level, string>;

/** SARIF 2.1.0, which code hosts show next to the changed lines. */
function sarif({ findings }: LintReport, version: string): object {
  const ids = Object.keys(RULES) as (keyof typeof RULES)[];
  return {
    $schema: 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'facteur',
            version,
            rules: ids.map((id) => ({
              id,
              shortDescription: { text: RULES[id].title },
              help: { text: `Fix: ${RULES[id].fix}.` },
              defaultConfiguration: { level: SARIF_LEVELS[RULES[id].level] },
            })),
          },
        },
        results: findings.map((finding) => ({
          ruleId: finding.rule,
          ruleIndex: ids.indexOf(finding.rule),
          level: SARIF_LEVELS[finding.level],
          message: { text: `${finding.place}: ${finding.message}. Fix: ${finding.fix}.` },
          locations: [locationOf(finding)],
        })),
      },
    ],
  };
}

function locationOf({ at, kind, namespace, name, path }: PlacedFinding): object {
  const { file, line, column } = at;
  const logical = [kind, namespace, name, ...path].filter((part) => part !== undefined).join('/');
  const region = line === undefined ? {} : { region: { startLine: line, startColumn: column ?? 1 } };
  return {
    ...(file === undefined
      ? {}
      : { physicalLocation: { artifactLocation: { uri: encodeURI(file === '-' ? 'stdin' : file) }, ...region } }),
    logicalLocations: [{ fullyQualifiedName: logical }],
  };
}
