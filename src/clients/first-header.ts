import type { IncomingHttpHeaders } from 'node:http';

/** A header that can have one value. If it is repeated, as by a proxy that adds its own, undici gives a list: the first counts. */
export function firstHeader(headers: IncomingHttpHeaders, name: string): string | undefined {
  return [headers[name]].flat()[0];
}
