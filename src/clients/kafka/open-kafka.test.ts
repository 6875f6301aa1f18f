import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openKafka } from './open-kafka.ts';

test.each([
  ['that is missing', undefined, 'ENOENT'],
  ['without a certificate', 'nothing to trust', 'PEM'],
])('reports a CA file %s before it asks any broker', async (_what, content, why) => {
  const directory = await mkdtemp(join(tmpdir(), 'facteur-kafka-ca-'));
  onTestFinished(async () => rm(directory, { recursive: true }));
  const caFile = join(directory, 'ca.pem');
  if (content !== undefined) {
    await writeFile(caFile, content);
  }
  const config = { brokers: ['127.0.0.1:1'], tls: { insecureSkipVerify: false, caFile } };
  const error: unknown = await openKafka({ config, group: 'consumer', random: Math.random }).catch(
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: 'kafka.tls', retryable: false });
  expect(String(error)).toContain(`consumer.tls.ca_file ${caFile}`);
  expect(String(error)).toContain(why);
});
