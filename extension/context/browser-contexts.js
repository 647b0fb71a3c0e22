/**
 * Knows the browser contexts that test clients open, by their windows and tabs, and of which of them the browser may not report requests.
 *
 * When an off-the-record context closes, Chromium stops reporting the requests of the one that opened last, to listeners of every kind. Rules go
 * on. If the host then opens one that nobody uses, all others stay reported. Until that is done, rules put headers on the requests of a context
 * that opened beside others. Popups of pages whose requests are reported need none. Pure.
 */

import { dropOldest } from '../drop-oldest.js';
import { hostOf, isOnHosts } from './client-hosts.js';
import { WORKERS } from './incognito.js';

/** Limit for hosts, each of which is in rules of the browser. */
const MAX_PAGE_HOSTS = 100;

/** Limit for closed tabs of a browser context. Their requests may outlive them for some seconds. */
const MAX_FORMER_TABS = 1000;

/**
 * A browser context, with the windows of its open tabs. It is `kept` when the host has seen to it, and `reported` when a request since then has
 * shown that it was in time. It `hasShown` a page if it may open popups. The browser's own context, which is on the record, has the number 0.
 *
 * @typedef {{ number: number, tabs: Map<number, number>, closed: Set<number>, isKept: boolean, isReported: boolean, hasShown: boolean }} BrowserContext
 */
/** @typedef {{ tabId: number, type?: string, initiator?: string }} TabRequest */
/** @typedef {Pick<chrome.tabs.Tab, 'id' | 'windowId' | 'incognito' | 'openerTabId' | 'pendingUrl'>} OpenedTab */

/** Stands for a tab that does not exist. */
const NO_TAB = -2;

/** Returns the windows of a context. @param {BrowserContext} context */
export const windowsOf = ({ tabs }) => [...new Set(tabs.values())];

/** Returns whether a context has one of these windows. @param {BrowserContext} context @param {number[]} windowIds */
export const hasWindow = (context, windowIds) => windowsOf(context).some((id) => windowIds.includes(id));

/** The contexts of the browser. */
export class BrowserContexts {
  /** @type {BrowserContext} */
  #default = { number: 0, tabs: new Map(), closed: new Set(), isKept: true, isReported: true, hasShown: true };
  /** @type {Set<BrowserContext>} those off the record */
  #open = new Set();
  /** @type {Map<number, BrowserContext>} by tab id */
  #ofTab = new Map();
  /** Number of contexts so far. */
  #opened = 0;
  /** Whether a context has closed so far. A context may have been opened long before its first page, so it may be lost by then. */
  #hasClosed = false;
  #haveOverlapped = false;
  /** Whether the host has seen contexts that overlap, and not just several windows of one. */
  #areApart = false;
  #isAsked = true;
  #settled;
  /** @type {Map<number, string[]>} the tabs whose rules are in force, with the hosts from whose pages they take no navigations */
  #inForce = new Map();
  /** @type {Set<string>} hosts of pages that were shown, the oldest first */
  #hosts = new Set();

  /** @param {() => void} [settled] called when a context turns out to be reported */
  constructor(settled = () => {}) {
    this.#settled = settled;
  }

  /**
   * Adds a tab. A window of its own belongs to a new context, unless a tab of another one has opened it.
   *
   * @param {OpenedTab} tab @param {boolean} [isOlder] whether the tab is older than the worker
   */
  opened({ id, windowId, incognito, openerTabId }, isOlder = false) {
    if (id === undefined || this.#ofTab.has(id)) return;
    const open = [...this.#open];
    const opener = openerTabId ?? WORKERS;
    const known = open.find((context) => hasWindow(context, [windowId])) ?? open.find(({ tabs }) => tabs.has(opener));
    const context = incognito ? (known ?? this.#add(isOlder)) : this.#default;
    context.tabs.set(id, windowId);
    this.#ofTab.set(id, context);
  }

  /** Removes a tab, and the context whose last one it was. @param {number} tabId @returns {BrowserContext | null} that context */
  closed(tabId) {
    const context = this.#ofTab.get(tabId);
    this.#ofTab.delete(tabId);
    if (context === undefined) return null;
    context.tabs.delete(tabId);
    context.closed.add(tabId);
    dropOldest(context.closed, MAX_FORMER_TABS);
    if (context.tabs.size > 0 || !this.#open.delete(context)) return null;
    this.#hasClosed = true;
    // The windows close before the context does, so the host may still be in time for the one that opened last.
    if (this.#open.size > 0) this.#isAsked = false;
    return context;
  }

  /** Whether a context off the record has pages. */
  get areOpen() {
    return this.#open.size > 0;
  }

  /** Returns the context of an open tab. @param {number} tabId */
  of(tabId) {
    return this.#ofTab.get(tabId);
  }

  /** Returns the open contexts that have one of these windows. @param {number[]} windowIds */
  ofWindows(windowIds) {
    return [this.#default, ...this.#open].filter((context) => hasWindow(context, windowIds));
  }

  /** Returns the number of contexts to ask the host about, once; null when there is nothing new to ask. */
  question() {
    if (this.#isAsked) return null;
    this.#isAsked = true;
    return this.#opened;
  }

  /**
   * Takes the host's answer: it has kept the contexts up to a number.
   *
   * @param {number} number @param {boolean} closed whether it has closed one of its own for that
   */
  kept(number, closed) {
    this.#hasClosed ||= closed;
    for (const context of this.#open) {
      if (context.number > number) continue;
      context.isKept = true;
      context.isReported ||= !this.#hasClosed;
    }
  }

  /**
   * Takes from the host which windows belong together: where a client gives each page a window of its own, pages of a context were taken for
   * contexts beside it.
   *
   * @param {number[][]} groups
   * @returns {BrowserContext[]} what turned out to be a part of another context
   */
  located(groups) {
    const located = groups.map((windows) => [...this.#open].filter((context) => hasWindow(context, windows)));
    const parts = located.flatMap(([first, ...others]) => others.map((part) => this.#merge(/** @type {BrowserContext} */ (first), part)));
    this.#areApart ||= located.filter(({ length }) => length > 0).length > 1;
    if (this.#open.size === 1 && !this.#areApart) this.#haveOverlapped = false;
    return parts;
  }

  /** Takes a request of a tab that the browser reports. The caller may be keeping it waiting. @param {number} tabId */
  requested(tabId) {
    const context = this.#ofTab.get(tabId);
    if (!context?.isKept || context.isReported) return;
    context.isReported = true;
    queueMicrotask(this.#settled);
  }

  /** Returns whether the browser may have stopped reporting a tab's requests. @param {number} tabId */
  mayBeLost(tabId) {
    return this.#ofTab.get(tabId)?.isReported === false;
  }

  /** Returns whether a tab, which may not exist yet, needs rules. @param {number} tabId */
  needsRules(tabId) {
    const context = this.#ofTab.get(tabId);
    if (context !== undefined) return !context.isReported;
    // The next tab may be one of a new context.
    return [...this.#open].some(({ isReported }) => !isReported) || (tabId !== WORKERS && this.#open.size > 1);
  }

  /**
   * Returns the hosts from whose pages a tab's rules take no navigations. A popup's first request leaves before anything can react to it, so rules
   * for tabs to come must be for first pages of new contexts alone, which no page opens.
   *
   * @param {number} tabId
   */
  hostsWithoutRules(tabId) {
    const mayBeLost = [...this.#open].some(({ isReported, hasShown }) => hasShown && !isReported);
    return this.#ofTab.has(tabId) || mayBeLost ? [] : [...this.#hosts];
  }

  /** Takes the address of a page that a tab shows. Returns whether rules may change by that. @param {number} tabId @param {string} url */
  shown(tabId, url) {
    const context = this.#ofTab.get(tabId);
    const host = hostOf(url);
    if (context === undefined || context.number === 0 || host === '') return false;
    const isKnown = this.#hosts.has(host) && context.hasShown;
    context.hasShown = true;
    this.#hosts.add(host);
    dropOldest(this.#hosts, MAX_PAGE_HOSTS);
    return !isKnown && this.needsRules(NO_TAB);
  }

  /** Returns whether a rule may put headers on a request now. @param {TabRequest} request */
  hasRules({ tabId, type, initiator = '' }) {
    const without = this.#inForce.get(tabId);
    if (without === undefined) return this.needsRules(tabId);
    return type !== 'main_frame' || !isOnHosts(initiator, without);
  }

  /** Records the rules that are in force, by their tabs. @param {Map<number, string[]>} rules see {@link BrowserContexts.hostsWithoutRules} */
  ruled(rules) {
    this.#inForce = rules;
  }

  /** @param {BrowserContext} context @param {BrowserContext} part */
  #merge(context, part) {
    this.#open.delete(part);
    for (const [tabId, windowId] of part.tabs) {
      context.tabs.set(tabId, windowId);
      this.#ofTab.set(tabId, context);
    }
    for (const tabId of part.closed) context.closed.add(tabId);
    context.isKept ||= part.isKept;
    context.isReported ||= part.isReported;
    context.hasShown ||= part.hasShown;
    return part;
  }

  /** @param {boolean} isOlder */
  #add(isOlder) {
    this.#opened += 1;
    this.#haveOverlapped ||= this.#open.size > 0;
    // A client that uses one after the other opens it when the last one has closed. Where several users open them, one may just be closing.
    const isReported = !this.#haveOverlapped;
    // Any of those that are older than the worker may be lost.
    if (isOlder && !isReported) for (const context of this.#open) context.isReported = false;
    // The first of all has none beside it. Later on, one without pages may be open.
    if (isOlder || this.#opened > 1) this.#isAsked = false;
    const context = { number: this.#opened, tabs: new Map(), closed: new Set(), isKept: false, isReported, hasShown: false };
    this.#open.add(context);
    return context;
  }
}
