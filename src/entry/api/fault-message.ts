import type * as z from 'zod';

/** Names of the library's types, in the style of the other messages. */
const TYPES: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'an integer',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};
const FORMATS: Readonly<Record<string, string>> = {
  uuid: 'a UUID',
  datetime: 'an RFC 3339 time',
  date: 'a date (YYYY-MM-DD)',
  url: 'a URL',
};
/** Messages that the library generates; a schema's own message is kept. */
const GENERIC = /^(?:Invalid |Too (?:small|big))/;

/** What is wrong with a field, as the rest of a sentence that begins with the field's name. */
export function faultMessage(issue: z.core.$ZodIssue): string {
  if (!GENERIC.test(issue.message)) {
    return issue.message;
  }
  switch (issue.code) {
    case 'invalid_type':
      return typeMessage(issue);
    case 'invalid_format':
      return issue.format in FORMATS ? `must be ${FORMATS[issue.format]}` : 'has an invalid format';
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return bound(issue.origin, 'at least', issue.minimum);
    case 'too_big':
      return bound(issue.origin, 'at most', issue.maximum);
    default:
      return 'is invalid';
  }
}

function typeMessage({ message, expected }: z.core.$ZodIssueInvalidType): string {
  return message.endsWith('received undefined') ? 'is required' : `must be ${TYPES[expected] ?? expected}`;
}

const UNITS: Readonly<Record<string, string>> = {
  string: 'characters',
  array: 'items',
  record: 'entries',
  object: 'entries',
};

function bound(origin: string, which: 'at least' | 'at most', limit: number | bigint): string {
  if (which === 'at least' && Number(limit) === 1 && origin === 'string') {
    return 'must not be empty';
  }
  const unit = UNITS[origin];
  return unit === undefined ? `must be ${which} ${limit}` : `must have ${which} ${limit} ${unit}`;
}
