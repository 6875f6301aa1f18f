import { create, toBinary } from '@bufbuild/protobuf';
import { randomUUID } from 'node:crypto';
import { decodeCommand } from '../src/entry/decode/command.ts';
import { commandRun } from '../src/dispatch/new-run.ts';
import { planCommand } from '../src/dispatch/plan-command.ts';
import type { NewRun } from '../src/domain/run.ts';
import { CommandEventSchema } from '../src/proto/proompteng/facteur/v1/contract_pb.ts';
import { CodexTaskSchema, CodexTaskStage } from '../src/proto/proompteng/froussard/v1/codex_task_pb.ts';

/**
 * A CommandEvent of the usual size (about 600 bytes) with a new delivery id, and with a token if its run's message must be
 * updated.
 */
export function commandEvent(_index?: number, token = ''): Uint8Array {
  return toBinary(
    CommandEventSchema,
    create(CommandEventSchema, {
      provider: 'discord',
      interactionId: randomUUID(),
      applicationId: '100000000000000001',
      command: 'implement',
      token,
      options: {
        project: 'proompteng/lab',
        branch: 'feature/bench',
        ticket: 'LAB-1234',
        notes: 'Keep the change small and add a test. '.repeat(8),
      },
      guildId: '987654321098765432',
      channelId: '876543210987654321',
      user: { id: '765432109876543210', username: 'ada', globalName: 'Ada' },
      member: { id: '765432109876543210', roles: ['234567890123456789'] },
      correlationId: randomUUID(),
    }),
  );
}

/** A CodexTask of the usual size (about 2 kB) with a new delivery id, for one of a thousand issues. */
export function codexTask(index: number): Uint8Array {
  return toBinary(
    CodexTaskSchema,
    create(CodexTaskSchema, {
      stage: CodexTaskStage.IMPLEMENTATION,
      prompt: 'Implement what the issue asks for, with tests and documentation. '.repeat(12),
      repository: 'proompteng/lab',
      base: 'main',
      head: `codex/issue-${index}`,
      issueNumber: BigInt(1 + (index % 1000)),
      issueTitle: 'A README is missing',
      issueBody: 'Newcomers do not know where to begin. '.repeat(20),
      sender: 'octocat',
      deliveryId: randomUUID(),
    }),
  );
}

/** The same command event as the ledger gets it, to measure only the statement. */
export function commandNewRun(): NewRun {
  const body = Buffer.from(commandEvent());
  const command = decodeCommand({ headers: {}, body }, { door: 'http', freshId: randomUUID });
  const argo = { namespace: 'argo', workflowTemplate: 'facteur-dispatch', serviceAccount: '', parameters: {} };
  const plan = planCommand(command, undefined, argo);
  return commandRun(command, plan, {
    acceptedAt: new Date(),
    state: 'queued',
    title: '',
    followUp: { ephemeral: false },
  });
}
