/** A host without brackets (empty: every interface) and a port (0: the system chooses). */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const FORM = /^(?:\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|([^\s:[\]/]*)):(\d{1,5})$/;

/** Reads a Go listen address: `:8080`, `127.0.0.1:8080`, `[::]:8080`. Undefined if it is not one. */
export function parseListenAddress(text: string): ListenAddress | undefined {
  const match = FORM.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) {
    return undefined;
  }
  return { host: match[1] ?? match[2] ?? '', port };
}
