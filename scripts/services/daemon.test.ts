import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type DaemonRecord,
  freePort,
  isRunning,
  killDaemon,
  serverDirectory,
  startDaemon,
  stopDaemon,
} from './daemon.ts';
import { StateDirectory } from './state.ts';

let directory: string;
let started: DaemonRecord | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'facteur-state-'));
});

afterEach(async () => {
  if (started !== undefined) {
    await stopDaemon(started);
    started = undefined;
  }
  rmSync(directory, { recursive: true });
});

async function startNode(script: string, ready: () => Promise<void> = async () => undefined): Promise<DaemonRecord> {
  started = await startDaemon({
    command: process.execPath,
    args: ['-e', script],
    directory: serverDirectory('test', undefined),
    identity: undefined,
    stopSignal: 'SIGTERM',
    ready,
  });
  return started;
}

test('a daemon runs until it is stopped, and its files are removed', async () => {
  const record = await startNode('setInterval(() => {}, 1000)');
  expect(isRunning(record)).toBe(true);
  expect(existsSync(record.directory)).toBe(true);
  await stopDaemon(record);
  expect(isRunning(record)).toBe(false);
  expect(existsSync(record.directory)).toBe(false);
  await stopDaemon(record);
});

test('a killed daemon has released its port, even if its threads take long to exit', async () => {
  const port = await freePort();
  const script = `
    const { Worker } = require('node:worker_threads');
    globalThis.memory = Buffer.alloc(200_000_000, 1);
    for (let count = 0; count < 4; count++) new Worker('setInterval(() => {}, 1000)', { eval: true });
    require('node:net').createServer().listen(${port}, '127.0.0.1', () => console.log('listening'));
  `;
  const record = await startNode(script, async () => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
  });
  await killDaemon(record);
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  expect(server.address()).toMatchObject({ port });
  server.close();
});

test('a daemon that dies during its start fails with its output', async () => {
  const attempt = startNode(`console.error('no such luck'); process.exit(3)`, () =>
    Promise.reject(new Error('not yet')),
  );
  await expect(attempt).rejects.toThrow('no such luck');
});

test('a missing executable is an error', async () => {
  const attempt = startDaemon({
    command: join(directory, 'nothing'),
    args: [],
    directory: serverDirectory('test', undefined),
    identity: undefined,
    stopSignal: 'SIGTERM',
    ready: async () => undefined,
  });
  await expect(attempt).rejects.toThrow('ENOENT');
});

test('a foreign process with a reused id is neither taken for ours nor stopped', async () => {
  const stranger = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  await once(stranger, 'spawn');
  const record = {
    pid: stranger.pid ?? 0,
    startTicks: '1',
    directory: join(directory, 'x'),
    stopSignal: 'SIGTERM',
  } as const;
  expect(isRunning(record)).toBe(false);
  await stopDaemon(record);
  expect(stranger.exitCode).toBeNull();
  expect(stranger.signalCode).toBeNull();
  stranger.kill();
  await once(stranger, 'exit');
});

test('the state distinguishes running and dead services, and lists orphaned runs', async () => {
  const daemon = await startNode('setInterval(() => {}, 1000)');
  const state = new StateDirectory(directory);
  expect(state.read('up')).toEqual({});
  const dead = { value: 'y', daemons: [daemon, { ...daemon, startTicks: '1' }] };
  state.write('up', { alive: { value: 'x', daemons: [daemon] }, dead, young: { value: '', daemons: [daemon] } });
  expect(Object.keys(state.read('up'))).toEqual(['alive', 'dead', 'young']);
  expect(state.find('up', 'alive')).toEqual({ value: 'x', daemons: [daemon] });
  expect(state.find('up', 'dead')).toBeUndefined();
  expect(state.find('up', 'young')).toBeUndefined();
  expect(state.find('up', 'other')).toBeUndefined();

  const gone = spawn(process.execPath, ['-e', '']);
  await once(gone, 'exit');
  state.write(`run-${gone.pid}`, {});
  state.write(`run-${process.pid}`, {});
  expect(state.orphans()).toEqual([`run-${gone.pid}`]);
  state.forget(`run-${gone.pid}`);
  expect(state.orphans()).toEqual([]);
});

test('a free port can be listened on, and is not in the kernel’s ephemeral range', async () => {
  const port = await freePort();
  const [firstGivenAway] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/);
  expect(port).toBeLessThan(Number(firstGivenAway));
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  expect(server.address()).toMatchObject({ port });
  server.close();
});
