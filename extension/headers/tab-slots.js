/**
 * Decides which tabs have rules. The browser limits the number of rules, and a tab's first request leaves before anything can react. Pure.
 */

import { dropOldest } from '../drop-oldest.js';
import { MAX_TABS, freeRuleId } from './rules.js';
import { Tab } from './tab.js';

/** @import { TracedContext } from '../context/traces.js' */
/** @import { TabContexts } from './record.js' */
/** @import { TabTraces } from './tab.js' */

/** Number of tabs to prepare before they exist. One counter numbers tabs and windows, so the ids are known. */
export const AHEAD = 16;

/** Number of closed tabs to remember, so that a late event does not bring one back. The browser uses no id again. */
const MAX_CLOSED = 1000;

/** The tabs that have rules. */
export class TabSlots {
  /** @type {Map<number, Tab>} */
  tabs = new Map();
  #traces;
  /** @type {Set<number>} in the order in which they were closed */
  #closed = new Set();
  /** @type {number | null} highest id of a tab or window so far */
  #highest = null;
  #max = MAX_TABS;

  /** @param {TabTraces} traces */
  constructor(traces) {
    this.#traces = traces;
  }

  /** @param {Map<number, TabContexts>} tabs */
  restore(tabs) {
    for (const [tabId, contexts] of tabs) this.tabs.set(tabId, new Tab(tabId, contexts.ruleId, contexts, this.#traces));
  }

  /** Sets the number of tabs that there is room for. Tabs that do not exist yet are dropped first. @param {number} max */
  limit(max) {
    this.#max = max;
    const tabs = [...this.tabs.values()].sort((a, b) => Number(b.exists) - Number(a.exists));
    for (const { tabId } of tabs.slice(Math.max(max, 0))) this.tabs.delete(tabId);
  }

  /**
   * Makes room for tabs that exist now.
   *
   * @param {number[]} tabIds @param {number[]} windowIds
   * @returns {boolean} whether the rules must be updated
   */
  open(tabIds, windowIds) {
    const ids = [...tabIds, ...windowIds];
    if (ids.length > 0) this.#highest = Math.max(this.#highest ?? 0, ...ids);
    const wereReady = tabIds.every((tabId) => this.tabs.has(tabId));
    for (const tabId of tabIds) this.tab(tabId);
    if (wereReady && this.#countAhead() >= AHEAD / 2) return false;
    this.prepare();
    return true;
  }

  /** @param {number} tabId */
  close(tabId) {
    this.tabs.delete(tabId);
    this.#closed.add(tabId);
    dropOldest(this.#closed, MAX_CLOSED);
  }

  /**
   * Returns a tab that exists, and makes room for it.
   *
   * @param {number} tabId
   * @param {TracedContext | null} [first] context of the first navigation of a tab that is new; one is issued by default
   * @returns {Tab | undefined} undefined when the tab was closed or there is no room
   */
  tab(tabId, first = null) {
    if (this.#closed.has(tabId)) return undefined;
    if (!this.tabs.has(tabId) && this.tabs.size >= this.#max) this.#dropPrepared();
    const tab = this.tabs.get(tabId) ?? this.#add(tabId, first);
    if (tab !== undefined) tab.exists = true;
    return tab;
  }

  /** Makes room for the next ids, and drops tabs whose ids went to windows. */
  prepare() {
    if (this.#highest === null) return;
    for (let tabId = this.#highest + 1; tabId <= this.#highest + AHEAD; tabId += 1) {
      if (!this.tabs.has(tabId)) this.#add(tabId);
    }
    for (const [tabId, { exists }] of this.tabs) {
      // A tab may be reported some time after it got its id, so only ids that are well in the past are dropped.
      if (!exists && tabId < this.#highest - AHEAD) this.#drop(tabId);
    }
  }

  /** @param {number} tabId @param {TracedContext | null} [first] */
  #add(tabId, first = null) {
    if (this.tabs.size >= this.#max) return undefined;
    const next = first ?? this.#traces.issue(tabId);
    const tab = new Tab(tabId, freeRuleId(this.tabs.values()), { current: this.#traces.rootOf(tabId), next }, this.#traces);
    this.tabs.set(tabId, tab);
    return tab;
  }

  /** Drops a tab that does not exist yet. */
  #dropPrepared() {
    const ahead = [...this.tabs.values()].findLast(({ exists }) => !exists);
    if (ahead !== undefined) this.#drop(ahead.tabId);
  }

  /** @param {number} tabId */
  #drop(tabId) {
    this.tabs.delete(tabId);
    this.#traces.clients.closed(tabId);
  }

  #countAhead() {
    const highest = this.#highest;
    return highest === null ? 0 : [...this.tabs.keys()].filter((tabId) => tabId > highest).length;
  }
}
