/**
 * Tracks the contexts that the requests of all tabs carry. Pure: each event of the browser returns whether the rules
 * must be updated.
 */

import { WORKERS } from '../context/incognito.js';
import { dropOldest } from '../drop-oldest.js';
import { TabSlots } from './tab-slots.js';
import { noUpdate, sameSpan } from './tab.js';

/** @import { Session } from '../context/session.js' */
/** @import { TracedContext, Traces } from '../context/traces.js' */
/** @import { Contexts } from './record.js' */
/** @import { Change, Tab, TabTraces } from './tab.js' */
/**
 * The state of a session's contexts.
 *
 * @typedef {{ session: Session, traces: Traces, tabs: Tabs }} Tracing
 */

/** Limit for prefetches and prerenders whose requests are about to be observed. */
const MAX_SPECULATIONS = 100;

/** The tabs of a session. */
export class Tabs {
  #session;
  #traces;
  #slots;
  /** Context of a navigation in a tab that is not known yet. */
  #spare;
  /** @type {Map<string, { spanId?: string, parent: string }>} by request id; see {@link Tabs.takeSpeculation} */
  #speculations = new Map();

  /**
   * @param {Pick<Session, 'context' | 'incognito'>} session @param {TabTraces} traces
   * @param {Omit<Contexts, 'session'> | null} [restored] what an earlier worker left in the rules
   */
  constructor(session, traces, restored = null) {
    this.browserContexts = traces.browserContexts;
    this.#session = session;
    this.#traces = traces;
    this.#slots = new TabSlots(traces);
    this.#spare = restored?.spare ?? traces.issue(null);
    if (restored !== null) this.#slots.restore(restored.tabs);
  }

  /** @returns {Contexts & { tabs: Map<number, Tab> }} the contexts that the rules must carry */
  contexts() {
    const needsRules = (/** @type {number} */ tabId) => this.browserContexts.needsRules(tabId);
    const hostsWithoutRules = (/** @type {number} */ tabId) => this.browserContexts.hostsWithoutRules(tabId);
    const { context: session, incognito: { excludesWorkers } } = this.#session;
    return { session, spare: this.#spare, tabs: this.#slots.tabs, needsRules, hostsWithoutRules, excludesWorkers };
  }

  /** Returns the tabs that need rules in detailed mode, among them {@link WORKERS}, with the hosts from whose pages these take no navigations. */
  withRules() {
    const tabIds = [WORKERS, ...this.#slots.tabs.keys()].filter((tabId) => this.browserContexts.needsRules(tabId));
    return new Map(tabIds.map((tabId) => [tabId, this.browserContexts.hostsWithoutRules(tabId)]));
  }

  /** Returns the context of a tab's document. @param {number} tabId */
  current(tabId) {
    return this.#slots.tabs.get(tabId)?.current;
  }

  /** See {@link Tab.navigation}. @param {number} tabId @param {string} requestId */
  navigation(tabId, requestId) {
    return this.#slots.tabs.get(tabId)?.navigation(requestId);
  }

  /**
   * Begins a navigation before its request leaves. Redirect hops continue it.
   *
   * @param {number} tabId @param {string} requestId @param {boolean} [isRuled] whether a rule may put the tab's next context on it
   */
  begin(tabId, requestId, isRuled = false) {
    const tab = this.#slots.tabs.get(tabId);
    const begun = tab?.navigation(requestId);
    if (begun !== undefined) return begun;
    const context = tab !== undefined && isRuled ? tab.next : this.#traces.issue(tabId, tab?.latest);
    this.requested(tabId, requestId, context);
    return context;
  }

  /** Starts over in another session, of which no navigation has used a context yet. */
  reset() {
    this.#spare = this.#traces.issue(null);
    for (const tab of this.#slots.tabs.values()) tab.reset();
  }

  /** Starts over in a tab whose contexts were issued before it was known. @param {number} tabId */
  known(tabId) {
    this.#slots.tab(tabId)?.reset();
  }

  /** Keeps the next context of a tab whose first request may be about to leave with it. @param {number} tabId */
  leaving(tabId) {
    const tab = this.#slots.tabs.get(tabId);
    if (tab !== undefined) tab.isLeaving = true;
  }

  /** Issues anew what was issued for another browser context than its tab turned out to be in. No navigation has used it yet. */
  moveToContexts() {
    if (this.#traces.isMisplaced(null, this.#spare)) this.#spare = this.#traces.issue(null);
    for (const [tabId, tab] of this.#slots.tabs) {
      if (tab.isUnused && !tab.isLeaving && this.#traces.isMisplaced(tabId, tab.next)) tab.reset();
    }
  }

  /** Issues new contexts for all navigations to come. */
  refresh() {
    this.#spare = this.#traces.issue(null);
    for (const tab of this.#slots.tabs.values()) tab.refresh();
  }

  /**
   * Moves the tabs into a new trace. Navigations under way keep their contexts.
   *
   * @param {(tabId: number) => boolean} isTraced whether a tab's document is traced
   * @returns {{ tabId: number, before: TracedContext, context: TracedContext }[]} the documents with a new context
   */
  beginTrace(isTraced) {
    const documents = [];
    this.#spare = this.#traces.issue(null);
    for (const [tabId, tab] of this.#slots.tabs) {
      const before = tab.current;
      if (tab.beginTrace(isTraced(tabId))) documents.push({ tabId, before, context: tab.current });
    }
    return documents;
  }

  /**
   * Moves a document into the new trace, after a navigation of the trace before has led to it.
   *
   * @param {number} tabId @param {TracedContext} before
   * @returns {TracedContext | null} null when the tab has another document by now
   */
  replace(tabId, before) {
    const tab = this.#slots.tabs.get(tabId);
    if (tab === undefined || !sameSpan(tab.current, before)) return null;
    tab.refreshCurrent();
    return tab.current;
  }

  /** @returns {Set<TracedContext>} every context that something may carry */
  live() {
    return new Set([this.#spare, ...[...this.#slots.tabs.values()].flatMap((tab) => tab.live())]);
  }

  /** Sets the number of tabs that rules have room for. @param {number} max */
  limit(max) {
    this.#slots.limit(max);
  }

  /** Handles tabs and windows that were opened. @param {number[]} tabIds @param {number[]} windowIds */
  opened(tabIds, windowIds) {
    return { update: this.#slots.open(tabIds, windowIds), ended: [] };
  }

  /** Handles a tab that was closed. Its rules go with the next update. @param {number} tabId */
  closed(tabId) {
    const tab = this.#slots.tabs.get(tabId);
    this.#slots.close(tabId);
    return noUpdate(...(tab?.unfinished() ?? []));
  }

  /**
   * Handles a main-frame request that leaves, or a redirect hop of it.
   *
   * @param {number} tabId @param {string} requestId
   * @param {TracedContext | null} sent the context that it carries; null when it left before headers were in place
   */
  requested(tabId, requestId, sent) {
    const context = sent === null ? null : this.#completed(tabId, sent);
    const isSpare = context !== null && sameSpan(context, this.#spare);
    if (isSpare) this.#traces.useSpare(tabId, this.#spare);
    const tab = this.#slots.tab(tabId, context);
    tab?.requested(requestId, context === null || tab.isSpent(context) ? tab.next : context);
    if (!isSpare) return noUpdate();
    this.#spare = this.#traces.issue(null);
    // A known tab has its update when the response comes. Without one, nothing else would put the new spare in place.
    return { update: tab === undefined, ended: [] };
  }

  /**
   * Handles the request of a prefetch or a prerender that leaves, or a redirect hop of it. It belongs to the page that made it.
   *
   * @param {number} tabId @param {string} requestId
   * @param {{ spanId: string }} sent the context that it carries
   */
  speculated(tabId, requestId, { spanId }) {
    const tab = this.#slots.tabs.get(tabId);
    const parent = (tab?.current ?? this.#session.context).spanId;
    const isSpare = spanId === this.#spare.spanId;
    const isFirst = tab?.spendNext(spanId) === true || isSpare;
    if (isSpare) this.#spare = this.#traces.issue(null);
    this.#speculations.set(requestId, isFirst ? { spanId, parent } : { parent });
    dropOldest(this.#speculations, MAX_SPECULATIONS);
    return this.#change({ update: isFirst, ended: [] });
  }

  /**
   * Returns and forgets the span of a prefetch's or prerender's request: its parent, and the id that it carries. There is no id if another
   * request carries the same.
   *
   * @param {string} requestId
   */
  takeSpeculation(requestId) {
    const speculation = this.#speculations.get(requestId);
    this.#speculations.delete(requestId);
    return speculation;
  }

  /** Returns whether a response is about to become a tab's document. @param {number} tabId */
  isLanding(tabId) {
    return this.#slots.tabs.get(tabId)?.isLanding === true;
  }

  /** See {@link Tab.responded}. @param {number} tabId @param {string} requestId @param {string | null} url */
  responded(tabId, requestId, url) {
    return this.#change(this.#slots.tabs.get(tabId)?.responded(requestId, url));
  }

  /** See {@link Tab.failed}. @param {number} tabId @param {string} requestId */
  failed(tabId, requestId) {
    return this.#change(this.#slots.tabs.get(tabId)?.failed(requestId));
  }

  /** See {@link Tab.committed}. @param {number} tabId @param {string} url */
  committed(tabId, url) {
    return this.#change(this.#slots.tab(tabId)?.committed(url));
  }

  /** See {@link Tab.found}. @param {number} tabId @param {string} url */
  found(tabId, url) {
    return this.#change(this.#slots.tab(tabId)?.found(url));
  }

  /** See {@link Tab.abandoned}. @param {number} tabId @param {string} url @param {boolean} errorPage */
  abandoned(tabId, url, errorPage) {
    return this.#change(this.#slots.tabs.get(tabId)?.abandoned(url, errorPage));
  }

  /** Prepares tabs to come in an update that is made anyway. @param {Change} [change] */
  #change(change = noUpdate()) {
    if (change.update) this.#slots.prepare();
    return change;
  }

  /** Completes a context that was read from headers. @param {number} tabId @param {TracedContext} sent */
  #completed(tabId, sent) {
    const known = [this.#spare, ...(this.#slots.tabs.get(tabId)?.carried() ?? [])];
    return { ...(known.find((context) => sameSpan(context, sent)) ?? sent) };
  }
}
