import { FacteurError } from './errors.ts';

/** Closed while facteur starts; once open, it stays open. Doors check it before they use the ledger. */
export class Gate {
  #open = false;

  get isOpen(): boolean {
    return this.#open;
  }

  open(): void {
    this.#open = true;
  }

  /** @throws FacteurError `app.unready`, retryable, while the gate is closed */
  pass(): void {
    if (!this.#open) {
      throw new FacteurError('app.unready', 'facteur is starting', { retryable: true });
    }
  }
}
