import { BlockList, isIP } from 'node:net';
import { FacteurError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** The environment's proxies for outgoing HTTP requests. */
export interface EgressProxies {
  /** For `http:` targets; may hold a password. */
  readonly http?: Secret;
  readonly https?: Secret;
  /** Hosts that are reached directly, in the syntax of `NO_PROXY`. */
  readonly noProxy: string;
}

/**
 * `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, or the same in lower case.
 *
 * @throws FacteurError `config.proxy`, if one is invalid; its message names the variable and not the value
 */
export function readProxies(env: Environment): EgressProxies {
  const http = proxyOf(env, 'HTTP_PROXY');
  const https = proxyOf(env, 'HTTPS_PROXY');
  return {
    ...(http === undefined ? {} : { http }),
    ...(https === undefined ? {} : { https }),
    noProxy: env[nameIn(env, 'NO_PROXY')] ?? '',
  };
}

/** Go's clients (kubectl, the Go service) look at the upper-case name first, and so does this. */
function nameIn(env: Environment, name: string): string {
  return (env[name] ?? '') === '' ? name.toLowerCase() : name;
}

function proxyOf(env: Environment, upper: string): Secret | undefined {
  const name = nameIn(env, upper);
  const value = (env[name] ?? '').trim();
  if (value === '') {
    return undefined;
  }
  const text = value.includes('://') ? value : `http://${value}`;
  if (!/^https?:\/\/./i.test(text) || !URL.canParse(text)) {
    const message = `${name} must be an http:// or https:// URL`;
    throw new FacteurError('config.proxy', message, { retryable: false });
  }
  return new Secret(text);
}

/**
 * The proxy for a URL, if any. The rules are those of Go's clients: never for loopback addresses, and `NO_PROXY`
 * contains names (`example.org` includes its subdomains, `.example.org` means only them), addresses and ranges
 * (`10.0.0.0/8`), each with an optional port, or `*`. undici's own agent for these variables does not support ranges,
 * which most clusters use to exclude their API server.
 */
export function proxyFor(url: URL, proxies: EgressProxies): Secret | undefined {
  const proxy = url.protocol === 'https:' ? proxies.https : proxies.http;
  if (proxy === undefined) {
    return undefined;
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
  const target = { host, port: url.port === '' ? DEFAULT_PORTS[url.protocol] : url.port };
  const entries = proxies.noProxy.split(',').map((entry) => entry.trim().toLowerCase());
  return isLoopback(host) || entries.some((entry) => covers(entry, target)) ? undefined : proxy;
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

interface Target {
  readonly host: string;
  readonly port: string | undefined;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || within(host, '127.0.0.0', 8) || within(host, '::1', 128);
}

function covers(entry: string, { host, port }: Target): boolean {
  const range = /^([0-9a-f.:]+)\/(\d{1,3})$/.exec(entry);
  if (range !== null) {
    return within(host, range[1] ?? '', Number(range[2]));
  }
  // `[::1]:443`, `::1`, `example.org:443` or `example.org`.
  const parts = /^\[(.+)\](?::(\d+))?$/.exec(entry) ?? /^([^:]*)(?::(\d+))?$/.exec(entry) ?? [entry, entry];
  const [, name = '', onlyPort] = parts;
  return (onlyPort === undefined || onlyPort === port) && coversName(name, host);
}

function coversName(name: string, host: string): boolean {
  if (name === '' || name === '*') {
    return name === '*';
  }
  if (isIP(name) !== 0) {
    return within(host, name, isIP(name) === 4 ? 32 : 128);
  }
  const suffix = name.replace(/^\*?\.?/, '.');
  return host.endsWith(suffix) || host === name;
}

/** Also false if one of them is not an address. */
function within(host: string, network: string, prefix: number): boolean {
  const family = isIP(network);
  if (family === 0 || isIP(host) !== family || prefix > (family === 4 ? 32 : 128)) {
    return false;
  }
  const type = family === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(network, prefix, type);
  return list.check(host, type);
}
