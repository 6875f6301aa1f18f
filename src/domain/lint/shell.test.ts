import { expect, test } from 'vitest';
import { shellFaults } from './shell.ts';

const rules = (script: string): readonly string[] => shellFaults(script, new Set(['TEXT'])).map(({ rule }) => rule);

test.each([
  '{ echo "$TEXT"; } | sh',
  '{ date; { echo "$TEXT"; }; } | sudo -u build bash -s',
  '(echo "$TEXT"; date) | sh',
  'if true; then echo "$TEXT"; fi | sh',
  'for i in 1 2; do printf %s "$TEXT" | tr a b; done | python3',
  'while read -r line; do echo "$TEXT"; done < list | psql "$URL"',
  'case "$1" in a) date ;; *) echo "$TEXT" ;; esac | sh',
  'bash -c "$(echo "$TEXT" | base64 -d)"',
  'echo "`echo "$TEXT"`" | sh',
  'echo "$TEXT" | xargs sh -c',
  'echo "$TEXT" | xargs -0 -n 1 bash -c',
  'echo "$TEXT" | xargs -I {} sh -c \'run {}\'',
  'echo "$TEXT" | xargs -I% sh -c \'run %\'',
  'echo "$TEXT" 2>&1 | sh',
  `echo "$TEXT" ${'a '.repeat(70)} 2>&1 | sh`,
  '{ echo "$TEXT" 2> log; date < list; } | sh',
  'bash -c "run $(printf "%q %s" a "$TEXT")"',
  'bash -c "run $(printf "$TEXT%q" a)"',
  'echo "$TEXT" | sudo -u build sh',
  'echo "$TEXT" | gosu build sh',
  'echo "$TEXT" | gosu 1000:1000 sh',
  'sudo -u user psql db -c "select \'$TEXT\'"',
  'sudo -u user awk "{ print $TEXT }" file',
  'timeout -s KILL 5 env -u A sed "s/a/$TEXT/" file',
  'yq -o json ".[\\"$TEXT\\"]" file',
  'yq --input-format xml -oj -I 2 ".a = \\"$TEXT\\"" file',
  '. "$TEXT"',
  'source "$TEXT" now',
  'trap "rm -r $TEXT" EXIT',
])('user text is evaluated: %s', (script) => {
  expect(rules(script)).toEqual(['shell-eval']);
});

test.each([
  '{ echo "$TEXT"; } > file; sh build.sh | sh',
  '{ echo "$TEXT"; } && date | sh',
  '(echo "$TEXT") | tee log; date | sh',
  'if [ "$(echo "$TEXT" | wc -c)" -gt 5 ]; then date; fi | sh',
  'for i in "$TEXT"; do date; done | sh',
  'echo "$TEXT" | while read -r line; do printf "%s\\n" "$line"; done',
  'echo done "$TEXT"; date | sh',
  'echo "$TEXT" | xargs -n 1 sh -c \'run "$1"\' sh',
  'echo "$TEXT" | xargs -I {} cp {} /data',
  'echo "$TEXT" | xargs rm -f --',
  'sudo -u "$TEXT" sh build.sh',
  'sudo -u user psql db -v text="$TEXT" -f insert.sql',
  'yq -o json .a "$TEXT"',
  '{ echo "loading $TEXT" >&2; cat load.sql; } | psql db',
  'for f in *.sql; do echo "$f $TEXT" >> log; cat "$f"; done | psql db',
  '{ echo "$TEXT"; } > file | sh',
  '(echo "$TEXT" &> log; date) | sh',
  'ssh build "run $(printf "%q" "$TEXT")"',
  'eval "$(printf "name=%q\\n" "$TEXT")"',
  '. ./env.sh "$TEXT"',
  'source /etc/profile "$TEXT"',
  'trap \'rm "$TEXT"\' EXIT',
  'NAME=$(echo "$TEXT" | tr A-Z a-z); sh build.sh "$NAME"',
])('user text is data: %s', (script) => {
  expect(rules(script)).toEqual([]);
});
