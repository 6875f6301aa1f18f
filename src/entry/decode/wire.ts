import type { DescField, DescMessage } from '@bufbuild/protobuf';
import { ScalarType } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/**
 * Throws unless the bytes have the shape of the message: every known field with the wire type it is declared with, and
 * no nested message that reaches beyond the one around it. The library reads on regardless of both, and would make a
 * command out of bytes that mean something else: a Codex task, JSON, a cut-off upload.
 */
export function checkWire(message: DescMessage, bytes: Uint8Array): void {
  checkMessage(message, new BinaryReader(bytes), bytes.length);
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
      throw new Error(`field ${number} reaches beyond its message`);
    }
  }
}

/** The two contracts hold no packed lists, no groups and no fixed-width numbers. */
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
