import { isRecord } from '../base/json.ts';
import { judgeTemplates } from './lint/lint.ts';
import type { FieldFault } from './refusal.ts';
import { readTemplateCommand, type TemplateCommand, type TemplateRules } from './template-command.ts';

/**
 * The commands of all templates together. A template that would run user text as code, itself or in a template that it calls,
 * gets no command.
 *
 * @param complete the templates include every one of the namespaces: a missing one does not exist
 */
export function readTemplateCommands(
  templates: readonly unknown[],
  rules: TemplateRules,
  { complete }: { readonly complete: boolean },
): readonly TemplateCommand[] {
  const manifests = templates.map(withKind);
  const verdicts = new Map(
    judgeTemplates(manifests, { complete }).map(({ manifest, blocking }) => [manifest, blocking.map(toFault)]),
  );
  return templates.flatMap((template, index) => {
    const command = readTemplateCommand(template, rules);
    const found = verdicts.get(index) ?? [{ field: 'spec', message: 'could not be checked' }];
    return command === undefined ? [] : [{ ...command, faults: [...command.faults, ...found] }];
  });
}

/** The items of a list from an API server may lack the kind. */
function withKind(template: unknown): unknown {
  return isRecord(template) ? { apiVersion: 'argoproj.io/v1alpha1', kind: 'WorkflowTemplate', ...template } : template;
}

function toFault({
  name,
  place,
  message,
  fix,
}: {
  name: string;
  place: string;
  message: string;
  fix: string;
}): FieldFault {
  return { field: `${name}: ${place}`, message: `${message}; ${fix}` };
}
