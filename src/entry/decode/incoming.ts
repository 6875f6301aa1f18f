/**
 * What a door received, before decoding. Header names are in lowercase and CloudEvent attributes are called `ce-…`, as over HTTP:
 * the Kafka door renames its `ce_…` headers.
 */
export interface Incoming {
  readonly headers: IncomingHeaders;
  readonly body: Buffer;
}

export type IncomingHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** One header as text; undefined if it is missing, blank or a list. */
export function headerText(headers: IncomingHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
}
