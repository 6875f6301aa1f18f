import { setTimeout as wait } from 'node:timers/promises';
import type { SimulatedCluster } from '../cluster/cluster.ts';
import type { JsonObject } from '../cluster/objects.ts';
import { buttonRows, type ShownButton } from '../discord/buttons.ts';
import type { SimulatedDiscord } from '../discord/discord.ts';
import type { SimulatedMessage } from '../discord/message.ts';
import type { Exchange } from '../discord/people.ts';
import { asPerson, CAST, PLAYERS, type Player } from './cast.ts';
import type { ChannelView } from './channel.ts';
import type { PlannedFailures } from './failures.ts';
import { filledForm } from './form.ts';
import { exampleOf, readOptions, readValues, splitWord, usageOf, WordingError } from './wording.ts';

/** Dependencies of a session. */
interface SessionStage {
  readonly discord: SimulatedDiscord;
  readonly cluster: Pick<SimulatedCluster, 'disconnect' | 'reconnect'>;
  readonly failures: PlannedFailures;
  readonly channel: ChannelView;
  readonly print: (text: string) => void;
  /** The roles that the configuration names. */
  readonly roles: readonly string[];
  /** The candidate that a mistyped word means. */
  readonly nearest: (word: string, candidates: Iterable<string>) => string | undefined;
  /** Kills facteur, like a crash. */
  readonly kill: () => Promise<void>;
  /** Restarts facteur, and waits until it is ready. */
  readonly revive: () => Promise<void>;
  /** Aborted when the session must stop waiting. */
  readonly signal: AbortSignal;
}

const HELP = `  /COMMAND name: value   run a command as in Discord; the first option needs no name
  press LABEL            press a button: press logs, press retry, press cancel
  approve, reject        press the button of a waiting approval, as somebody who may
  fail                   a run that fails, its log, and a retry
  kill                   kill facteur during a run, and start it again
  outage 10s             the cluster is unreachable for this long
  as NAME                act as ${PLAYERS.map(({ username }) => username).join(', ')}
  quit                   stop everything`;

/** The words of a session that are not commands. */
const WORDS = ['help', 'press', 'approve', 'reject', 'fail', 'kill', 'outage', 'as', 'quit'];
const PATIENCE_MS = 300_000;
const POLL_MS = 50;
const MAX_OUTAGE_MS = 600_000;

/** The words that a line can begin with. */
export function wordsOf(discord: Pick<SimulatedDiscord, 'commands'>): readonly string[] {
  return [...WORDS, ...discord.commands().map(({ name }) => name)];
}

/** A person at the sandbox's prompt: their input is played in Discord, or causes faults around facteur. */
export class Session {
  readonly #stage: SessionStage;
  readonly #requesters = new Map<string, Player>();
  readonly #pressed = new Set<string>();
  #player: Player = CAST.ada;
  #outage: Promise<void> = Promise.resolve();

  constructor(stage: SessionStage) {
    this.#stage = stage;
  }

  /** Plays one line. @returns false when the session is over */
  async play(line: string): Promise<boolean> {
    const [word, rest] = splitWord(line);
    if (word === 'quit' || word === 'exit') {
      return false;
    }
    try {
      await this.#play(word, rest);
    } catch (error) {
      if (!(error instanceof WordingError)) {
        throw error;
      }
      this.#stage.print(error.message);
    }
    return true;
  }

  /** Brings everything in progress to its end. */
  async close(): Promise<void> {
    await this.#outage;
  }

  #play(word: string, rest: string): Promise<unknown> | void {
    switch (word) {
      case '':
        return undefined;
      case 'help':
        return this.#help();
      case 'press':
        return this.#pressLabel(rest);
      case 'approve':
      case 'reject':
        return this.#decide(word, rest);
      case 'fail':
        return this.#fail();
      case 'kill':
        return this.#crash();
      case 'outage':
        return this.#startOutage(rest);
      case 'as':
        return this.#become(rest);
      default:
        return this.#ask(word, rest, this.#player);
    }
  }

  #help(): void {
    const usages = this.#stage.discord.commands().flatMap(usageOf);
    this.#stage.print([HELP, '', ...usages.map((usage) => `  /${usage}`)].join('\n'));
  }

  #become(name: string): void {
    const player = PLAYERS.find(({ username }) => username === name.toLowerCase());
    if (player === undefined) {
      throw new WordingError(`as: one of ${PLAYERS.map(({ username }) => username).join(', ')}`);
    }
    this.#player = player;
    this.#stage.print(`you are ${player.globalName}${player.trusted ? '' : ', who has no role'}`);
  }

  /** A person runs a slash command, and fills in its form if it has one. */
  async #ask(name: string, text: string, player: Player): Promise<Exchange> {
    const { discord, print } = this.#stage;
    const command = this.#commandNamed(name);
    const who = asPerson(player, this.#stage.roles);
    let asked = await discord.people.command(name, readOptions(command, text), who);
    const form = filledForm(asked.answer, readValues(text, []));
    if (form !== undefined) {
      print(`${player.globalName} fills in the form "${form.title}"`);
      asked = await discord.people.submit(form.customId, form.fields, who);
    }
    this.#note(asked, player, `used /${name}`);
    return asked;
  }

  #commandNamed(name: string): JsonObject {
    const found = this.#stage.discord.commands().find((command) => command.name === name);
    if (found === undefined) {
      const meant = this.#stage.nearest(name, wordsOf(this.#stage.discord));
      throw new WordingError(
        `unknown word ${name}${meant === undefined ? '' : `; did you mean ${meant}?`} (help lists all)`,
      );
    }
    return found;
  }

  #note(asked: Exchange, player: Player, words: string): void {
    const { channel, print } = this.#stage;
    this.#requesters.set(asked.interactionId, player);
    channel.note(asked.interactionId, `${player.globalName} ${words}`);
    channel.show();
    print(
      asked.outcome === 'acknowledged'
        ? `facteur answered within ${Math.round(asked.milliseconds)} ms`
        : `The application did not respond (${asked.problem})`,
    );
  }

  async #pressLabel(label: string): Promise<void> {
    const wanted = label.toLowerCase();
    const found = this.#newestButton((button) => wanted !== '' && button.label.toLowerCase().startsWith(wanted));
    if (found === undefined) {
      const labels = this.#stage.discord.messages().flatMap((message) => buttonsOf(message));
      const known = [...new Set(labels.map((button) => button.label.toLowerCase()))];
      throw new WordingError(known.length === 0 ? 'press: there is no button' : `press: one of ${known.join(', ')}`);
    }
    await this.#press(found.message, found.button, this.#player);
  }

  async #decide(verdict: 'approve' | 'reject', text: string): Promise<void> {
    const found = this.#newestButton(({ customId }) => customId.startsWith(`facteur:${verdict}:`));
    if (found === undefined) {
      throw new WordingError(`${verdict}: nothing waits for approval; a workflow has to ask first, such as /release`);
    }
    const { message, button } = found;
    const player = this.#decider(message, button.customId);
    this.#pressed.add(`${player.id} ${button.customId}`);
    const pressed = await this.#press(message, button, player);
    const form = filledForm(pressed.answer, readValues(text, []));
    if (form !== undefined) {
      this.#stage.print(`${player.globalName} fills in the form "${form.title}"`);
      const { people } = this.#stage.discord;
      const sent = await people.submit(form.customId, form.fields, asPerson(player, this.#stage.roles));
      this.#note(sent, player, `pressed ${button.label}`);
    }
  }

  /** The person at the prompt if they changed their role, else the next person who is not the requester and has not decided. */
  #decider({ interactionId }: SimulatedMessage, customId: string): Player {
    if (this.#player !== CAST.ada) {
      return this.#player;
    }
    const requester = this.#requesters.get(interactionId) ?? CAST.ada;
    const others = [CAST.bob, CAST.carol, CAST.ada].filter(({ id }) => id !== requester.id);
    return others.find(({ id }) => !this.#pressed.has(`${id} ${customId}`)) ?? CAST.bob;
  }

  async #press(message: SimulatedMessage, button: ShownButton, player: Player): Promise<Exchange> {
    const who = asPerson(player, this.#stage.roles);
    const pressed = await this.#stage.discord.people.press(message, button.customId, who);
    this.#note(pressed, player, `pressed ${button.label}`);
    return pressed;
  }

  #newestButton(
    isWanted: (button: ShownButton) => boolean,
  ): { readonly message: SimulatedMessage; readonly button: ShownButton } | undefined {
    for (const message of this.#stage.discord.messages().toReversed()) {
      const button = buttonsOf(message).find(isWanted);
      if (button !== undefined) {
        return { message, button };
      }
    }
    return undefined;
  }

  /** Shows how a run fails in Discord, and what people can do then. */
  async #fail(): Promise<void> {
    const { failures, print } = this.#stage;
    const line = this.#anyCommand();
    print(`Ada types /${line}, and its workflow fails`);
    const end = failures.begin();
    const asked = await this.#ask(...splitWord(line), CAST.ada).finally(end);
    const failed = await this.#messageWith(asked.interactionId, 'Retry');
    await this.#pressOn(failed, 'Logs');
    const retry = await this.#pressOn(failed, 'Retry');
    await this.#messageWith(retry.interactionId, 'Run again');
    print('The retry is a new run, linked to the first one');
  }

  async #pressOn(message: SimulatedMessage, label: string): Promise<Exchange> {
    const button = buttonsOf(message).find((candidate) => candidate.label === label);
    if (button === undefined) {
      throw new WordingError(`the message has no button ${label}`);
    }
    return this.#press(message, button, CAST.ada);
  }

  /** Kills facteur during a run; after the restart, facteur continues it. */
  async #crash(): Promise<void> {
    const { print, kill, revive } = this.#stage;
    const line = this.#anyCommand();
    print(`Ada types /${line}`);
    const asked = await this.#ask(...splitWord(line), CAST.ada);
    const { versions } = await this.#messageWith(asked.interactionId, 'Cancel');
    await kill();
    print('facteur was killed (SIGKILL); the workflow runs on, and nobody watches');
    await revive();
    print('facteur is back: its ledger knows the run');
    // Posts a new message if facteur died before it knew the first one: the interaction's token was lost too.
    const workflow = /-# `([^`]+)`/.exec(versions.at(-1)?.content ?? '')?.[1] ?? '';
    await this.#messageAbout(workflow, 'Run again');
    print('The run survived: one workflow, and its message shows how it ended');
  }

  #startOutage(text: string): void {
    const { cluster, print, signal } = this.#stage;
    const ms = readDuration(text);
    const isOver = wait(ms, undefined, { signal }).catch(() => undefined);
    const before = this.#outage;
    this.#outage = before.then(async () => {
      await cluster.disconnect();
      print(`the cluster is unreachable for ${ms / 1000} s: runs are recorded and wait`);
      await isOver;
      await cluster.reconnect();
      print('the cluster is back');
    });
  }

  #anyCommand(): string {
    const commands = this.#stage.discord.commands().filter(({ name }) => name !== 'status');
    const command = commands.find(({ name }) => name === 'plan') ?? commands[0];
    if (command === undefined) {
      throw new WordingError('no command is registered');
    }
    return exampleOf(command);
  }

  /** Waits until the answer to an interaction has this button. */
  #messageWith(interactionId: string, label: string): Promise<SimulatedMessage> {
    return this.#awaitMessage((message) => message.interactionId === interactionId, label);
  }

  /** Waits until a message that names the workflow has this button. */
  #messageAbout(workflow: string, label: string): Promise<SimulatedMessage> {
    return this.#awaitMessage(({ versions }) => versions.at(-1)?.content?.includes(`\`${workflow}\``) === true, label);
  }

  async #awaitMessage(isWanted: (message: SimulatedMessage) => boolean, label: string): Promise<SimulatedMessage> {
    const shows = (message: SimulatedMessage): boolean => buttonsOf(message).some((button) => button.label === label);
    for (const deadline = performance.now() + PATIENCE_MS; performance.now() < deadline;) {
      const message = this.#stage.discord.messages().find((candidate) => isWanted(candidate) && shows(candidate));
      if (message !== undefined) {
        this.#stage.channel.show();
        return message;
      }
      if (this.#stage.signal.aborted) {
        break;
      }
      await wait(POLL_MS);
    }
    throw new WordingError(`its message shows no button ${label} yet`);
  }
}

/** The buttons of the latest version that can be pressed. */
function buttonsOf({ versions, deleted }: SimulatedMessage): readonly ShownButton[] {
  const rows = buttonRows(deleted ? [] : (versions.at(-1)?.components ?? []));
  return rows.flat().filter(({ disabled, customId }) => !disabled && customId !== '');
}

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000 };

function readDuration(text: string): number {
  const [, number = '', unit = 's'] = /^(\d{1,6})(ms|s|m)?$/.exec(text === '' ? '10s' : text) ?? [];
  const ms = Number(number) * (UNITS[unit] ?? 0);
  if (number === '' || ms > MAX_OUTAGE_MS) {
    throw new WordingError('outage: for how long? up to 10m, such as 10s');
  }
  return ms;
}
