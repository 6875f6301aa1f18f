/** etcd, kube-apiserver and Argo's controller, as processes on this machine. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:net';
import { once } from 'node:events';
import { stringify } from 'yaml';
import { errorMessage } from '../../src/base/errors.ts';
import { freePort, killDaemon, serverDirectory, startDaemon, type DaemonRecord } from '../services/daemon.ts';
import { openCluster } from './api.ts';
import type { Binaries } from './binaries.ts';

/** The parts in the order of their start. */
export const PARTS = ['etcd', 'apiserver', 'controller', 'kubelet'] as const;
export type Part = (typeof PARTS)[number];

type Ports = Readonly<Record<'etcd' | 'peer' | 'apiserver', number>>;

/** How a part is started, and how to tell that it is ready. */
export interface PartPlan {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly ready: () => Promise<void>;
}

/** A cluster whose parts can be killed and restarted one by one, with the same data, keys and ports. */
export class LocalCluster {
  /** The folder for files of all parts. It belongs to etcd, which is stopped last. */
  readonly folder: string;
  readonly #binaries: Binaries;
  readonly #ports: Ports;
  readonly #daemons = new Map<Part, DaemonRecord>();

  private constructor(binaries: Binaries, folder: string, ports: Ports) {
    this.#binaries = binaries;
    this.folder = folder;
    this.#ports = ports;
  }

  /** Creates keys and configuration with free ports; starts nothing. */
  static async create(binaries: Binaries): Promise<LocalCluster> {
    const ports = { etcd: await freePort(), peer: await freePort(), apiserver: await freePort() };
    const cluster = new LocalCluster(binaries, serverDirectory('cluster', undefined), ports);
    for (const part of PARTS) {
      mkdirSync(cluster.#directory(part), { recursive: true });
    }
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    cluster.#write('service-accounts.key', privateKey.export({ type: 'pkcs8', format: 'pem' }));
    cluster.#write('service-accounts.pub', publicKey.export({ type: 'spki', format: 'pem' }));
    const token = randomBytes(16).toString('hex');
    cluster.#write('tokens.csv', `${token},admin,admin,system:masters\n`);
    cluster.#write('audit-policy.yaml', stringify(AUDIT_POLICY));
    cluster.writeKubeconfig('admin.kubeconfig', { token });
    return cluster;
  }

  /** Path of the administrator's kubeconfig. */
  get kubeconfig(): string {
    return join(this.folder, 'admin.kubeconfig');
  }

  /** Path of the audit log: one JSON event per line, for every request of a service account. */
  get auditLog(): string {
    return join(this.folder, 'audit.log');
  }

  get etcdUrl(): string {
    return `http://127.0.0.1:${this.#ports.etcd}`;
  }

  get etcdData(): string {
    return join(this.folder, 'data');
  }

  /** Starts one part and waits until it answers. */
  async start(part: Part, began?: (daemon: DaemonRecord) => void): Promise<DaemonRecord> {
    try {
      return await startDaemon({
        ...this.#plan(part),
        directory: this.#directory(part),
        identity: undefined,
        stopSignal: 'SIGTERM',
        began: (record) => {
          this.#daemons.set(part, record);
          began?.(record);
        },
      });
    } catch (error) {
      if (!errorMessage(error).includes('address already in use')) {
        throw error;
      }
      throw new Error(`a port of ${part} was free and has been taken meanwhile: try again`, { cause: error });
    }
  }

  /** Kills a part, by default like a crash, and keeps its data. */
  async kill(part: Part, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const daemon = this.#daemons.get(part);
    if (daemon !== undefined) {
      await killDaemon(daemon, signal);
    }
  }

  /** The output of a part so far. */
  logOf(part: Part): string {
    const path = join(this.#directory(part), 'log');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  /** The processes of all parts that were started, in the order of their start. */
  get daemons(): readonly DaemonRecord[] {
    return PARTS.flatMap((part) => this.#daemons.get(part) ?? []);
  }

  /** Writes a kubeconfig for this cluster into its folder and returns its path. */
  writeKubeconfig(name: string, user: Readonly<Record<string, string>>): string {
    return this.#write(
      name,
      stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [
          {
            name: 'test',
            cluster: {
              server: `https://127.0.0.1:${this.#ports.apiserver}`,
              'certificate-authority': join(this.folder, 'apiserver/certificates/apiserver.crt'),
            },
          },
        ],
        users: [{ name: 'test', user }],
        contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace: 'argo-workflows' } }],
        'current-context': 'test',
      }),
    );
  }

  #directory(part: Part): string {
    return part === 'etcd' ? this.folder : join(this.folder, part);
  }

  #write(name: string, text: string | Buffer): string {
    const path = join(this.folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  #plan(part: Part): PartPlan {
    switch (part) {
      case 'etcd':
        return {
          command: this.#binaries.server,
          args: ['etcd', '-data-dir', this.etcdData, '-client-url', this.etcdUrl, '-peer-url', this.#peerUrl],
          ready: () => accepts(this.#ports.etcd),
        };
      case 'apiserver':
        return { command: this.#binaries.server, args: this.#apiserverArguments(), ready: () => this.#answers() };
      case 'controller':
      case 'kubelet':
        return argoPlan(this.#binaries.argo, part, { kubeconfig: this.kubeconfig, directory: this.#directory(part) });
    }
  }

  get #peerUrl(): string {
    return `http://127.0.0.1:${this.#ports.peer}`;
  }

  #apiserverArguments(): string[] {
    const file = (name: string): string => join(this.folder, name);
    const flags = {
      'etcd-servers': this.etcdUrl,
      'bind-address': '127.0.0.1',
      // Otherwise it looks for the machine's address, which a machine without a network lacks.
      'advertise-address': '127.0.0.1',
      'endpoint-reconciler-type': 'none',
      'secure-port': this.#ports.apiserver,
      // The API server creates its own certificate for 127.0.0.1 here.
      'cert-dir': file('apiserver/certificates'),
      'token-auth-file': file('tokens.csv'),
      'service-account-key-file': file('service-accounts.pub'),
      'service-account-signing-key-file': file('service-accounts.key'),
      'service-account-issuer': 'https://kubernetes.default.svc',
      'service-cluster-ip-range': '10.0.0.0/24',
      'authorization-mode': 'RBAC',
      'audit-policy-file': file('audit-policy.yaml'),
      'audit-log-path': this.auditLog,
      profiling: false,
    };
    return ['apiserver', ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`)];
  }

  async #answers(): Promise<void> {
    const api = await openCluster(this.kubeconfig);
    try {
      await api.call('/readyz');
    } finally {
      await api.close();
    }
  }
}

const AUDIT_POLICY = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [{ level: 'Metadata', userGroups: ['system:serviceaccounts'] }, { level: 'None' }],
};

async function accepts(port: number): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' });
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}

/** The plan for the controller, or for the kubelet replacement, of any cluster. */
export function argoPlan(
  command: string,
  part: 'controller' | 'kubelet',
  { kubeconfig, directory }: { readonly kubeconfig: string; readonly directory: string },
): PartPlan {
  return {
    command,
    args: [part],
    // By default the controller requeues a workflow after ten seconds, even if a pod has ended.
    env: { KUBECONFIG: kubeconfig, DEFAULT_REQUEUE_TIME: '500ms' },
    ready: async () => assertSaidReady(join(directory, 'log')),
  };
}

function assertSaidReady(log: string): void {
  if (!readFileSync(log, 'utf8').includes('ready\n')) {
    throw new Error('not ready yet');
  }
}
