import { expect, test } from 'vitest';
import { resultVariables } from './expression.ts';

test.each([
  ['a', ['a']],
  ["inputs.parameters['a-b'].c", ['inputs/parameters/a-b/c']],
  ['inputs?.parameters?.a', ['inputs/parameters/a']],
  ['$env.inputs.parameters.a', ['inputs/parameters/a']],
  ["$env['inputs'].parameters.a", ['inputs/parameters/a']],
  ['get($env, b).c', ['$env', 'b', 'c']],
  ['inputs.parameters[a]', ['inputs/parameters', 'a']],
  ['\'a\' + b + "c.d"', ['b']],
  ['a ?? b', ['a', 'b']],
  ['a == b', []],
  ['!a', []],
  ['a in [b]', []],
  ['a matches b && c', []],
  ['(a == b) ? c : (d ? e : f)', ['c', 'e', 'f']],
  ["a == '?' ? 'x:y' : b", ['b']],
  ['a ? b ? c : d : e', ['c', 'd', 'e']],
  ['((a))', ['a']],
  ['asInt(a) * 2 + len(b)', []],
  ['asInt(a) + b', ['b']],
  ['sprig.b64enc(a + b)', []],
  ['sprig.trim(a)', ['a']],
  ['sprig.trim(sprig.b64enc(a))', ['a']],
  ['f(a) == b + f(c)', []],
  ['toJson(a)', ['a quoted']],
  ['toJson(a) + b', ['a quoted', 'b']],
  ['toJson(a == b)', []],
  ['let x = a; x == b', ['let', 'x', 'a', 'x', 'b']],
  ['a | trim() == b', ['a', 'b']],
  ['map(a, {# + b})', ['a', '#', 'b']],
  ['a["', ['a']],
  ['? : (', []],
  ["'a\\'", []],
])('%s gives the text of %j', (source, expected) => {
  const found = resultVariables(source).map(({ parts, quoted }) => `${parts.join('/')}${quoted ? ' quoted' : ''}`);
  expect(found).toEqual(expected);
});
