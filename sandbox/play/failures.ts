import type { ApiObject } from '../cluster/objects.ts';
import { planFromParameter, type PlanFunction } from '../cluster/plan.ts';
import type { SimulatedDiscord } from '../discord/discord.ts';

const DELIVERY_ID = 'facteur.proompteng.ai/delivery-id';

/** Makes the workflows of some interactions fail: those between begin and end. */
export class PlannedFailures {
  readonly #discord: Pick<SimulatedDiscord, 'history'>;
  readonly #spans: { readonly from: number; to: number }[] = [];

  constructor(discord: Pick<SimulatedDiscord, 'history'>) {
    this.#discord = discord;
  }

  /** Everything that people request from now on fails. @returns a function that ends that */
  begin(): () => void {
    const span = { from: this.#discord.history.entries.length, to: Number.POSITIVE_INFINITY };
    this.#spans.push(span);
    return () => {
      span.to = this.#discord.history.entries.length;
    };
  }

  /** The plan function for the simulated cluster. */
  readonly plan: PlanFunction = (workflow, attempt) =>
    this.#isPlanned(workflow) ? { outcome: 'fail', at: 2 } : planFromParameter(workflow, attempt);

  #isPlanned({ metadata }: ApiObject): boolean {
    const deliveryId = metadata.annotations?.[DELIVERY_ID];
    const sent = this.#discord.history.entries.find(
      ({ kind, interactionId }) => kind === 'interaction.sent' && interactionId === deliveryId,
    );
    return sent !== undefined && this.#spans.some(({ from, to }) => sent.seq > from && sent.seq <= to);
  }
}
