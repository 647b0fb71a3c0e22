/**
 * Collects problems to tell the user. Pure but for the console.
 */

/** Number of problems to tell: a page must not make more of them than anybody reads. */
const MAX_PROBLEMS = 20;

/** The problems of a session, each told once. */
export class Problems {
  /** @type {Set<string>} */
  #told = new Set();
  /** @type {string[]} */
  #unsent = [];

  get all() {
    return [...this.#told];
  }

  /** @param {string} message one sentence @returns {boolean} whether the message is new */
  add(message) {
    if (this.#told.size >= MAX_PROBLEMS || this.#told.has(message)) return false;
    this.#told.add(message);
    this.#unsent.push(message);
    console.warn(`navtrace: ${message}`);
    return true;
  }

  /** Returns the problems that no host knows yet, once. */
  takeUnsent() {
    return this.#unsent.splice(0);
  }
}
