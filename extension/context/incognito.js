/**
 * Knows the tabs in Incognito windows, in browsers that a person uses: what happens there has traces of its own, and nobody is told of it unless
 * the user says so. In browsers that test clients drive, all pages may be off the record, so there all tabs are alike. Pure.
 */

import { dropOldest } from '../drop-oldest.js';

/** @import { Incognito } from '../protocol.d.ts' */

/** The tab id of requests that service workers and shared workers make. */
const NO_TAB = -1;

/** Limit for closed tabs, of which late events may still tell. */
const MAX_CLOSED_INCOGNITO = 1000;

/** The tabs of a browser. */
export class IncognitoTabs {
  /** @type {Set<number>} */
  #open = new Set();
  /** @type {Set<number>} */
  #closed = new Set();
  /** @type {Set<number>} the tabs that are on the record */
  #regular = new Set();
  #setting;

  /** @param {() => Incognito | undefined} setting */
  constructor(setting) {
    this.#setting = setting;
  }

  get #isShared() {
    return (this.#setting() ?? 'shared') === 'shared';
  }

  /** @param {{ id?: number, incognito: boolean }} tab */
  opened({ id, incognito }) {
    if (id !== undefined) (incognito ? this.#open : this.#regular).add(id);
  }

  /** @param {number} tabId */
  closed(tabId) {
    this.#regular.delete(tabId);
    if (!this.#open.delete(tabId)) return;
    this.#closed.add(tabId);
    dropOldest(this.#closed, MAX_CLOSED_INCOGNITO);
  }

  /** Returns whether a tab is in an Incognito window whose traces are apart. @param {number | null} tabId */
  has(tabId) {
    return tabId !== null && !this.#isShared && (this.#open.has(tabId) || this.#closed.has(tabId));
  }

  /** Returns whether a tab may be in such a window, because it is one or does not exist yet. @param {number | null} tabId */
  mayHave(tabId) {
    return !this.#isShared && (tabId === null || !this.#regular.has(tabId));
  }

  /** Whether requests of workers carry nothing, since the browser does not say whether they are for an Incognito window. */
  get holdsWorkers() {
    return !this.#isShared && this.#open.size > 0;
  }

  /** Returns whether nobody is told of what happens in a tab. A request may be waiting. @param {number} tabId */
  isHidden(tabId) {
    if (this.#setting() !== 'headers') return false;
    return tabId === NO_TAB ? this.holdsWorkers : this.has(tabId);
  }
}
