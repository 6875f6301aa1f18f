/** The URL of a path below another URL, whose own path (as behind a proxy) may end with slashes. */
export function urlBelow(base: URL, path: string): URL {
  const url = new URL(base);
  // Not resolved as a relative URL: a path that begins with two slashes would name another host.
  url.pathname = url.pathname.replace(/(?<!\/)\/+$/, '') + path;
  return url;
}
