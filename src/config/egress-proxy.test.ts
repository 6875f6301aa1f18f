import { describe, expect, test } from 'vitest';
import { proxyFor, readProxies } from './egress-proxy.ts';

/** The proxy of a URL in this environment. */
function proxy(url: string, env: Readonly<Record<string, string>>): string | undefined {
  return proxyFor(new URL(url), readProxies(env))?.reveal();
}

const BOTH = { HTTP_PROXY: 'http://plain:1', HTTPS_PROXY: 'http://secure:1' };

describe('the proxy', () => {
  test.each([
    ['https://discord.com/api', BOTH, 'http://secure:1'],
    ['http://discord.com/api', BOTH, 'http://plain:1'],
    ['https://discord.com', { HTTP_PROXY: 'http://plain:1' }, undefined],
    ['https://discord.com', { https_proxy: 'http://small:1' }, 'http://small:1'],
    ['https://discord.com', { https_proxy: 'http://small:1', HTTPS_PROXY: 'http://big:1' }, 'http://big:1'],
    ['https://discord.com', { https_proxy: 'http://small:1', HTTPS_PROXY: '' }, 'http://small:1'],
    ['https://discord.com', { HTTPS_PROXY: 'proxy.example.org:3128' }, 'http://proxy.example.org:3128'],
    ['https://discord.com', { HTTPS_PROXY: 'https://u:p@proxy' }, 'https://u:p@proxy'],
    ['https://discord.com', {}, undefined],
    ['https://localhost:6443', BOTH, undefined],
    ['https://127.8.9.1:6443', BOTH, undefined],
    ['https://[::1]:6443', BOTH, undefined],
  ])('%s with %j', (url, env, expected) => {
    expect(proxy(url, env)).toBe(expected);
  });

  test.each(['socks5://proxy:1080', 'ftp://proxy', 'http://hunter2:pa ss@', 'http://'])(
    'rejects %s, and names its variable',
    (value) => {
      const attempt = (): unknown => readProxies({ https_proxy: value });
      expect(attempt).toThrow('https_proxy must be an http:// or https:// URL');
      expect(attempt).not.toThrow('hunter2');
    },
  );
});

describe('NO_PROXY', () => {
  test.each([
    ['example.org', 'https://example.org', true],
    ['example.org', 'https://api.example.org', true],
    ['example.org', 'https://example.org.', true],
    ['example.org', 'https://notexample.org', false],
    ['.example.org', 'https://api.example.org', true],
    ['.example.org', 'https://example.org', false],
    ['*.example.org', 'https://api.example.org', true],
    ['*.example.org', 'https://example.org', false],
    ['EXAMPLE.org', 'https://Example.ORG', true],
    ['other, example.org ,', 'https://example.org', true],
    ['.svc,.cluster.local', 'https://kubernetes.default.svc', true],
    ['example.org:8443', 'https://example.org:8443', true],
    ['example.org:443', 'https://example.org', true],
    ['example.org:8443', 'https://example.org', false],
    ['10.0.0.0/8', 'https://10.96.0.1:443', true],
    ['10.0.0.0/8', 'https://11.0.0.1', false],
    ['10.0.0.0/8', 'https://ten.example.org', false],
    ['10.0.0.0/99', 'https://10.0.0.1', false],
    ['10.96.0.1', 'https://10.96.0.1', true],
    ['fd00::/8', 'https://[fd00::1]:6443', true],
    ['[fd00::1]:6443', 'https://[fd00::1]:6443', true],
    ['[fd00::1]:6443', 'https://[fd00::1]:443', false],
    ['fd00::1', 'https://[fd00::1]', true],
    ['*', 'https://example.org', true],
    ['', 'https://example.org', false],
    [',', 'https://example.org', false],
  ])('%s for %s: without the proxy: %s', (noProxy, url, isDirect) => {
    expect(proxy(url, { ...BOTH, NO_PROXY: noProxy }) === undefined).toBe(isDirect);
  });
});
