import { expect, test } from 'vitest';
import { hideCredentials, hideKnown } from './known-credentials.ts';

// Assembled here, so that secret scanners do not report them.
const letters = (length: number): string => 'aB3dE6gH9jK2'.repeat(20).slice(0, length);
const hex = (length: number): string => '0a1b2c3d4e5f'.repeat(20).slice(0, length);
const bot = (id: string): string => `${Buffer.from(id).toString('base64').replaceAll('=', '')}.Gx1-_z.${letters(38)}`;

test.each([
  ...['p', 'o', 'u', 's', 'r'].map((kind) => `gh${kind}_${letters(36)}`),
  `ghs_123456_eyJ${letters(30)}.${letters(60)}.${letters(43)}`,
  `github_pat_${letters(22)}_${letters(59)}`,
  `glpat-${letters(10)}_-${letters(8)}`,
  `glpat-${'a'.repeat(19)}B`,
  `xoxb-123456789012-1234567890123-${letters(24)}`,
  `xoxp-1234567890-1234567890-1234567890-${hex(32)}`,
  `xoxe-1-${letters(140)}`,
  `xapp-1-A0123456789-1234567890123-${hex(64)}`,
  `sk_live_${letters(24)}`,
  `rk_live_${letters(99)}`,
  `sk-${letters(20)}T3BlbkFJ${letters(20)}`,
  `sk-proj-${letters(30)}_-${letters(42)}T3BlbkFJ${letters(74)}`,
  `sk-svcacct-${letters(74)}T3BlbkFJ${letters(74)}`,
  `sk-ant-api03-${letters(40)}-_${letters(51)}AA`,
  `sk-ant-oat01-${letters(93)}AA`,
  `sk-or-v1-${hex(64)}`,
  `sk-lf-${hex(8)}-${hex(4)}-${hex(4)}-${hex(4)}-${hex(12)}`,
  `sk-${hex(32)}`,
  `npm_${letters(36)}`,
  `hf_${letters(34)}`,
  ...['AKIA', 'ASIA'].map((kind) => `${kind}${'ABCD2345'.repeat(2)}`),
  `AIza${letters(35)}`,
  `eyJ${letters(30)}.eyJ${letters(60)}.${letters(43)}`,
  `eyJ${letters(30)}.eyJ${letters(6)}`,
  ...['12345678901234567', '423456789012345678', '9123456789012345678'].map(bot),
  Buffer.from('interaction:123:abc').toString('base64'),
])('hides %s', (credential) => {
  expect(hideKnown(`use ${credential}, then push`)).toBe('use ***, then push');
  expect(hideKnown(`KEY="${credential}"`)).toBe('KEY="***"');
});

test.each([
  'hf_hub_download and hf_transfer_enabled_by_default of huggingface_hub',
  'sk-learn-pipeline-with-features, sk-toggleable__content, sk-estimator-doc-link',
  'sk-internationalization of sk-admin-fix-the-login-page-so-that-users-can-log-in',
  'sk-TICKET-2026-000123, sk-proj-management-system-frontend, sk-ant-colony-optimizer-benchmark',
  'xapp-symbolic-icons, xapp-common-2.8.2, xoxb-token-of-the-bot',
  'sk_live_stream_from_camera, rk_live_view_controller',
  'npm_config_registry, npm_lifecycle_event, npm_package_dependencies',
  'ghr_runner_scale_set_controller, ghs_installation_token_cache, gho_token_file_path',
  'github_pat_secret_name_of_the_operator, glpat-rotation-for-the-runners',
  'NotificationPreferencesController.update.shouldRejectUnknownChannels',
  'MyVeryLongServiceNameForTests.create.returnsConflictWhenItExists',
  'https://grafana.example/explore?left=eyJkYXRhc291cmNlIjoibG9raSIsInF1ZXJpZXMiOltdfQ',
  'task-0123456789abcdef0123456789, disk-0123456789abcdef0123456789, risk-assessment-2026',
  'ASIA-PACIFIC, AKIA, AIzawa, eyJ, 4bf92f3577b34da6a3ce929d0e0e4736',
  'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6ba7b810-9dad-11d1-80b4-00c04fd430c8 01ARZ3NDEKTSV4RRFFQ69G5FAV',
])('leaves %s unchanged', (text) => {
  expect(hideCredentials(text)).toBe(text);
});

test('is fast for text that is crafted to be slow', () => {
  const before = process.cpuUsage();
  for (const part of [
    'sk-',
    'sk-a',
    'glpat-',
    'eyJ-',
    'eyJabcdefgh-',
    'eyJabcdefgh..',
    'ghs_1_eyJ',
    'MDA0',
    'xapp-1-',
    'a',
  ]) {
    hideKnown(part.repeat(65_536 / part.length));
  }
  // CPU time of this process, regardless of how busy the machine is.
  expect(process.cpuUsage(before).user).toBeLessThan(1_000_000);
});
