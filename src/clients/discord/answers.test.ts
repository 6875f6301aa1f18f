import { RESTJSONErrorCodes } from 'discord-api-types/v10';
import { describe, expect, test } from 'vitest';
import { discordErrorOf } from './answers.ts';

const answer = (status: number, body: unknown, headers: Record<string, string | string[]> = {}) =>
  discordErrorOf('edit the message', {
    status,
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

describe('discordErrorOf', () => {
  test.each([
    [404, 10_003, 'discord.unknown_channel', false],
    [404, 10_008, 'discord.unknown_message', false],
    [404, 10_015, 'discord.unknown_webhook', false],
    [404, 10_062, 'discord.unknown_webhook', false],
    [429, 30_046, 'discord.edit_limit', true],
    [400, 20_022, 'discord.edit_limit', true],
    [429, 20_022, 'discord.edit_limit', true],
    [403, 50_001, 'discord.forbidden', false],
    [403, 50_013, 'discord.forbidden', false],
    [400, 50_005, 'discord.foreign_message', false],
    [401, 50_027, 'discord.token_expired', false],
    [400, 50_035, 'discord.invalid', false],
    [400, 50_083, 'discord.thread_archived', false],
    [403, 50_083, 'discord.thread_archived', false],
    [400, 160_005, 'discord.thread_archived', false],
    [400, 30_034, 'discord.command_limit', false],
    [401, 0, 'discord.unauthorized', false],
    [404, 0, 'discord.bad_answer', true],
    [403, 0, 'discord.bad_answer', true],
    [404, 10_063, 'discord.not_found', false],
    // Discord's edge, which blocks whole IP addresses for a while.
    [403, 40_333, 'discord.unavailable', true],
    // A gateway's own code, or its status.
    [403, 7, 'discord.bad_answer', true],
    [404, 404, 'discord.bad_answer', true],
    [429, 0, 'discord.rate_limited', true],
    [500, 0, 'discord.unavailable', true],
    [503, 130_000, 'discord.unavailable', true],
  ])('%i with code %i is %s', (status, code, name, retryable) => {
    const error = answer(status, { message: 'm', code });
    expect(error).toMatchObject({ code: name, status, discordCode: code, retryable });
    expect(error.message).toContain(`HTTP ${status}`);
  });

  test.each([
    [301, '<html>moved</html>', 'discord.bad_answer'],
    [400, '<html>400 Bad Request</html>', 'discord.bad_answer'],
    [401, '<html>401</html>', 'discord.bad_answer'],
    [403, '', 'discord.bad_answer'],
    [404, '{"message":"no Route matched with those values"}', 'discord.bad_answer'],
    [404, '{"message":"404: Not Found","code":"0"}', 'discord.bad_answer'],
    [408, 'Request Timeout', 'discord.timeout'],
    [413, '[]', 'discord.bad_answer'],
    [429, '<html>429</html>', 'discord.rate_limited'],
    [502, '<html>502</html>', 'discord.unavailable'],
  ])('a %i that is not from Discord is retryable: %s', (status, body, code) => {
    expect(answer(status, body)).toMatchObject({ code, retryable: true });
  });

  test('knows every code that Discord publishes', () => {
    const published = Object.values(RESTJSONErrorCodes).filter((code) => Number(code) > 0);
    expect(published.length).toBeGreaterThan(100);
    for (const code of published) {
      expect(answer(400, { message: 'm', code }).code).not.toBe('discord.bad_answer');
    }
  });

  test.each([
    [{ retry_after: 64.57 }, { 'retry-after': '65' }, 65_000],
    [{ retry_after: 1.2345 }, {}, 1235],
    [{}, { 'retry-after': '3' }, 3000],
    [{}, { 'retry-after': ['3', '5'] }, 3000],
    [{ retry_after: 'soon' }, { 'retry-after': 'Wed, 21 Oct 2026 07:28:00 GMT' }, undefined],
    [{ retry_after: 1e9 }, {}, 3_600_000],
    [{ retry_after: -1 }, {}, undefined],
  ])('waits as long as the body %j and the headers %j say', (body, headers, expected) => {
    expect(answer(429, { message: 'm', ...body }, headers).retryAfterMs).toBe(expected);
  });

  test('a limit is global if the body or a header says so, or if the answer is not from Discord', () => {
    expect(answer(429, { message: 'm', global: true }).global).toBe(true);
    expect(answer(429, { message: 'm' }, { 'x-ratelimit-global': 'true' }).global).toBe(true);
    expect(answer(429, '<html>banned</html>', { 'retry-after': '60' })).toMatchObject({
      global: true,
      retryAfterMs: 60_000,
    });
    const block = { message: 'You are being blocked from accessing our API temporarily', code: 0 };
    expect(answer(429, block, { 'retry-after': '600' })).toMatchObject({ global: true, retryAfterMs: 600_000 });
    expect(answer(429, { message: 'm', global: false }).global).toBe(false);
    expect(answer(429, { message: 'slow mode', code: 20_016 }).global).toBe(false);
  });

  test('names the invalid field, in a bounded line', () => {
    const errors = { components: { '0': { label: { _errors: [{ code: 'X', message: 'Too\nlong.' }] } } } };
    expect(answer(400, { message: 'Invalid Form Body', code: 50_035, errors }).message).toBe(
      'cannot edit the message: Invalid Form Body: components.0.label: Too long. (HTTP 400, code 50035)',
    );
    const many = Object.fromEntries(
      Array.from({ length: 99 }, (_, i) => [i, { _errors: [{ message: 'x'.repeat(50) }] }]),
    );
    expect(answer(400, { message: 'm', errors: many }).message.length).toBeLessThan(400);
  });
});
