import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { ScalarType } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { MAX_VALUES } from './count-values.ts';

/**
 * Throws unless the bytes have the structure of the message: known fields with their declared wire types, no nested
 * message that extends beyond its parent, and no more fields than any message has. The library ignores the first two,
 * and would decode a command from unrelated bytes: a Codex task, JSON, a truncated upload.
 */
export function checkWire(message: DescMessage, bytes: Uint8Array): void {
  checkMessage(message, new CountingReader(bytes), bytes.length);
}

/** Two bytes can be a nested message, which takes fifty times as much memory. */
class CountingReader extends BinaryReader {
  #left = MAX_VALUES;

  override tag(): [number, WireType] {
    this.#left -= 1;
    if (this.#left < 0) {
      throw new Error(`more than ${MAX_VALUES} fields`);
    }
    return super.tag();
  }
}

function checkMessage(message: DescMessage, reader: BinaryReader, end: number): void {
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = message.fields.find((candidate) => candidate.number === number);
    if (field !== undefined && wireType !== expectedWireType(field)) {
      throw new Error(`field ${number} has wire type ${wireType}`);
    }
    if (field?.message !== undefined) {
      const length = reader.uint32();
      checkMessage(field.message, reader, reader.pos + length);
    } else {
      reader.skip(wireType, number);
    }
    if (reader.pos > end) {
      throw new Error(`field ${number} extends beyond its message`);
    }
  }
}

/** The two contracts have no packed lists, no groups and no fixed-width numbers. */
function expectedWireType(field: DescField): WireType {
  switch (field.fieldKind) {
    case 'scalar':
      return field.scalar === ScalarType.STRING || field.scalar === ScalarType.BYTES
        ? WireType.LengthDelimited
        : WireType.Varint;
    case 'enum':
      return WireType.Varint;
    case 'list':
    case 'map':
    case 'message':
      return WireType.LengthDelimited;
  }
}
