import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { TlsWish } from '../../config/postgres-dsn.ts';

/** The protocol's SSLRequest: length 8, code 80877103. The server answers with one byte, `S` or `N`. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/**
 * The TLS options for `pg`, with libpq's modes: `prefer` and `require` encrypt without verifying the server, `verify-ca` checks
 * the chain, `verify-full` the host name too. A root certificate turns `require` into `verify-ca`. For `prefer`, a separate
 * connection asks the server whether it supports TLS.
 */
export async function tlsFor(
  tls: TlsWish,
  { host, port }: { readonly host: string; readonly port: number },
  timeoutMs: number,
): Promise<false | ConnectionOptions> {
  if (tls.mode === 'disable' || host.startsWith('/')) {
    return false;
  }
  if (tls.mode === 'prefer' && !(await speaksTls(host, port, timeoutMs))) {
    return false;
  }
  return { ...(await readFiles(tls)), ...checks(tls) };
}

function checks(tls: TlsWish): ConnectionOptions {
  const known = tls.mode === 'verify-full' || tls.mode === 'verify-ca';
  if (!known && (tls.mode === 'prefer' || tls.rootCert === undefined)) {
    return { rejectUnauthorized: false };
  }
  // For Node, undefined means that the name is valid.
  return tls.mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined };
}

async function readFiles(tls: TlsWish): Promise<ConnectionOptions> {
  const options: ConnectionOptions = {};
  // `system` is libpq's name for the certificates that the machine trusts, which is Node's default.
  if (tls.rootCert !== undefined && tls.rootCert !== 'system') {
    options.ca = await readFile(tls.rootCert);
  }
  if (tls.cert !== undefined && tls.key !== undefined) {
    options.cert = await readFile(tls.cert);
    options.key = await readFile(tls.key);
  }
  if (tls.keyPassword !== undefined) {
    options.passphrase = tls.keyPassword.reveal();
  }
  return options;
}

function speaksTls(host: string, port: number, timeoutMs: number): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const socket = connect({ host, port }, () => socket.write(SSL_REQUEST));
  socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer from the server after ${timeoutMs} ms`)));
  socket.once('error', reject);
  socket.once('data', (answer) => {
    resolve(answer[0] === 0x53);
    socket.destroy();
  });
  socket.once('close', () => reject(new Error('the server closed the connection before it answered')));
  return promise;
}
