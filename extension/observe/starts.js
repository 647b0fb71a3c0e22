/**
 * Knows when navigations began, which is before their requests leave. Pure.
 */

/** The navigation of each tab that has begun last, until something is known to be its own. */
export class Starts {
  /** @type {Map<number, number>} */
  #times = new Map();

  /**
   * @param {number} tabId
   * @param {number} time in milliseconds since the epoch
   */
  begun(tabId, time) {
    this.#times.set(tabId, time);
  }

  /**
   * Tells once when a tab's navigation began, to the first of what it is seen by.
   *
   * @param {number} tabId
   * @param {number} latest when that was; the answer if nothing else is known
   * @returns {number}
   */
  take(tabId, latest) {
    const time = this.#times.get(tabId) ?? latest;
    this.#times.delete(tabId);
    return Math.min(time, latest);
  }

  /** @param {number} tabId */
  closed(tabId) {
    this.#times.delete(tabId);
  }
}
