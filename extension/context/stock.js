/**
 * Holds contexts for the navigations to come, so that no navigation waits for the host.
 */

import { newSpanId } from './ids.js';

/** @import { NavigationContext } from '../channel/messages.js' */

/** How many contexts are kept ready. */
export const CAPACITY = 96;

/** Contexts that the host issued and no navigation has used. When there are none, it makes span ids itself. */
export class Stock {
  /** @type {NavigationContext[]} */
  #contexts = [];
  #flags;

  /** @param {string} flags what contexts that the host did not issue carry */
  constructor(flags) {
    this.#flags = flags;
  }

  /**
   * Takes a context that nothing else has.
   *
   * @returns {NavigationContext}
   */
  take() {
    return this.#contexts.shift() ?? { spanId: newSpanId(), flags: this.#flags };
  }

  /**
   * Adds contexts from the host, up to the capacity.
   *
   * @param {NavigationContext[]} contexts
   */
  fill(contexts) {
    this.#contexts.push(...contexts.slice(0, CAPACITY - this.#contexts.length));
  }

  /**
   * Tells how many contexts to ask for: none while the stock is at least half full.
   *
   * @returns {number}
   */
  missing() {
    return this.#contexts.length < CAPACITY / 2 ? CAPACITY - this.#contexts.length : 0;
  }
}
