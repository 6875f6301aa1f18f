import type { KeyObject } from 'node:crypto';
import { Option, type Command } from 'commander';
import type { Clock } from '../base/clock.ts';
import { FacteurError } from '../base/errors.ts';
import { isRecord } from '../base/json.ts';
import { readInput, type CliIo } from './io.ts';
import { listItems, pairsOption } from './option-pairs.ts';
import { UsageError } from './program.ts';
import { post, toHttpUrl, urlOption } from './send-post.ts';
import {
  commandInteraction,
  formInteraction,
  nestedOptions,
  readPrivateKey,
  signatureHeaders,
  newSnowflake,
  type Play,
} from './signed-interaction.ts';
import { SimulatedDiscordClient } from './simulated-discord.ts';
import { printable } from './table.ts';

/** The parts of the process that are needed to play Discord. */
export interface PlayDeps {
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
}

interface CommandOptions {
  readonly url: URL;
  readonly option: Readonly<Record<string, string>>;
  readonly user: string;
  readonly roles: readonly string[];
  readonly guild: string;
  readonly channel: string;
  readonly discord?: URL;
  readonly privateKeyFile?: string;
  readonly json?: true;
}

type Json = Readonly<Record<string, unknown>>;

const FORM = 9;
const DEFERRED = 5;
const MESSAGE = 4;

/**
 * `facteur send command NAME`: sends a slash command. If the command opens a form, the options are sent back as its
 * fields.
 */
export function registerSendCommand(send: Command, io: CliIo, deps: PlayDeps): void {
  send
    .command('command')
    .argument('<name>', 'the slash command, without the slash')
    .description('send a signed slash command, as Discord would, and show the result')
    .addHelpText(
      'after',
      '\nExamples:\n  facteur send command plan --option objective="Try it" --discord http://127.0.0.1:PORT',
    )
    .addOption(urlOption())
    .addOption(pairsOption('--option', 'an option, or a field of the form'))
    .option('--user <id>', 'the user who sends it', '200000000000000001')
    .option('--roles <ids>', 'role ids of the user, separated by commas', listItems, [])
    .addOption(
      new Option('--guild <id>', 'the server; none is a direct message').env('FACTEUR_DISCORD_GUILD_ID').default(''),
    )
    .option('--channel <id>', 'the channel', '400000000000000001')
    .addOption(
      new Option(
        '--discord <url>',
        'send it through the simulated Discord of a sandbox, and show the message as it changes',
      )
        .env('FACTEUR_SANDBOX_DISCORD_URL')
        .argParser(toHttpUrl),
    )
    .option('--private-key-file <path>', 'sign with this key (default: FACTEUR_SANDBOX_DISCORD_KEY)')
    .option('--json', 'print the raw response')
    .action(async (name: string, options: CommandOptions) => {
      const command = { ...options, option: options.option ?? {}, name: name.replace(/^\//, '') };
      const { discord, privateKeyFile } = options;
      await (discord === undefined || privateKeyFile !== undefined
        ? playSigned(command, io, deps)
        : playInDiscord(command, discord, io));
    });
}

type NamedOptions = CommandOptions & { readonly name: string };

/** Signs the request itself. Later updates by the interaction token go to a Discord that does not know the interaction. */
async function playSigned(command: NamedOptions, io: CliIo, { clock, random }: PlayDeps): Promise<void> {
  const { url, name, option, user, roles, guild, channel } = command;
  if (guild === '' && roles.length > 0) {
    throw new UsageError('--roles: a direct message has no roles; set the server with --guild');
  }
  const key = await keyOf(command, io);
  const exchange = async (make: (play: Play) => object): Promise<Json> => {
    const id = newSnowflake(clock.now(), random);
    const body = JSON.stringify(make({ id, token: `facteur-send-${id}`, actor: { user, roles, guild, channel } }));
    const answer = await post(io, url, {
      path: '/discord/interactions',
      body: Buffer.from(body),
      headers: signatureHeaders(body, key, clock.now()),
    });
    if (answer.status !== 200) {
      io.stdout.write(`${answer.status} ${printable(answer.body)}\n`);
      throw new FacteurError('cli.refused', `facteur answered ${answer.status}`, { retryable: answer.status >= 500 });
    }
    return JSON.parse(answer.body) as Json;
  };
  let answer = await exchange((play) => commandInteraction(play, name, option));
  tell(answer, command, io);
  const form = formOf(answer);
  if (form !== undefined) {
    answer = await exchange((play) => formInteraction(play, form, option));
    tell(answer, command, io);
  }
  requireAccepted(answer, name);
}

/**
 * Only `/status` is answered with a message. For any other command, a message means a refusal.
 *
 * @throws FacteurError `cli.refused`
 */
function requireAccepted(answer: Json, name: string): void {
  if (answer['type'] === MESSAGE && name.toLowerCase() !== 'status') {
    throw new FacteurError('cli.refused', `/${name} was refused`, { retryable: false });
  }
}

async function keyOf({ privateKeyFile }: CommandOptions, io: CliIo): Promise<KeyObject> {
  const inline = io.env['FACTEUR_SANDBOX_DISCORD_KEY'] ?? '';
  if (privateKeyFile !== undefined) {
    return readPrivateKey((await readInput(io, privateKeyFile)).toString('utf8'));
  }
  if (inline === '') {
    throw new UsageError('set the simulated Discord of a sandbox with --discord, or a key with --private-key-file');
  }
  return readPrivateKey(inline);
}

/** The simulated Discord signs, answers the callbacks, and shows the message. */
async function playInDiscord(command: NamedOptions, url: URL, io: CliIo): Promise<void> {
  const { name, option, user, roles } = command;
  const discord = new SimulatedDiscordClient(io, url);
  const who = { id: user, roles };
  let exchange = await discord.play({ op: 'command', name, options: nestedOptions(option).map(withoutType), who });
  const form = formOf(exchange.answer);
  if (form !== undefined) {
    tell(exchange.answer, command, io);
    exchange = await discord.play({ op: 'submit', customId: form, fields: option, who });
  }
  if (exchange.outcome !== 'acknowledged') {
    throw new FacteurError('cli.refused', `the interaction failed (${exchange.outcome}): ${exchange.problem}`, {
      retryable: false,
    });
  }
  tell(exchange.answer, command, io);
  requireAccepted(exchange.answer, name);
  if (exchange.answer['type'] === DEFERRED) {
    for await (const { content, loading } of discord.versions(exchange.interactionId)) {
      io.stdout.write(loading ? '' : `\n${content.split('\n').map(printable).join('\n')}\n`);
    }
  }
}

/** The simulation infers types from the values. */
function withoutType(option: ReturnType<typeof nestedOptions>[number]): object {
  return 'options' in option
    ? { name: option.name, options: option.options.map(withoutType) }
    : { name: option.name, value: option.value };
}

/** The `custom_id` of the form in the answer, if it is one. */
function formOf(answer: Json): string | undefined {
  const data = isRecord(answer['data']) ? answer['data'] : {};
  return answer['type'] === FORM && typeof data['custom_id'] === 'string' ? data['custom_id'] : undefined;
}

function tell(answer: Json, { json }: CommandOptions, io: CliIo): void {
  if (json === true) {
    io.stdout.write(`${JSON.stringify(answer)}\n`);
    return;
  }
  const data = isRecord(answer['data']) ? answer['data'] : {};
  const onlyYou = data['flags'] === 64 ? ' (visible only to the user)' : '';
  switch (answer['type']) {
    case MESSAGE:
      io.stdout.write(`answered${onlyYou}:\n${String(data['content']).split('\n').map(printable).join('\n')}\n`);
      break;
    case DEFERRED:
      io.stdout.write(`accepted; the message follows${onlyYou}\n`);
      break;
    case FORM:
      io.stdout.write(`opened a form: ${printable(String(data['title']))}\n`);
      break;
    default:
      io.stdout.write(`answered with type ${String(answer['type'])}\n`);
  }
}
