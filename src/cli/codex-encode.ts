import { fromJsonString, toBinary } from '@bufbuild/protobuf';
import { errorMessage, FacteurError } from '../base/errors.ts';
import { CodexTaskSchema } from '../proto/proompteng/froussard/v1/codex_task_pb.ts';
import { readInput } from './io.ts';
import type { RegisterCommand } from './program.ts';

/**
 * `facteur codex encode FILE.json`: a CodexTask in proto3 JSON to protobuf bytes on stdout, for curl and Kafka tools. Unlike at
 * the doors, an unknown field is an error, because a person wrote the file.
 */
export const codexCommand: RegisterCommand = (program, io) => {
  program
    .command('codex')
    .description('work with Codex tasks')
    .command('encode')
    .argument('<file>', 'a CodexTask as JSON; - reads standard input')
    .description('write a CodexTask as protobuf bytes to standard output')
    .addHelpText('after', '\nExamples:\n  facteur codex encode examples/codex-task.json > task.bin')
    .action(async (file: string) => {
      const text = (await readInput(io, file)).toString('utf8');
      io.stdout.write(toBinary(CodexTaskSchema, parseTask(text, file)));
    });
};

function parseTask(text: string, file: string) {
  try {
    return fromJsonString(CodexTaskSchema, text);
  } catch (error) {
    throw new FacteurError('cli.invalid_input', `${file} is not a CodexTask: ${errorMessage(error)}`, {
      retryable: false,
      cause: error,
    });
  }
}
