import type { ListenAddress } from './listen-address.ts';

/** What is served over HTTP, apart from the probes, which every listener answers. */
export const DOORS = ['intake', 'discord', 'api', 'metrics'] as const;

export type ListenerDoor = (typeof DOORS)[number];

/** One address to listen on, and what is served there. */
export interface Listener extends ListenAddress {
  /** The key that names the address, for errors. */
  readonly key: string;
  readonly doors: readonly ListenerDoor[];
}

/** All listeners: that of `server.listen_address` first, even if it serves only the probes. */
export type Listeners = readonly [Listener, ...Listener[]];

const MAIN_KEY = 'server.listen_address';
const KEYS: Readonly<Record<ListenerDoor, string>> = {
  intake: 'server.intake_address',
  discord: 'discord.listen_address',
  api: 'server.api_address',
  metrics: 'server.metrics_address',
};

/** One listener per address, however many doors share it. A door without an address is on the main listener. */
export function listenersOf(
  main: ListenAddress,
  own: Partial<Readonly<Record<ListenerDoor, ListenAddress>>>,
): Listeners {
  const listeners: [Listener, ...Listener[]] = [{ ...only(main), key: MAIN_KEY, doors: [] }];
  for (const door of DOORS) {
    const address = own[door];
    const known = address === undefined ? 0 : listeners.findIndex((listener) => isSame(listener, address));
    if (address !== undefined && known === -1) {
      listeners.push({ ...only(address), key: KEYS[door], doors: [door] });
    } else {
      const listener = listeners[known] as Listener;
      listeners[known] = { ...listener, doors: [...listener.doors, door] };
    }
  }
  return listeners;
}

function only({ host, port }: ListenAddress): ListenAddress {
  return { host, port };
}

/** Two port 0s differ: each becomes another free port. */
function isSame(one: ListenAddress, other: ListenAddress): boolean {
  return one.port !== 0 && one.port === other.port && one.host === other.host;
}
