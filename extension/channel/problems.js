/**
 * Collects problems to report to the user. Pure but for the console.
 */

/** Limit for problems: a page must not cause more of them than a user reads. */
const MAX_PROBLEMS = 20;

/** The problems of a session, each reported once. */
export class Problems {
  /** @type {Set<string>} */
  #reported = new Set();
  /** @type {string[]} */
  #unsent = [];

  get all() {
    return [...this.#reported];
  }

  /** @param {string} message one sentence @returns {boolean} whether the message is new */
  add(message) {
    if (this.#reported.size >= MAX_PROBLEMS || this.#reported.has(message)) return false;
    this.#reported.add(message);
    this.#unsent.push(message);
    console.warn(`navtrace: ${message}`);
    return true;
  }

  /** Returns the problems that no host knows yet, once. */
  takeUnsent() {
    return this.#unsent.splice(0);
  }
}
