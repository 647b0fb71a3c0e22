/**
 * Remembers the recent navigations of each tab with their requests, for the popup. Pure.
 *
 * The history sees every observation while a request may be waiting. It therefore keeps observations as they are, copies nothing, and finds
 * its entries by id.
 */

import { dropOldest } from '../drop-oldest.js';
import { isBrowsersOwn } from '../observe/details.js';

/** @import { Observation } from '../protocol.d.ts' */
/** @import { NavigationView, RequestView } from './messages.js' */
/** @typedef {Extract<Observation, { what: 'request-started' }>} Started */
/** @typedef {Extract<Observation, { what: 'request-completed' }>['response']} Response */
/** @typedef {Omit<NavigationView, 'requests'> & { tabId: number, requests: RequestEntry[] }} NavigationEntry */
/** @typedef {Extract<Observation, { what: 'request-failed' }>} Failed */
/** @typedef {{ start: Started, navigation: NavigationEntry, ended: number | null, response: Response | null, failure: Failed | null }} RequestEntry */

/** Limits per tab and per navigation. */
export const MAX_NAVIGATIONS = 10;
export const MAX_REQUESTS = 200;

/** Limits for all tabs together. The oldest navigations are forgotten first. */
const MAX_NAVIGATIONS_IN_ALL = 1000;
export const MAX_IN_ALL = 20_000;

/** Limit for requests that have not ended, and for traces of navigations that may never start. */
const MAX_UNFINISHED = 5000;

/** @param {Failed} failure */
const endOf = ({ kind }) => kind ?? 'failed';

/** @param {RequestEntry} entry @returns {RequestView} */
const requestViewOf = ({ start: { spanId, method, url, resource, time }, ended, response, failure }) => ({
  spanId,
  method,
  url,
  resource,
  started: time,
  ended,
  status: response?.status ?? null,
  error: failure?.error ?? null,
  end: failure === null ? null : endOf(failure),
  fromCache: response?.fromCache ?? false,
});

/** @param {NavigationEntry} entry @returns {NavigationView} */
const navigationViewOf = ({ tabId: _, requests, ...rest }) => ({ ...rest, requests: requests.map(requestViewOf) });

/** The recent navigations of all tabs. */
export class History {
  /** @type {Map<string, NavigationEntry>} by span id, oldest first */
  #navigations = new Map();
  /** @type {Map<number, NavigationEntry[]>} by tab id, oldest first */
  #tabs = new Map();
  /** @type {Map<string, RequestEntry>} requests that have not ended, by the browser's request id */
  #open = new Map();
  /** @type {Map<string, string>} trace ids of navigations outside the session's trace, by span id */
  #traces = new Map();
  #requestCount = 0;
  /** @type {(() => void) | null} called after each change */
  #changed = null;
  #sessionTraceId = '';

  /** Sets the function to call after each change; null for none. @param {(() => void) | null} changed */
  watch(changed) {
    this.#changed = changed;
  }

  /** Sets the trace of the session for the navigations to come. @param {string} traceId */
  begin(traceId) {
    this.#sessionTraceId = traceId;
  }

  /** Returns a tab's navigations, latest first. @param {number} tabId @returns {NavigationView[]} */
  of(tabId) {
    return (this.#tabs.get(tabId) ?? []).map(navigationViewOf).reverse();
  }

  /** @param {Observation} observation */
  observe(observation) {
    this.#update(observation);
    this.#changed?.();
  }

  /** @param {Observation} observation */
  #update(observation) {
    switch (observation.what) {
      case 'request-started':
        return this.#startRequest(observation);
      case 'request-redirected':
      case 'request-completed':
        return this.#endRequest(observation.request, observation.time, observation.response, null);
      case 'request-failed':
        return this.#endRequest(observation.request, observation.time, null, observation);
      case 'context-issued':
        if (observation.issuedFor === 'navigation') this.#traces.set(observation.spanId, observation.traceId);
        return dropOldest(this.#traces, MAX_UNFINISHED);
      case 'navigation-committed':
        return this.#commit(observation);
      case 'document-loaded':
      case 'navigation-failed': {
        const navigation = this.#navigations.get(observation.spanId);
        // A new trace may begin while a document is loading: the document's navigation in it starts and ends at that time, until it has loaded.
        if (navigation !== undefined && (navigation.ended === null || navigation.ended === navigation.started)) navigation.ended = observation.time;
        return undefined;
      }
      case 'tab-closed':
        for (const navigation of this.#tabs.get(observation.tabId) ?? []) this.#forget(navigation);
        this.#tabs.delete(observation.tabId);
        return undefined;
      default:
        return undefined;
    }
  }

  /** @param {Extract<Observation, { what: 'navigation-committed' }>} observation */
  #commit({ spanId, tabId, url, started, time, transition }) {
    const navigation = this.#navigations.get(spanId) ?? (isBrowsersOwn(url) ? undefined : this.#startNavigation(spanId, tabId, started));
    if (navigation === undefined) return;
    navigation.url = url;
    // The tab's earlier documents are gone, so they will not finish loading.
    for (const other of this.#tabs.get(tabId) ?? []) {
      if (other === navigation) break;
      other.ended ??= time;
    }
    // The document was there before, and may have loaded already.
    if (transition === 'new-trace' || transition === 'already-open') navigation.ended ??= time;
  }

  /** @param {Started} start */
  #startRequest(start) {
    const { request, parent } = start;
    if (parent === undefined) return;
    let navigation = this.#navigations.get(parent);
    if (navigation === undefined) {
      if (start.navigation === undefined) return;
      navigation = this.#startNavigation(parent, start.navigation.tabId, start.navigation.started);
    }
    if (navigation.url === '') navigation.url = start.url;
    if (navigation.requests.length >= MAX_REQUESTS) {
      navigation.more += 1;
      return;
    }
    /** @type {RequestEntry} */
    const entry = { start, navigation, ended: null, response: null, failure: null };
    navigation.requests.push(entry);
    this.#open.set(request, entry);
    dropOldest(this.#open, MAX_UNFINISHED);
    this.#requestCount += 1;
    if (this.#requestCount > MAX_IN_ALL) this.#forgetOldest(navigation);
  }

  /**
   * @param {string} request
   * @param {number} time
   * @param {Response | null} response
   * @param {Failed | null} failure
   */
  #endRequest(request, time, response, failure) {
    const entry = this.#open.get(request);
    if (entry === undefined) return;
    this.#open.delete(request);
    entry.ended = time;
    entry.response = response;
    entry.failure = failure;
    const { navigation, start } = entry;
    if (start.resource !== 'main_frame') return;
    navigation.status = response?.status ?? null;
    navigation.error = failure?.error ?? null;
    navigation.end = failure === null ? null : endOf(failure);
  }

  /**
   * @param {string} spanId
   * @param {number} tabId
   * @param {number} started
   * @returns {NavigationEntry}
   */
  #startNavigation(spanId, tabId, started) {
    const traceId = this.#traces.get(spanId) ?? this.#sessionTraceId;
    /** @type {NavigationEntry} */
    const navigation = { spanId, traceId, tabId, url: '', started, ended: null, status: null, error: null, end: null, requests: [], more: 0 };
    const navigations = this.#tabs.get(tabId) ?? [];
    if (navigations.length === 0) this.#tabs.set(tabId, navigations);
    navigations.push(navigation);
    this.#navigations.set(spanId, navigation);
    const oldest = navigations.length > MAX_NAVIGATIONS ? navigations.shift() : undefined;
    if (oldest !== undefined) this.#forget(oldest);
    if (this.#navigations.size > MAX_NAVIGATIONS_IN_ALL) this.#forgetOldest(navigation);
    return navigation;
  }

  /** Forgets the oldest navigation of all tabs, unless it is the latest one too. @param {NavigationEntry} latest */
  #forgetOldest(latest) {
    const oldest = /** @type {NavigationEntry} */ (this.#navigations.values().next().value);
    if (oldest === latest) return;
    const others = (this.#tabs.get(oldest.tabId) ?? []).filter((navigation) => navigation !== oldest);
    if (others.length > 0) this.#tabs.set(oldest.tabId, others);
    else this.#tabs.delete(oldest.tabId);
    this.#forget(oldest);
  }

  /** @param {NavigationEntry} navigation */
  #forget({ spanId, requests }) {
    this.#navigations.delete(spanId);
    this.#traces.delete(spanId);
    this.#requestCount -= requests.length;
  }
}
