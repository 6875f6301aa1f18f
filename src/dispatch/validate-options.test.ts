import { describe, expect, test } from 'vitest';
import type { OptionDefinition } from '../domain/command.ts';
import { optionFaults } from './validate-options.ts';

const option = (definition: Partial<OptionDefinition>): OptionDefinition => ({
  name: 'x',
  description: 'an option',
  type: 'string',
  required: false,
  ...definition,
});

/** The faults as sentences. */
const told = (...asked: Parameters<typeof optionFaults>): string[] =>
  optionFaults(...asked).map(({ field, message }) => (field === '' ? message : `${field}: ${message}`));

describe('optionFaults', () => {
  test.each([
    { definition: { required: true }, value: undefined, fault: 'is required' },
    { definition: { required: true }, value: '', fault: 'is required' },
    { definition: {}, value: undefined, fault: undefined },
    { definition: { type: 'integer' }, value: '12', fault: undefined },
    { definition: { type: 'integer' }, value: '1.5', fault: 'must be a whole number' },
    { definition: { type: 'integer' }, value: '9007199254740993', fault: 'must be a whole number' },
    { definition: { type: 'integer', min: 2 }, value: '1', fault: 'must be at least 2' },
    { definition: { type: 'number', max: 2 }, value: '2.5', fault: 'must be at most 2' },
    { definition: { type: 'number' }, value: '1e400', fault: 'must be a number' },
    { definition: { type: 'number' }, value: '0x10', fault: 'must be a number' },
    { definition: { type: 'boolean' }, value: 'yes', fault: 'must be true or false' },
    { definition: { type: 'boolean' }, value: 'true', fault: undefined },
    { definition: { choices: [{ name: 'A', value: 'a' }] }, value: 'A', fault: 'must be one of a' },
    { definition: { minLength: 2 }, value: '🦊', fault: 'must have at least 2 characters' },
    { definition: { maxLength: 1 }, value: '🦊', fault: undefined },
    { definition: { format: 'date' }, value: '2026-02-28', fault: undefined },
    { definition: { format: 'date' }, value: '2026-02-30', fault: 'must be an ISO 8601 date such as 2026-01-31' },
    { definition: { format: 'date' }, value: 'tomorrow', fault: 'must be an ISO 8601 date such as 2026-01-31' },
  ] as const)('$definition with $value', ({ definition, value, fault }) => {
    const options: Record<string, string> = value === undefined ? {} : { x: value };
    expect(told([option(definition)], options)).toEqual(fault === undefined ? [] : [`x: ${fault}`]);
  });

  test('reports all errors at once, unknown options first, without any value', () => {
    const faults = told([option({ required: true }), option({ name: 'y', type: 'integer' })], {
      y: 'canary',
      z: 'canary',
    });
    expect(faults).toEqual(['z: is an unknown option', 'x: is required', 'y: must be a whole number']);
    expect(faults.join()).not.toContain('canary');
  });

  test.each([
    ['number', '1.0', '1', true],
    ['integer', '007', '7', true],
    ['string', '1.0', '1', false],
    ['number', '1.5', '1.50001', false],
  ] as const)('compares a choice of type %s by its value: %s and %s: %s', (type, choice, value, fits) => {
    const definition = option({ type, choices: [{ name: 'One', value: choice }] });
    expect(told([definition], { x: value }).length).toBe(fits ? 0 : 1);
  });

  describe('of subcommands', () => {
    const definitions = [
      option({ name: 'start.service', required: true }),
      option({ name: 'start.force', type: 'boolean' }),
      option({ name: 'db.backup.name', required: true }),
    ];

    test('a required option applies only to its own subcommand', () => {
      expect(told(definitions, { 'start.service': 'api' })).toEqual([]);
      expect(told(definitions, { 'db.backup.name': 'x' })).toEqual([]);
      expect(told(definitions, { 'start.force': 'true' })).toEqual(['start.service: is required']);
      expect(told(definitions, { 'start.service': 'api', 'start.force': 'maybe' })).toEqual([
        'start.force: must be true or false',
      ]);
    });

    test('one is required, and unknown ones are rejected', () => {
      expect(told(definitions, {})).toEqual(['a subcommand is required: start, db.backup']);
      expect(told(definitions, { 'stop.service': 'api' })).toEqual(['stop.service: is an unknown option']);
    });
  });
});
