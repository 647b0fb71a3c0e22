/**
 * Knows which context each tab's requests are to carry. Pure: it is told what the browser did and answers whether the rules must follow.
 *
 * A tab has two contexts. `current` is its document's, `next` is for a navigation to come, in place before that one's request is made. A
 * navigation's final response makes its context the current one and puts a fresh one in place.
 *
 * In lightweight mode a main-frame request that replaces another of the same tab before its response can't be told from it by a rule, so both
 * carry the same context: the second continues the navigation of the first.
 */

import { isBrowsersOwn } from '../observe/details.js';
import { freeRuleId } from './rules.js';

/** @import { SessionContext } from '../channel/messages.js' */
/** @import { NavigationContext, Traces } from '../context/traces.js' */
/** @import { Contexts, TabContexts } from './rules.js' */

/**
 * @typedef {object} Progress
 * @property {boolean} seen false for a slot that waits for a tab that does not exist yet
 * @property {Map<string, NavigationContext>} requests main-frame requests without a final response, and what they carried
 * @property {{ requestId: string, context: NavigationContext } | null} responded the main-frame request that had its final response last
 * @property {{ url: string, context: NavigationContext | null, previous: NavigationContext } | null} landing responded with a document that
 *   is not committed yet; without a context when that is not traced
 */
/** @typedef {TabContexts & Progress} Slot */
/**
 * @typedef {object} Change
 * @property {boolean} arm the rules must follow now
 * @property {NavigationContext[]} ended the navigations that were over with it: {@link Tabs.committed} gives those that have become a document,
 *   everything else those that no document comes of
 */

/** How many tabs that don't exist yet are prepared. Their ids are foreseeable: tabs and windows are numbered by one counter. */
export const AHEAD = 16;

/** Two rules per tab; the browser takes 5,000 session rules in all. */
export const MOST_SLOTS = 2400;

/** How many closed tabs are remembered, so that a late word about one does not bring its slot back for good. Ids are never given again. */
const MOST_CLOSED = 1000;

/** @param {NavigationContext[]} ended @returns {Change} */
const rearm = (...ended) => ({ arm: true, ended });

/** @param {NavigationContext[]} ended @returns {Change} */
const keep = (...ended) => ({ arm: false, ended });

/**
 * What decides about contexts where there are several traces, and pages that are not traced.
 *
 * @typedef {Pick<Traces, 'isTarget' | 'rootOf' | 'claimed' | 'isStale' | 'closed'>} Places
 */

/**
 * @param {NavigationContext} a
 * @param {NavigationContext} b
 */
const sameSpan = (a, b) => a.spanId === b.spanId;

/**
 * Tells whether rules that carry one carry the other: a client may have changed all but the span.
 *
 * @param {NavigationContext} a
 * @param {NavigationContext} b
 */
const same = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);

/** @param {SessionContext} session @returns {Places} */
const everywhere = (session) => ({
  isTarget: () => true,
  rootOf: () => session,
  claimed: () => {},
  isStale: () => false,
  closed: () => {},
});

/** The contexts of all tabs of a session. */
export class Tabs {
  /** @type {Map<number, Slot>} */
  #slots = new Map();
  /** @type {Set<number>} tabs that were closed, the latest last */
  #closed = new Set();
  /** @type {number | null} the highest tab or window id so far */
  #highest = null;
  #session;
  #spare;
  #take;
  #places;
  #mostSlots = MOST_SLOTS;

  /**
   * @param {SessionContext} session
   * @param {(tabId: number | null, previous?: NavigationContext | null) => NavigationContext} take gives a context that nothing else has, for a
   *   tab's navigation after another; null stands for a tab that nobody foresaw
   * @param {Contexts | null} [armed] what the rules in force say, after a restart of the worker
   * @param {Places} [places] what decides where there is more than one trace
   */
  constructor(session, take, armed = null, places = everywhere(session)) {
    this.#session = session;
    this.#take = take;
    this.#places = places;
    this.#spare = armed?.spare ?? take(null);
    for (const [tabId, contexts] of armed?.tabs ?? []) {
      this.#slots.set(tabId, { ...contexts, seen: false, requests: new Map(), responded: null, landing: null });
    }
  }

  /** @returns {Contexts} what the rules are to say */
  contexts() {
    return { session: this.#session, spare: this.#spare, tabs: this.#slots };
  }

  /**
   * Finds the context of a tab's document.
   *
   * @param {number} tabId
   * @returns {NavigationContext | undefined} undefined for a tab that nothing is known of
   */
  current(tabId) {
    return this.#slots.get(tabId)?.current;
  }

  /**
   * Finds the context of the navigation that a main-frame request is for, up to its response.
   *
   * @param {number} tabId
   * @param {string} requestId
   * @returns {NavigationContext | undefined} undefined for a request that is no such navigation's
   */
  navigation(tabId, requestId) {
    const slot = this.#slots.get(tabId);
    return slot?.requests.get(requestId) ?? (slot?.responded?.requestId === requestId ? slot.responded.context : undefined);
  }

  /**
   * Begins a navigation with a context of its own when its main-frame request is about to leave; the hops of a redirect go on with it.
   *
   * @param {number} tabId
   * @param {string} requestId
   * @returns {NavigationContext}
   */
  begin(tabId, requestId) {
    const begun = this.navigation(tabId, requestId);
    if (begun !== undefined) return begun;
    const context = this.#take(tabId, this.#slots.get(tabId)?.responded?.context);
    this.requested(tabId, requestId, context);
    return context;
  }

  /**
   * Gives everything a context of another session; no navigation may have used one of this session.
   *
   * @param {SessionContext} session
   */
  renew(session) {
    this.#session = session;
    this.refresh();
    for (const slot of this.#slots.values()) slot.current = slot.next;
  }

  /**
   * Gives everything a context of another session that has taken this one's place; navigations that are under way go on as they are.
   *
   * @param {SessionContext} session
   * @param {(tabId: number) => boolean} isTraced whether a tab's document is traced
   * @returns {{ tabId: number, before: NavigationContext, context: NavigationContext }[]} the documents that have another context now
   */
  succeed(session, isTraced) {
    this.#session = session;
    const documents = [];
    this.#spare = this.#take(null);
    for (const [tabId, slot] of this.#slots) {
      const before = slot.current;
      slot.next = this.#take(tabId, before);
      if (slot.landing !== null) continue;
      const traced = slot.seen && isTraced(tabId);
      slot.current = traced ? this.#take(tabId, before) : slot.seen ? this.#places.rootOf(tabId) : slot.next;
      if (traced) documents.push({ tabId, before, context: slot.current });
    }
    return documents;
  }

  /**
   * Gives a document that has come of a navigation of the session before a context of this one.
   *
   * @param {number} tabId
   * @param {NavigationContext} before
   * @returns {NavigationContext | null} null when the tab has another document by now
   */
  replace(tabId, before) {
    const slot = this.#slots.get(tabId);
    if (slot === undefined || !sameSpan(slot.current, before)) return null;
    slot.current = this.#take(tabId, before);
    return slot.current;
  }

  /** @returns {Set<NavigationContext>} the contexts that something may carry */
  live() {
    const live = new Set([this.#spare]);
    for (const { current, next, requests, responded, landing } of this.#slots.values()) {
      for (const context of [current, next, ...requests.values(), responded?.context, landing?.context, landing?.previous]) {
        if (context) live.add(context);
      }
    }
    return live;
  }

  /**
   * Learns how many tabs there is room for. Those that don't exist yet give way first.
   *
   * @param {number} mostSlots
   */
  limit(mostSlots) {
    this.#mostSlots = mostSlots;
    const tabIds = [...this.#slots].sort(([, a], [, b]) => Number(b.seen) - Number(a.seen)).map(([tabId]) => tabId);
    for (const tabId of tabIds.slice(Math.max(mostSlots, 0))) this.#slots.delete(tabId);
  }

  /** Gives every navigation to come a fresh context. */
  refresh() {
    this.#spare = this.#take(null);
    for (const [tabId, slot] of this.#slots) slot.next = this.#take(tabId, slot.responded?.context);
  }

  /**
   * Learns of tabs and windows that exist.
   *
   * @param {number[]} tabIds
   * @param {number[]} windowIds
   * @returns {Change}
   */
  opened(tabIds, windowIds) {
    const ids = [...tabIds, ...windowIds];
    if (ids.length > 0) this.#highest = Math.max(this.#highest ?? 0, ...ids);
    const unprepared = tabIds.filter((tabId) => !this.#slots.has(tabId));
    for (const tabId of tabIds) this.#slot(tabId, () => this.#take(tabId));
    if (unprepared.length === 0 && this.#ahead() >= AHEAD / 2) return keep();
    this.#prepareAhead();
    return rearm();
  }

  /**
   * Forgets a tab. Its rules go with the next update.
   *
   * @param {number} tabId
   * @returns {Change}
   */
  closed(tabId) {
    const slot = this.#slots.get(tabId);
    this.#slots.delete(tabId);
    this.#closed.add(tabId);
    if (this.#closed.size > MOST_CLOSED) this.#closed.delete(/** @type {number} */ (this.#closed.values().next().value));
    const unfinished = [slot?.landing?.context ?? undefined, ...(slot?.requests.values() ?? [])].filter((context) => context !== undefined);
    return keep(...new Map(unfinished.map((context) => [context.spanId, context])).values());
  }

  /**
   * Learns what a main-frame request carried when it left; called for each redirect hop.
   *
   * @param {number} tabId
   * @param {string} requestId
   * @param {NavigationContext | null} sent null when it left before headers were in place
   * @returns {Change}
   */
  requested(tabId, requestId, sent) {
    const context = sent === null ? null : this.#known(tabId, sent);
    const slot = this.#slot(tabId, () => context ?? this.#take(tabId));
    slot?.requests.set(requestId, context ?? slot.next);
    if (context === null || !sameSpan(context, this.#spare)) return keep();
    this.#places.claimed(tabId, this.#spare);
    this.#spare = this.#take(null);
    // A tab with a slot has its update when the response comes; for one that got none nothing else would put the fresh spare in place.
    return slot === undefined ? rearm() : keep();
  }

  /**
   * Learns of a main-frame request's final response; a second word about it changes nothing.
   *
   * @param {number} tabId
   * @param {string} requestId
   * @param {string | null} url the document's address; null when no document comes of it: a 204, a 205 or a download
   * @returns {Change}
   */
  responded(tabId, requestId, url) {
    const slot = this.#slots.get(tabId);
    const context = slot?.requests.get(requestId);
    if (slot !== undefined && url !== null && !this.#places.isTarget(url)) return this.#leave(tabId, slot, requestId, url);
    if (slot === undefined || context === undefined) return this.#refreshed(tabId, slot) ? rearm() : keep();
    slot.requests.delete(requestId);
    slot.responded = { requestId, context };
    this.#use(tabId, slot, context);
    if (url === null) return rearm(context);
    slot.landing = { url, context, previous: slot.landing?.previous ?? slot.current };
    slot.current = context;
    return rearm();
  }

  /**
   * Learns that a main-frame request ended without a response.
   *
   * @param {number} tabId
   * @param {string} requestId
   * @returns {Change}
   */
  failed(tabId, requestId) {
    const slot = this.#slots.get(tabId);
    const context = slot?.requests.get(requestId);
    if (slot === undefined || context === undefined) return this.#refreshed(tabId, slot) ? rearm() : keep();
    slot.requests.delete(requestId);
    if ([...slot.requests.values()].some((other) => sameSpan(other, context))) return keep();
    this.#use(tabId, slot, context);
    return rearm(context);
  }

  /**
   * Learns that a document was committed.
   *
   * @param {number} tabId
   * @param {string} url
   * @returns {Change}
   */
  committed(tabId, url) {
    // The browser's own pages and the empty one make no requests that a navigation's context would be for.
    if (isBrowsersOwn(url)) return keep();
    const slot = this.#slot(tabId, () => this.#take(tabId));
    if (slot === undefined) return keep();
    if (!this.#places.isTarget(url)) {
      slot.landing = null;
      const root = this.#places.rootOf(tabId);
      const left = same(slot.current, root);
      slot.current = root;
      return left ? keep() : rearm();
    }
    if (slot.landing !== null) {
      const { context } = slot.landing;
      slot.landing = null;
      return context === null ? keep() : keep(context);
    }
    // It had no main-frame request of its own: the back-forward cache, a prerendered page that is shown now, the page's own service worker,
    // or a data: or file: address.
    slot.current = slot.next;
    this.#use(tabId, slot, slot.next);
    return rearm(slot.current);
  }

  /**
   * Learns that a navigation ended without a document, which matters when its response had promised one.
   *
   * @param {number} tabId
   * @param {string} url
   * @param {boolean} errorPage whether the browser shows an error page in its place: then the page before is gone
   * @returns {Change}
   */
  abandoned(tabId, url, errorPage) {
    const slot = this.#slots.get(tabId);
    if (slot?.landing?.url !== url) return keep();
    const { context, previous } = slot.landing;
    const ended = context === null ? [] : [context];
    slot.landing = null;
    if (errorPage) return keep(...ended);
    slot.current = previous;
    // With another navigation under way the document is about to go: the rules follow with that one's own update.
    return slot.requests.size > 0 ? keep(...ended) : rearm(...ended);
  }

  /**
   * Puts a fresh context in place of one that a navigation has used, and prepares slots in the same update.
   *
   * @param {number} tabId
   * @param {Slot} slot
   * @param {NavigationContext} context
   */
  #use(tabId, slot, context) {
    if (sameSpan(slot.next, context) || this.#places.isStale(tabId, slot.next)) slot.next = this.#take(tabId, context);
    this.#prepareAhead();
  }

  /**
   * Puts a fresh context in place of one that a client has changed its mind about.
   *
   * @param {number} tabId
   * @param {Slot | undefined} slot
   * @returns {boolean} whether it did
   */
  #refreshed(tabId, slot) {
    if (slot === undefined || !this.#places.isStale(tabId, slot.next)) return false;
    slot.next = this.#take(tabId, slot.responded?.context);
    return true;
  }

  /**
   * Learns that a tab is about to show a page that is not traced. Its requests to what is belong to no navigation.
   *
   * @param {number} tabId
   * @param {Slot} slot
   * @param {string} requestId
   * @param {string} url
   * @returns {Change}
   */
  #leave(tabId, slot, requestId, url) {
    const context = slot.requests.get(requestId);
    slot.requests.delete(requestId);
    const root = this.#places.rootOf(tabId);
    const refreshed = context === undefined && this.#refreshed(tabId, slot);
    if (context === undefined && same(slot.current, root)) return refreshed ? rearm() : keep();
    slot.landing = { url, context: null, previous: slot.landing?.previous ?? slot.current };
    slot.current = root;
    if (context === undefined) return rearm();
    this.#use(tabId, slot, context);
    return rearm(context);
  }

  /**
   * Finds the context that a header stands for.
   *
   * @param {number} tabId
   * @param {NavigationContext} sent
   * @returns {NavigationContext}
   */
  #known(tabId, sent) {
    const slot = this.#slots.get(tabId);
    const known = [this.#spare, slot?.next, slot?.current, ...(slot?.requests.values() ?? [])];
    const { spanId, flags, ...special } = known.find((context) => context?.spanId === sent.spanId) ?? sent;
    return { spanId, flags, ...special };
  }

  /**
   * Returns the slot of a tab that exists; undefined when it was closed or there are too many tabs.
   *
   * @param {number} tabId
   * @param {() => NavigationContext} first gives a new slot's context
   * @returns {Slot | undefined}
   */
  #slot(tabId, first) {
    if (this.#closed.has(tabId)) return undefined;
    if (!this.#slots.has(tabId) && this.#slots.size >= this.#mostSlots) this.#giveWay();
    const slot = this.#slots.get(tabId) ?? this.#addSlot(tabId, first());
    if (slot !== undefined) slot.seen = true;
    return slot;
  }

  /**
   * @param {number} tabId
   * @param {NavigationContext} context
   * @returns {Slot | undefined}
   */
  #addSlot(tabId, context) {
    if (this.#slots.size >= this.#mostSlots) return undefined;
    const ruleId = freeRuleId(this.#slots.values());
    /** @type {Slot} */
    const slot = { ruleId, current: context, next: context, seen: false, requests: new Map(), responded: null, landing: null };
    this.#slots.set(tabId, slot);
    return slot;
  }

  /** Drops a slot for a tab that does not exist yet. */
  #giveWay() {
    const unseen = [...this.#slots].findLast(([, { seen }]) => !seen);
    if (unseen !== undefined) this.#drop(unseen[0]);
  }

  /** @param {number} tabId of a tab that does not exist */
  #drop(tabId) {
    this.#slots.delete(tabId);
    this.#places.closed(tabId);
  }

  /** Counts the slots for tabs that don't exist yet. */
  #ahead() {
    const highest = this.#highest;
    return highest === null ? 0 : [...this.#slots.keys()].filter((tabId) => tabId > highest).length;
  }

  /** Prepares slots for the ids to come, and drops the ones of ids that went to windows. */
  #prepareAhead() {
    if (this.#highest === null) return;
    for (let tabId = this.#highest + 1; tabId <= this.#highest + AHEAD; tabId += 1) {
      if (!this.#slots.has(tabId) && this.#slots.size < this.#mostSlots) this.#addSlot(tabId, this.#take(tabId));
    }
    for (const [tabId, { seen }] of this.#slots) {
      // An id may be given some time before its tab is reported, so only ids that are well in the past are dropped.
      if (!seen && tabId < this.#highest - AHEAD) this.#drop(tabId);
    }
  }
}
