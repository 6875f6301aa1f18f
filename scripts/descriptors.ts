import { create, fromBinary, type DescMessage } from '@bufbuild/protobuf';
import { protoCamelCase } from '@bufbuild/protobuf/reflect';
import { base64Decode } from '@bufbuild/protobuf/wire';
import { FileDescriptorProtoSchema, type DescriptorProto, type FileDescriptorProto } from '@bufbuild/protobuf/wkt';

/**
 * Generated modules contain their descriptors in protobuf's binary format, whose reader needs the descriptors of descriptors.
 * Building those takes a third of the time that a start spends on protobuf, so a bundle contains the same messages as JSON.
 */

/** `fileDesc` of a generated module. */
const ENCODED = /\bfileDesc\(\s*"([^"]+)"/;
/** The file that defines `fileDesc`. */
const READER = /@bufbuild\/protobuf\/dist\/esm\/codegenv2\/file\.js$/;

/** A rolldown plugin. */
export const descriptorsAsJson = {
  name: 'descriptors',
  transform: {
    filter: { id: [READER, /_pb\.[jt]s$/] },
    handler(code: string, id: string): { code: string; map: null } {
      const replaced = READER.test(id)
        ? reader()
        : code.replace(ENCODED, (_, encoded: string) => `fileDesc(${JSON.stringify(JSON.stringify(decode(encoded)))}`);
      return { code: replaced, map: null };
    },
  },
};

function decode(encoded: string): FileDescriptorProto {
  const file = fromBinary(FileDescriptorProtoSchema, base64Decode(encoded));
  file.messageType.forEach(addJsonNames);
  return file;
}

/** Adds the names that the compiler omits because they follow from the field names. */
function addJsonNames(message: DescriptorProto): void {
  for (const field of message.field) {
    field.jsonName = Object.hasOwn(field, 'jsonName') ? field.jsonName : protoCamelCase(field.name);
  }
  message.nestedType.forEach(addJsonNames);
}

/** Messages have field defaults in their prototype, so own properties are the fields that were set. */
function reader(): string {
  const defaults: Record<string, unknown> = {};
  const collect = (schema: DescMessage): void => {
    const own = Object.getPrototypeOf(create(schema)) as Record<string, unknown>;
    // JSON has no bigint. No compiled file contains one: otherwise the recording step of the build would fail.
    if (Object.values(own).every((value) => typeof value !== 'bigint')) {
      defaults[schema.typeName] = own;
    }
    schema.nestedMessages.forEach(collect);
  };
  FileDescriptorProtoSchema.file.messages.forEach(collect);
  return `
    import { createEmbeddedFileRegistry } from '../registry.js';
    const DEFAULTS = ${JSON.stringify(defaults)};
    export function fileDesc(json, imports = []) {
      const root = JSON.parse(json, (_key, value) =>
        value?.$typeName === undefined ? value : Object.setPrototypeOf(value, DEFAULTS[value.$typeName]));
      root.dependency = imports.map(({ proto }) => proto.name);
      return createEmbeddedFileRegistry(root, (name) => imports.find(({ proto }) => proto.name === name)).getFile(root.name);
    }`;
}
