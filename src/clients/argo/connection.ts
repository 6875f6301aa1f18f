/** What a TLS connection needs beyond the address. */
export interface TlsMaterial {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** Where the apiserver is and how to be let in, at one moment. The same object as before means that nothing changed. */
export interface Connection {
  /** Without a slash at the end. */
  readonly server: string;
  readonly proxyUrl?: string;
  /** `authorization` and `impersonate-user`, as far as they apply. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsMaterial;
}

/** A cluster that facteur may talk to. */
export interface ClusterAccess {
  /** Where this came from, for a log line: a file, or `in-cluster`. */
  readonly source: string;
  /** The context's namespace, or undefined. */
  readonly namespace: string | undefined;
  /**
   * The present connection, from a cache of seconds. With `refused` (the one that got a 401) the credentials are read
   * afresh, once for all who ask at the same time.
   */
  connection(refused?: Connection): Promise<Connection>;
}
