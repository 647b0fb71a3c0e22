/**
 * Holds contexts for the navigations to come, and traces for what has one of its own, so that no navigation waits for the host.
 */

/** @import { NavigationContext, SessionContext } from '../channel/messages.js' */

/** How many contexts are kept ready. */
export const CAPACITY = 96;

/** How many traces are, where only a script may ask for one. */
export const FEW = 8;

/** What the host issued and no navigation has used. */
export class Stock {
  /** @type {NavigationContext[]} */
  #contexts = [];
  /** @type {SessionContext[]} */
  #traces = [];

  /** @returns {NavigationContext | null} a context that nothing else has, if there is one */
  take() {
    return this.#contexts.shift() ?? null;
  }

  /** @returns {SessionContext | null} a trace that nothing else has, if there is one */
  takeTrace() {
    return this.#traces.shift() ?? null;
  }

  /**
   * Adds what the host issued, up to the capacity.
   *
   * @param {NavigationContext[]} contexts
   * @param {SessionContext[]} traces
   */
  fill(contexts, traces) {
    this.#contexts.push(...contexts.slice(0, CAPACITY - this.#contexts.length));
    this.#traces.push(...traces.slice(0, CAPACITY - this.#traces.length));
  }

  /**
   * Tells how many to ask for: none of what is at least half full.
   *
   * @param {number} traces how many of these are to be kept ready
   * @returns {{ count: number, traces: number }}
   */
  missing(traces) {
    return { count: missing(this.#contexts.length, CAPACITY), traces: missing(this.#traces.length, traces) };
  }
}

/** @param {number} there @param {number} capacity */
const missing = (there, capacity) => (there < capacity / 2 ? capacity - there : 0);
