/** What a TLS connection needs beyond the address. */
export interface TlsMaterial {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** The API server's address and credentials at one moment. The same object means that nothing changed. */
export interface Connection {
  /** Without a slash at the end. */
  readonly server: string;
  /** The proxy to go through; may hold a password. */
  readonly proxyUrl?: string;
  /** `authorization` and `impersonate-…`, if they apply. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly tls: TlsMaterial;
}

/** A cluster that facteur may talk to. */
export interface ClusterAccess {
  /** Where this came from, for a log line: a file, or `in-cluster`. */
  readonly source: string;
  /** The context's namespace, or undefined. */
  readonly namespace: string | undefined;
  /**
   * The current connection, cached for seconds. With `refused` (the one that got a 401) the credentials are reread,
   * once for all concurrent callers.
   */
  connection(refused?: Connection): Promise<Connection>;
}
