import { expect, test } from 'vitest';
import { builtinCommands } from './builtin-commands.ts';

test('the built-in commands are those of the contract, required options first', () => {
  const shown = Object.entries(builtinCommands()).map(
    ([name, command]) =>
      `${name}: ${command.options.map((option) => option.name + (option.required ? '!' : '')).join(' ')}`,
  );
  expect(shown).toEqual([
    'plan: objective! project',
    'implement: project! branch! ticket notes',
    'review: project! artifact! notes deadline',
    'status: ',
  ]);
});

test('all options are strings, the deadline is a date, and no command counts as configured', () => {
  const commands = Object.values(builtinCommands());
  const options = commands.flatMap((command) => command.options);
  expect(new Set(options.map((option) => option.type))).toEqual(new Set(['string']));
  expect(options.filter((option) => option.format === 'date').map((option) => option.name)).toEqual(['deadline']);
  expect(commands.map((command) => command.configured)).toEqual([false, false, false, false]);
  expect(commands.map((command) => command.action)).toEqual(['dispatch', 'dispatch', 'dispatch', 'status']);
});
