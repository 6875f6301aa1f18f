import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { lastLines } from './log-lines.ts';

const LIMITS = { lines: 20, chars: 1500 };
const shown = (log: string) => lastLines(log, LIMITS);

describe('lastLines', () => {
  test('keeps whole lines from the end', () => {
    const log = Array.from({ length: 30 }, (_, index) => `line ${index}`).join('\n');
    expect(shown(`${log}\n\n`).split('\n')).toEqual(Array.from({ length: 20 }, (_, index) => `line ${index + 10}`));
    expect(lastLines('aaaa\nbbbb\ncccc', { lines: 20, chars: 10 })).toBe('bbbb\ncccc');
    expect(shown('')).toBe('');
  });

  test('removes the colours, cursor moves and titles of a terminal', () => {
    expect(shown('\u001b[1;31merror\u001b[0m \u001b]0;title\u0007here\u001b[2K\u001b(B')).toBe('error here');
    expect(shown('10 %\r50 %\r100 %\r\ndone')).toBe('100 %\ndone');
  });

  test.each([
    'GITHUB_TOKEN=canary',
    'export DB_PASSWORD="canary"',
    `password: 'canary canary'`,
    '{"api_key":"canary","a":1}',
    'X-Api-Key: canary',
    'Authorization: Basic canary',
    'authorization: Bearer canary-canary',
    'Set-Cookie: canary',
    '> Cookie: theme=dark; session=canary',
    '> Authorization: token canary',
    '< proxy-authorization: Digest username="a", response="canary"',
    'deploy --token canary --dry-run',
    `login --registry-password 'canary canary'`,
    'MYSQL_PWD=canary',
    'AccountName=x;AccountKey=canary==;EndpointSuffix=y',
    'aws_secret_access_key = canary',
    'GET https://user:canary@example.test/x',
    'PATCH /webhooks/123/canary-canary',
    'curl -H "Authorization: Bot canarycanary"',
    '\u001b[32mTOKEN\u001b[0m=\u001b[31mcanary\u001b[0m',
    '-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----',
    `ghp_${'canary'.repeat(6)}`,
    `the token is github_pat_canary0123456789abcdef_${'canary'.repeat(10)}`,
    'sk-canary0123456789abcdef',
    'xoxb-0123456789-canary0123456789',
    'aW50ZXJhY3Rpb246canary',
    'eyJhbGciOiJIUzI1.canary.canary',
    'canarycanarycanarycanarycanarycanarycanary',
  ])('hides %j', (line) => {
    const text = shown(`before\n${line}\nafter`);
    expect(text).not.toContain('canary');
    expect(text).toMatch(/^before\n[^]*\*\*\*[^]*\nafter$/);
  });

  test.each([
    'step-2: main: Error (exit code 1)',
    'AssertionError: expected 3 tokens, got 4',
    'fetched 4bf92f3577b34da6a3ce929d0e0e4736 in 3.2 s',
    'panic: runtime error: index out of range [5] with length 3',
    'POST https://example.test/v1/runs?limit=5 422',
    'docker login --password-stdin registry.test',
    'PWD=/work',
  ])('leaves %j unchanged', (line) => {
    expect(shown(line)).toBe(line);
  });

  test('hides a token whose end is cut off', () => {
    const text = shown(`${'- '.repeat(485)}ghp_${'canary'.repeat(6)}`);
    expect(text).not.toContain('canary');
    expect(text).toContain('- ***');
  });

  test('is fast for a log that is crafted to be slow', () => {
    const before = process.cpuUsage();
    for (const part of ['token', 'a', '\u001b[', 'eyJ', 'https://', '-----BEGIN ', '\r']) {
      shown(part.repeat(65_536 / part.length));
    }
    // CPU time of this process, regardless of how busy the machine is.
    expect(process.cpuUsage(before).user).toBeLessThan(1_000_000);
  });

  test('keeps its limits for any lines', () => {
    const limits = { lines: 5, chars: 100 };
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 90 })), (lines) => {
        const kept = lastLines(lines.join('\n'), limits);
        return kept.split('\n').length <= 5 && kept.length <= 200 && !kept.includes('\u001b[');
      }),
    );
  });
});
