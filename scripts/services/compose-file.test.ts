import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { schemaFaults } from '../../test/deploy/compose-schema.ts';
import { kafka } from './kafka.ts';
import { postgres } from './postgres.ts';
import { redis } from './redis.ts';

interface Container {
  readonly image: string;
  readonly ports: readonly string[];
  readonly healthcheck: { readonly test: readonly string[] };
}
const text = readFileSync(join(import.meta.dirname, 'compose.yaml'), 'utf8');
const { services: ours } = parse(text) as { readonly services: Readonly<Record<string, Container>> };

describe('compose.yaml', () => {
  test('matches the published specification', () => {
    expect(schemaFaults({ services: ours })).toEqual([]);
  });

  test('uses the images of docker-compose.yml', () => {
    const { services: theirs } = parse(readFileSync(join(import.meta.dirname, '../../docker-compose.yml'), 'utf8'), {
      merge: true,
    });
    const images = Object.entries(ours).map(([name, { image }]) => [name, image, theirs[name].image]);
    expect(images.map(([name]) => name)).toEqual([postgres.name, redis.name, kafka.name]);
    expect(images.filter(([, one, other]) => one !== other)).toEqual([]);
  });

  test('uses exactly the variables that services set, with defaults for `down`, which sets none', async () => {
    const plans = await Promise.all([postgres, redis, kafka].map((service) => service.plan('/nowhere')));
    const used = [...text.matchAll(/\$\{(\w+)(:-)?/g)];
    expect(new Set(used.map(([, name]) => name))).toEqual(
      new Set(plans.flatMap((plan) => Object.keys(plan.environment))),
    );
    expect(used.filter(([, , fallback]) => fallback === undefined)).toEqual([]);
  });

  test('publishes only on localhost, and Kafka on its advertised ports', () => {
    for (const port of Object.values(ours).flatMap(({ ports }) => ports)) {
      expect(port).toMatch(/^127\.0\.0\.1:\$/);
    }
    for (const port of ours['kafka']!.ports) {
      const [, outside, inside] = /^127\.0\.0\.1:(\$\{[^}]+\}):(\$\{[^}]+\})$/.exec(port) ?? [];
      expect(outside).toBe(inside);
    }
  });

  test('the health check reads the file that Kafka logs to', async () => {
    const { environment: given } = await kafka.plan('/nowhere');
    const log = ours['kafka']!.healthcheck.test.at(-1);
    expect(given['FACTEUR_SERVICES_KAFKA_SCRIPT']).toContain(`tee ${log})`);
  });
});
