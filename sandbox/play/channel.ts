import type { SimulatedDiscord } from '../discord/discord.ts';
import { changedLines, frameMessage } from '../discord/terminal-message.ts';
import { shownName } from './cast.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { MessageVersion, SimulatedMessage } from '../discord/message.ts';

interface ChannelOptions {
  readonly discord: SimulatedDiscord;
  readonly print: (text: string) => void;
  readonly clock: Clock;
  readonly colour: boolean;
}

/** Shows the channels of the simulated Discord on a terminal: each message in a frame, again after each change. */
export class ChannelView {
  readonly #options: ChannelOptions;
  /** Versions already shown, by message. */
  readonly #shown = new Map<string, number>();
  /** What a message answers, by interaction. */
  readonly #answers = new Map<string, string>();

  constructor(options: ChannelOptions) {
    this.#options = options;
  }

  /** Sets the line that Discord shows above the answer to an interaction. */
  note(interactionId: string, words: string): void {
    this.#answers.set(interactionId, words);
  }

  /** Prints the current version of every message that changed since the last call. */
  show(): void {
    for (const message of this.#options.discord.messages()) {
      this.#showNews(message);
    }
  }

  /** Prints the answer to an interaction, even if it was already shown. */
  showAnswer(id: string): void {
    for (const message of this.#options.discord.messages().filter(({ interactionId }) => interactionId === id)) {
      this.#options.print(this.#framed(message));
      this.#shown.set(message.id, message.versions.length);
    }
  }

  /** Marks everything as shown. */
  skip(): void {
    for (const { id, versions } of this.#options.discord.messages()) {
      this.#shown.set(id, versions.length);
    }
  }

  #showNews(message: SimulatedMessage): void {
    const { id, versions } = message;
    const seen = this.#shown.get(id) ?? 0;
    const latest = versions.at(-1);
    if (versions.length === seen || latest === undefined || latest.loading) {
      return;
    }
    const before = versions[seen - 1];
    this.#shown.set(id, versions.length);
    if (before === undefined || before.loading || isOtherMessage(before, latest)) {
      this.#options.print(this.#framed(message));
      return;
    }
    const known = before.content.split('\n');
    const news = latest.content.split('\n').filter((line) => !known.includes(line));
    if (news.length > 0) {
      this.#options.print(changedLines(news.join('\n'), this.#reader()));
    }
  }

  #framed({ versions, interactionId, ephemeral }: SimulatedMessage): string {
    const { content = '', components = [] } = versions.at(-1) ?? {};
    const answers = this.#answers.get(interactionId) ?? '';
    return frameMessage({ content, components, answers, ephemeral }, this.#reader());
  }

  #reader(): Parameters<typeof frameMessage>[1] {
    const { clock, colour } = this.#options;
    return { colour, now: clock.now(), nameOf: shownName };
  }
}

/** Whether more than the progress changed: another state, or other buttons. */
function isOtherMessage(before: MessageVersion, after: MessageVersion): boolean {
  const state = ({ content }: MessageVersion): string => content.split(' · ', 1)[0] ?? '';
  const buttons = ({ components }: MessageVersion): string => JSON.stringify(components);
  return state(before) !== state(after) || buttons(before) !== buttons(after);
}
