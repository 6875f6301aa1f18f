import { isRecord } from '../../src/base/json.ts';
import { textField, type JsonObject, type ObjectMeta } from './objects.ts';

/** The metadata of a workflow with the annotations that its template defines for workflows, not the template's own. */
export function withAnnotations(metadata: ObjectMeta, template: JsonObject | undefined): ObjectMeta {
  const given = template?.['workflowMetadata'];
  const annotations = isRecord(given) ? given['annotations'] : undefined;
  return isRecord(annotations)
    ? { ...metadata, annotations: { ...metadata.annotations, ...(annotations as Record<string, string>) } }
    : metadata;
}

/** `status.outputs` of a workflow that succeeded: outputs with a global name, under that name. Their values are their defaults. */
export function globalOutputs(template: JsonObject | undefined): JsonObject {
  const templates: unknown = template?.['templates'];
  const outputs = (Array.isArray(templates) ? templates.filter(isRecord) : []).flatMap(outputsOf);
  const parameters = outputs
    .map((output) => ({ name: textField(output, 'globalName'), value: valueOf(output) }))
    .filter(({ name, value }) => name !== '' && value !== '');
  return parameters.length === 0 ? {} : { outputs: { parameters } };
}

function outputsOf({ outputs }: JsonObject): readonly JsonObject[] {
  const parameters = isRecord(outputs) ? outputs['parameters'] : undefined;
  return Array.isArray(parameters) ? parameters.filter(isRecord) : [];
}

function valueOf(output: JsonObject): string {
  const from = output['valueFrom'];
  return textField(output, 'value') || textField(isRecord(from) ? from : undefined, 'default');
}
