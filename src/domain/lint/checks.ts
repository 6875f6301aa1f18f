import { readApprovalRules } from '../approval-rules.ts';
import { argoDurationMs } from '../argo-duration.ts';
import { isCommandTemplate, readAnnotations, serversAmongRoles } from '../template-annotations.ts';
import { readTemplateCommand } from '../template-command.ts';
import { fieldsOf, listOf } from '../../base/json.ts';
import { isHarmlessChoice, scalarOf, textOf, type Fields } from './json-fields.ts';
import type { RuleId } from './rules.ts';
import { reviewOf } from './review.ts';
import type { Path } from './sinks.ts';
import type { TemplateObject } from './templates.ts';

/** A fault that does not concern the flow of text. */
interface Fault {
  readonly rule: RuleId;
  readonly path: Path;
  /** The subject of the message. */
  readonly subject: string;
}

const PREFIX = 'facteur.proompteng.ai/';
/** Faults in what facteur and Argo need from a template besides safety: parameters, suspend steps, the review. */
export function objectFaults(object: TemplateObject, guildId: string | undefined): readonly Fault[] {
  const { spec, specPath } = object;
  const parameters = listOf(fieldsOf(spec['arguments'])['parameters']);
  const path = [...specPath, 'arguments', 'parameters'];
  const command = isCommandTemplate(object.manifest);
  return [
    ...parameters.flatMap((one, nth) => parameterFaults(fieldsOf(one), [...path, nth], command)),
    ...(command ? commandFaults(object, guildId) : []),
    ...listOf(spec['templates']).flatMap((one, nth) =>
      suspendFaults(fieldsOf(one), [...specPath, 'templates', nth], guildId),
    ),
    ...(reviewOf(object) === 'outdated'
      ? [
          {
            rule: 'review-outdated' as const,
            path: ['metadata', 'annotations', `${PREFIX}reviewed`],
            subject: object.name,
          },
        ]
      : []),
  ];
}

function parameterFaults(parameter: Fields, path: Path, command: boolean): readonly Fault[] {
  const { value, default: otherwise, valueFrom } = parameter;
  const subject = `parameter ${scalarOf(parameter['name']) ?? ''}`;
  const allowed = listOf(parameter['enum']).map(scalarOf);
  const wrong = [value, otherwise].map(scalarOf).filter((one) => one !== undefined && !allowed.includes(one));
  const faults: Fault[] = [];
  if (allowed.length > 0 && wrong.length > 0) {
    faults.push({ rule: 'value-outside-enum', path, subject });
  }
  if (command || value !== undefined || valueFrom !== undefined) {
    return faults;
  }
  if (otherwise !== undefined) {
    faults.push({ rule: 'default-without-value', path, subject });
  } else if (allowed.length > 0) {
    faults.push({ rule: 'enum-without-value', path, subject });
  }
  return faults;
}

/** Only the configuration knows the allowed roles and service accounts. */
const CONFIGURED = /(?:\/roles|[sS]erviceAccountName)$/;
const UNKNOWN_RULES = { parameters: {}, roleMap: {}, defaultRoles: [], serviceAccounts: [] };

function commandFaults({ manifest, specPath }: TemplateObject, guildId: string | undefined): readonly Fault[] {
  const { faults = [] } = readTemplateCommand(manifest, UNKNOWN_RULES) ?? {};
  const servers = serversAmongRoles(readAnnotations(manifest, []), guildId);
  const invalid: Fault[] = faults
    .filter(({ field }) => !CONFIGURED.test(field))
    .map(({ field, message }) => ({
      rule: 'command-definition',
      path: field.startsWith(PREFIX) ? ['metadata', 'annotations', field] : [...specPath, 'arguments', 'parameters'],
      subject: `${field}: ${message}:`,
    }));
  const path = ['metadata', 'annotations', `${PREFIX}roles`];
  return [...invalid, ...servers.map((id): Fault => ({ rule: 'everyone', path, subject: `role ${id}` }))];
}

function suspendFaults(template: Fields, path: Path, guildId: string | undefined): readonly Fault[] {
  const { suspend, outputs, annotations, metadata } = template;
  if (suspend === undefined) {
    return [];
  }
  const rules = readApprovalRules({ ...fieldsOf(fieldsOf(metadata)['annotations']), ...fieldsOf(annotations) });
  const invalid: Fault[] = rules.problem === '' ? [] : [{ rule: 'approval-annotation', path, subject: rules.problem }];
  if (guildId !== undefined && rules.approvers.includes(guildId)) {
    invalid.push({ rule: 'everyone', path, subject: `approver ${guildId}` });
  }
  const duration = scalarOf(fieldsOf(suspend)['duration']);
  if (duration === undefined) {
    return invalid;
  }
  const open = listOf(fieldsOf(outputs)['parameters'])
    .map(fieldsOf)
    .flatMap(({ name, valueFrom }, nth) => {
      const { supplied, default: otherwise } = fieldsOf(valueFrom);
      const subject = `output ${scalarOf(name) ?? ''}`;
      const at = [...path, 'outputs', 'parameters', nth];
      return supplied === undefined || otherwise !== undefined
        ? []
        : [{ rule: 'suspend-without-default' as const, path: at, subject }];
    });
  const rule = durationRule(duration, rules.timeoutSeconds ?? 0);
  const place = { path: [...path, 'suspend', 'duration'], subject: `duration ${duration}` };
  return [...invalid, ...open, ...(rule === undefined ? [] : [{ rule, ...place }])];
}

/** A tag is unknown until the workflow runs, and Argo takes an empty duration as none. */
function durationRule(duration: string, timeoutSeconds: number): Fault['rule'] | undefined {
  const ms = argoDurationMs(duration);
  if (ms === undefined) {
    return duration === '' || duration.includes('{{') ? undefined : 'suspend-duration';
  }
  return ms < timeoutSeconds * 1000 ? 'suspend-too-short' : undefined;
}

/**
 * How far users control a parameter: `fixed` contains none of their text, `unchecked` is limited by an enum that Argo ignores.
 */
export type Freedom = 'free' | 'unchecked' | 'fixed';

/** The parameters of a workflow that are not free text. */
export function limitedParameters(object: TemplateObject): ReadonlyMap<string, Freedom> {
  const command = isCommandTemplate(object.manifest);
  const { types = new Map<string, unknown>(), hide } = command ? readAnnotations(object.manifest, []) : {};
  const hiding = new Set(hide);
  const limited = listOf(fieldsOf(object.spec['arguments'])['parameters'])
    .map(fieldsOf)
    .flatMap((parameter) => {
      const name = textOf(parameter['name']) ?? '';
      const harmless = isHarmlessChoice(parameter['enum']);
      // facteur fills `reflections` with text from agents, which is trusted no more than a user's.
      const hidden = hiding.has(name) && name !== 'reflections';
      if (!harmless && !types.has(name) && !hidden) {
        return [];
      }
      return [[name, command ? 'fixed' : 'unchecked'] as const];
    });
  return new Map<string, Freedom>([...limited, ['facteur_url', 'fixed'], ['facteur_token', 'fixed']]);
}
