import { expect } from 'vitest';
import { startFacteur, type Facteur } from '../support/facteur.ts';
import { unavailable } from '../support/faulty-database.ts';
import { db, test } from '../support/ledger-fixture.ts';
import { countRuns, created, expectRun, runOf, timePasses } from '../support/ledger.ts';
import { event } from '../support/messages.ts';

// The mark that a workflow was created is written after the answer, in batches. Whatever happens to it, a delivery is
// one workflow.

const MARK = 'mark-submitted';

/** Holds the marks of a facteur from now on, until they are released. */
function holdMarks(facteur: Facteur): { readonly batches: () => number; letGo(): void } {
  const open = Promise.withResolvers<void>();
  let batches = 0;
  facteur.faults.before = async (statement) => {
    if (statement === MARK) {
      batches += 1;
      await open.promise;
    }
  };
  return { batches: () => batches, letGo: open.resolve };
}

const send = (facteur: Facteur, id: string) => facteur.send(event({ interactionId: id }));

test('neither the answer nor the next run waits for the mark, and a redelivery gets the same answer', async () => {
  const facteur = await startFacteur({ db });
  const marks = holdMarks(facteur);
  const first = await send(facteur, 'd1');
  expect(first).toMatchObject({ status: 202, body: { status: 'submitted', duplicate: false } });
  await expect.poll(marks.batches).toBe(1);
  expect((await send(facteur, 'd1')).body).toEqual({ ...first.body, duplicate: true });
  // More than there are slots.
  const others = Array.from({ length: 60 }, (_, index) => `other-${index}`);
  for (const id of others) {
    expect((await send(facteur, id)).body.status).toBe('submitted');
  }
  expect(await countRuns(db, 'queued')).toBe(61);
  marks.letGo();
  await expect.poll(() => countRuns(db, 'submitted')).toBe(61);
  // The first alone, the others together.
  expect(marks.batches()).toBe(2);
});

test('a redelivery whose receipt was read just before the mark was written does not wait for another attempt', async () => {
  const facteur = await startFacteur({ db });
  const marks = holdMarks(facteur);
  const first = await send(facteur, 'd1');
  facteur.faults.after = async (statement) => {
    if (statement === 'record-runs') {
      marks.letGo();
      await expectRun(db, 'd1', 'submitted');
    }
  };
  // The timer does not advance: a sender that waits would wait forever.
  expect((await send(facteur, 'd1')).body).toEqual({ ...first.body, duplicate: true });
});

test('while Postgres records no marks, only a limited number of workflows is created; later all are, once', async () => {
  const facteur = await startFacteur({ db });
  const marks = holdMarks(facteur);
  await send(facteur, 'first');
  await expect.poll(marks.batches).toBe(1);
  const answers: Promise<unknown>[] = [];
  // On a busy machine the server would give up on some of 400 that connect at once.
  while (answers.length < 400) {
    answers.push(...Array.from({ length: 50 }, (_, index) => send(facteur, `d${answers.length + index}`)));
    await expect.poll(() => countRuns(db)).toBe(answers.length + 1);
  }
  await facteur.timer.until(Promise.all(answers));
  const early = created(facteur.cluster).length;
  expect(early).toBeGreaterThan(200);
  expect(early).toBeLessThan(350);
  marks.letGo();
  await expect.poll(() => countRuns(db, 'submitted')).toBe(401);
  expect(new Set(created(facteur.cluster)).size).toBe(401);
  expect(created(facteur.cluster)).toHaveLength(401);
});

test('a process that stops writes its pending marks first', async () => {
  const facteur = await startFacteur({ db });
  const marks = holdMarks(facteur);
  await send(facteur, 'd1');
  await expect.poll(marks.batches).toBe(1);
  await send(facteur, 'd2');
  const closed = facteur.app.close();
  marks.letGo();
  await closed;
  expect(await runOf(db, 'd1')).toMatchObject({ state: 'submitted', workflow_uid: expect.any(String) });
  expect(await runOf(db, 'd2')).toMatchObject({ state: 'submitted', workflow_uid: expect.any(String) });
});

test('if a mark is lost with its process, another one finds the workflow after the claim has expired', async () => {
  const dying = await startFacteur({ db });
  dying.faults.before = (statement) => (statement === MARK ? unavailable() : undefined);
  const first = await send(dying, 'd1');
  expect(first.body.status).toBe('submitted');
  await dying.app.close();
  expect(dying.log.join('\n')).toContain('found again when their claims expire');
  expect(await runOf(db, 'd1')).toMatchObject({ state: 'queued', workflow_uid: null });

  const other = await startFacteur({ db, cluster: dying.cluster });
  await timePasses(db);
  const run = await expectRun(db, 'd1', 'submitted');
  expect(run.workflow_uid).toBe(
    dying.cluster.store.get('workflows', run.namespace, run.workflow_name).object.metadata.uid,
  );
  expect(created(dying.cluster)).toEqual([first.body.workflowName]);
  expect((await send(other, 'd1')).body).toEqual({ ...first.body, duplicate: true });
});
