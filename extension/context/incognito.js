/**
 * Knows the tabs in Incognito windows of the user's own browser: each navigation there has a trace of its own, and nothing is observed unless the
 * user says so. In browsers that test clients drive, all pages may be off the record, so there all tabs are alike. Pure.
 */

import { dropOldest } from '../drop-oldest.js';

/** @import { Incognito } from '../protocol.d.ts' */

/** The tab id of requests that belong to no tab: those of service workers and shared workers, and late ones of closed pages. */
export const WORKERS = -1;

/** Limit for closed tabs, of which late events may still tell. */
const MAX_CLOSED_TABS = 1000;

/** The tabs of a browser. */
export class IncognitoTabs {
  /** @type {Map<number, boolean>} whether each open tab is in an Incognito window */
  #open = new Map();
  /** @type {Map<number, boolean>} the same of closed tabs */
  #closed = new Map();
  /** Whether there was such a window. Before, tabs that do not exist yet are taken for regular ones, as nearly all are. */
  #hadWindow = false;
  #setting;

  /** @param {() => Incognito | undefined} setting */
  constructor(setting) {
    this.#setting = setting;
  }

  /** Restores what an earlier worker knew: {@link excludesWorkers}. @param {boolean} hadWindow */
  restore(hadWindow) {
    this.#hadWindow ||= hadWindow;
  }

  get #isShared() {
    return (this.#setting() ?? 'shared') === 'shared';
  }

  /**
   * Notes a tab.
   *
   * @param {{ id?: number, incognito: boolean }} tab
   * @returns {boolean} whether it is the first in an Incognito window, so that from now on other tabs to come may be in one
   */
  opened({ id, incognito }) {
    const isFirst = incognito && !this.#hadWindow;
    if (incognito) this.#hadWindow = true;
    if (id !== undefined) this.#open.set(id, incognito);
    return isFirst && !this.#isShared;
  }

  /** @param {number} tabId */
  closed(tabId) {
    const incognito = this.#open.get(tabId);
    if (incognito === undefined) return;
    this.#open.delete(tabId);
    this.#closed.set(tabId, incognito);
    dropOldest(this.#closed, MAX_CLOSED_TABS);
  }

  /** Returns whether a tab is or was in an Incognito window; undefined for an unknown tab. @param {number} tabId */
  #isKnownIncognito(tabId) {
    return this.#open.get(tabId) ?? this.#closed.get(tabId);
  }

  /** Returns whether a tab is in an Incognito window that is not treated like others. @param {number | null} tabId */
  isIncognito(tabId) {
    return tabId !== null && !this.#isShared && this.#isKnownIncognito(tabId) === true;
  }

  /** Returns whether a tab may be in such a window, because it is or does not exist yet. @param {number | null} tabId */
  mayBeIncognito(tabId) {
    return !this.#isShared && this.#hadWindow && (tabId === null || this.#isKnownIncognito(tabId) !== false);
  }

  /**
   * Whether requests without a tab carry nothing: those of workers and the late ones of closed pages. The browser does not say whether they are
   * for an Incognito window, and they may come after the last one has closed.
   */
  get excludesWorkers() {
    return !this.#isShared && this.#hadWindow;
  }

  /** Returns whether what happens in a tab is observed. A request may be waiting. @param {number} tabId */
  observes(tabId) {
    if (this.#setting() !== 'headers') return true;
    return tabId === WORKERS ? !this.excludesWorkers : !this.mayBeIncognito(tabId);
  }
}
