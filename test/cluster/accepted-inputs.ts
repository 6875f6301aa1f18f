import type { CommandOption } from '../../sandbox/discord/interaction-payload.ts';
import type { Json } from '../support/cluster.ts';

/** An input that a person is asked for: an option as registered with Discord, or a field of a form. */
export interface Asked {
  readonly name: string;
  /** Of an option; undefined for a field. */
  readonly type?: number;
  readonly choices?: readonly { readonly value: string | number }[];
  readonly min_value?: number;
  readonly max_value?: number;
}

type Sent = ReadonlyMap<string, string | number | boolean>;

/** All inputs of one request, by option, and the values that the workflow must run with, by parameter. */
export interface Inputs {
  readonly sent: Sent;
  readonly meant: Readonly<Record<string, string>>;
}

interface Input {
  /** Undefined if the option is left out. */
  readonly sent: string | number | boolean | undefined;
  readonly meant: string;
}

const [STRING, INTEGER, BOOLEAN, NUMBER] = [3, 4, 5, 10];
const TEXTS = ['v4', ` it's "quoted" \\ $(id) \`id\` <b>&amp; %s }} – é 🚀 `, 'true', '007'];
const PROSE = ['One line', 'Two\nlines, "quoted"\n'];

/**
 * Inputs that a command accepts. Together they contain every choice of every option, both sides of each switch, the bounds
 * of each number, some texts, and each optional option left out.
 *
 * @param parameters as the template declares them
 * @param given by parameter, the value if nothing is entered; missing for required parameters
 */
export function acceptedInputs(
  parameters: readonly Json[],
  asked: readonly Asked[],
  given: Readonly<Record<string, string>>,
): readonly Inputs[] {
  const columns = parameters.map((parameter): readonly Input[] => {
    const option = askedFor(parameter, asked);
    return option === undefined
      ? [{ sent: undefined, meant: given[parameter.name] ?? '' }]
      : [...leftOut(given[parameter.name]), ...entered(parameter, option)];
  });
  const count = Math.max(1, ...columns.map(({ length }) => length));
  return Array.from({ length: count }, (_, row) => {
    const picked = parameters.map((parameter, column) => {
      const inputs = columns[column]!;
      return { parameter, ...inputs[row % inputs.length]! };
    });
    return {
      sent: new Map(
        picked.flatMap(({ parameter, sent }) => (sent === undefined ? [] : [[optionName(parameter), sent]])),
      ),
      meant: Object.fromEntries(picked.map(({ parameter, meant }) => [parameter.name, meant])),
    };
  });
}

/** Inputs that a command must refuse: each has one error. */
export function refusedInputs(
  parameters: readonly Json[],
  asked: readonly Asked[],
  given: Readonly<Record<string, string>>,
): readonly Sent[] {
  const sent = acceptedInputs(parameters, asked, given).at(-1)?.sent ?? new Map();
  const options = parameters.flatMap((parameter) => {
    const option = askedFor(parameter, asked);
    return option === undefined ? [] : [{ parameter, option }];
  });
  const wrong = options.map(({ parameter, option }) => {
    const isText = [undefined, STRING].includes(option.type) && parameter.enum === undefined;
    return new Map([...sent, [option.name, isText ? '{{workflow.name}}' : 'none of these'] as const]);
  });
  const absent = options
    .filter(({ parameter }) => given[parameter.name] === undefined)
    .map(({ option }) => new Map([...sent].filter(([key]) => key !== option.name)));
  return [...wrong, ...absent, new Map([...sent, ['gone', 'x'] as const])];
}

/** Options as Discord sends them, below the subcommands of the command. */
export function nestedOptions([first, ...rest]: readonly string[], sent: Sent): readonly CommandOption[] {
  return first === undefined
    ? Array.from(sent, ([name, value]) => ({ name, value }))
    : [{ name: first, options: nestedOptions(rest, sent) }];
}

function askedFor(parameter: Json, asked: readonly Asked[]): Asked | undefined {
  return asked.find(({ name }) => name === optionName(parameter));
}

function optionName({ name }: Json): string {
  return name.toLowerCase().slice(0, 32);
}

function leftOut(meant: string | undefined): readonly Input[] {
  return meant === undefined ? [] : [{ sent: undefined, meant }];
}

function entered({ enum: values = [] }: Json, option: Asked): readonly Input[] {
  const { type, choices = [] } = option;
  const listed: readonly string[] = [...new Set<string>(values)];
  if (type === BOOLEAN) {
    return listed.map((value) => ({ sent: value === 'true' || value === 'yes', meant: value }));
  }
  if (listed.length > 0) {
    return listed.map((value, index) => ({ sent: choices[index]?.value ?? value, meant: value }));
  }
  return free(option).map((value) => ({ sent: value, meant: String(value) }));
}

function free({ type, min_value: min = -7, max_value: max = 7 }: Asked): readonly (string | number)[] {
  switch (type) {
    case INTEGER:
      return [min, max];
    case NUMBER:
      return [min, max, 2.5];
    case STRING:
      return TEXTS;
    default:
      return [...TEXTS, ...PROSE];
  }
}
