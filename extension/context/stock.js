/**
 * Holds contexts and traces that the host issued ahead of time, so that no navigation waits for it.
 */

/** @import { NavigationContext, SessionContext } from '../protocol.d.ts' */

// The host fills a new stock with `FIRST_STOCK` contexts and `FEW_TRACES` traces (`src/channel/conversation.rs`): the same numbers.

/** Number of contexts to keep ready. */
export const CAPACITY = 96;

/** Number of traces to keep ready where only a script can ask for one. */
export const FEW = 8;

/** What the host issued and nothing has used yet. */
export class Stock {
  /** @type {NavigationContext[]} */
  #contexts = [];
  /** @type {SessionContext[]} */
  #traces = [];

  /** @returns {NavigationContext | null} null when the stock is empty */
  take() {
    return this.#contexts.shift() ?? null;
  }

  /** @returns {SessionContext | null} null when the stock is empty */
  takeTrace() {
    return this.#traces.shift() ?? null;
  }

  /** Adds what the host issued, up to the capacity. @param {NavigationContext[]} contexts @param {SessionContext[]} traces */
  fill(contexts, traces) {
    this.#contexts.push(...contexts.slice(0, CAPACITY - this.#contexts.length));
    this.#traces.push(...traces.slice(0, CAPACITY - this.#traces.length));
  }

  /**
   * Counts what to ask the host for: nothing of a kind that is at least half full.
   *
   * @param {number} traces number of traces to keep ready
   * @returns {{ count: number, traces: number }}
   */
  missing(traces) {
    return { count: missingOf(this.#contexts.length, CAPACITY), traces: missingOf(this.#traces.length, traces) };
  }
}

/** @param {number} there @param {number} capacity */
const missingOf = (there, capacity) => (there < capacity / 2 ? capacity - there : 0);
