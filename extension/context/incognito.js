/**
 * Knows the tabs in Incognito windows, in browsers that a person uses: what happens there has traces of its own, and nobody is told of it unless
 * the user says so. In browsers that test clients drive, all pages may be off the record, so there all tabs are alike. Pure.
 */

import { dropOldest } from '../drop-oldest.js';

/** @import { Incognito } from '../protocol.d.ts' */

/** The tab id of requests that service workers and shared workers make. */
const NO_TAB = -1;

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
  #kind(tabId) {
    return this.#open.get(tabId) ?? this.#closed.get(tabId);
  }

  /** Returns whether a tab is in an Incognito window whose traces are apart. @param {number | null} tabId */
  has(tabId) {
    return tabId !== null && !this.#isShared && this.#kind(tabId) === true;
  }

  /** Returns whether a tab may be in such a window, because it is or does not exist yet. @param {number | null} tabId */
  mayHave(tabId) {
    return !this.#isShared && this.#hadWindow && (tabId === null || this.#kind(tabId) !== false);
  }

  /**
   * Whether requests without a tab carry nothing: those of workers and the late ones of closed pages. The browser does not say whether they are
   * for an Incognito window, and they may come after the last one has closed.
   */
  get holdsWorkers() {
    return !this.#isShared && this.#hadWindow;
  }

  /** Returns whether nothing in a tab is observed. A request may be waiting. @param {number} tabId */
  isHidden(tabId) {
    if (this.#setting() !== 'headers') return false;
    return tabId === NO_TAB ? this.holdsWorkers : this.mayHave(tabId);
  }
}
