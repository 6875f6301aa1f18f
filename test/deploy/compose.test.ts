import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { schemaFaults } from './compose-schema.ts';

interface Service {
  readonly image: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly [field: string]: unknown;
}

const TEXT = readFileSync(join(import.meta.dirname, '../../docker-compose.yml'), 'utf8');
const COMPOSE = parse(TEXT, { merge: true }) as { readonly services: Readonly<Record<string, Service>> };
const SERVICES = Object.entries(COMPOSE.services);
const FACTEURS = SERVICES.filter(([name]) => name.startsWith('facteur'));

describe('the Compose file', () => {
  test('matches the published specification', () => {
    expect(schemaFaults(COMPOSE)).toEqual([]);
    expect(schemaFaults({ ...COMPOSE, services: { a: { imaeg: 'x' } } })).not.toEqual([]);
  });

  test('publishes the ports of the Go service, only on localhost', () => {
    expect(Object.fromEntries(SERVICES.map(([name, { ports = [] }]) => [name, ports]))).toMatchObject({
      facteur: ['127.0.0.1:18080:8080'],
      postgres: ['127.0.0.1:15432:5432'],
      redis: ['127.0.0.1:16379:6379'],
    });
    const ports = SERVICES.flatMap(([, service]) => service.ports ?? []);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  test('gives facteur a valid configuration, and disables submission', async () => {
    expect(FACTEURS.map(([name]) => name)).toEqual(['facteur', 'facteur-consumer']);
    for (const [, { environment = {} }] of FACTEURS) {
      const { config, warnings } = await loadConfig({
        env: environment,
        readFile: () => Promise.reject(new Error('no file')),
        strict: true,
      });
      expect(warnings).toEqual([]);
      expect(config.dispatcherDisabled).toBe(true);
      expect(config.codex.enabled).toBe(true);
    }
  });

  test('runs facteur like the cluster: a read-only root, no privileges', () => {
    for (const [, service] of FACTEURS) {
      expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
    }
  });

  test('pins foreign images, and waits only for services with a health check', () => {
    const images = SERVICES.map(([, { image }]) => image).filter((image) => image !== 'facteur:local');
    expect(images.filter((image) => !/:[\w.-]*\d/.test(image) || image.endsWith(':latest'))).toEqual([]);
    const waits = SERVICES.flatMap(([, { depends_on: others = {} }]) => Object.entries(others));
    expect(waits.length).toBeGreaterThan(3);
    for (const [name, { condition }] of waits.filter(([, one]) => one.condition === 'service_healthy')) {
      // Facteur's health check is in its image.
      expect({
        name,
        checked: name === 'facteur' || COMPOSE.services[name]?.healthcheck?.test !== undefined,
        condition,
      }).toMatchObject({ checked: true });
    }
  });

  test('explains how to test it, with the right addresses', () => {
    const { environment } = COMPOSE.services['postgres']!;
    expect(TEXT).toContain('FACTEUR_E2E_BASE_URL=http://127.0.0.1:18080');
    expect(TEXT).toContain(
      `postgres://${environment?.['POSTGRES_USER']}:${environment?.['POSTGRES_PASSWORD']}@127.0.0.1:15432/${environment?.['POSTGRES_DB']}`,
    );
  });
});
