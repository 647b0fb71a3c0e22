/**
 * Remembers the recent navigations of each tab with their requests, for the popup. Pure.
 *
 * It sees every observation, and a request may be waiting for it: it keeps what it is given, copies nothing, and looks things up by their ids.
 */

import { isBrowsersOwn } from '../observe/details.js';

/** @import { Observation } from '../channel/messages.js' */
/** @import { NavigationView, RequestView } from './view.js' */
/** @typedef {Extract<Observation, { what: 'request-started' }>} Started */
/** @typedef {Extract<Observation, { what: 'request-completed' }>['response']} Response */
/**
 * @typedef {object} Visit
 * @property {string} spanId
 * @property {string} traceId
 * @property {number} tabId
 * @property {string} url
 * @property {number} started
 * @property {number | null} ended
 * @property {number | null} status
 * @property {string | null} error
 * @property {Exchange[]} requests
 * @property {number} more
 */
/** @typedef {{ start: Started, visit: Visit, ended: number | null, response: Response | null, error: string | null }} Exchange */

/** How many navigations of a tab are remembered, and how many requests of each. */
export const MOST_NAVIGATIONS = 10;
export const MOST_REQUESTS = 200;

/** How many navigations of all tabs are, and how many requests of all of them: the oldest navigations go first. */
const MOST_VISITS = 1000;
export const MOST_IN_ALL = 20_000;

/** Requests without an end, and traces of navigations that may never begin. */
const MOST_LOOSE = 5000;

/**
 * Adds to a map that has only so many entries: the oldest goes.
 *
 * @template K, V
 * @param {Map<K, V>} map
 * @param {K} key
 * @param {V} value
 */
function keepLoose(map, key, value) {
  map.set(key, value);
  if (map.size > MOST_LOOSE) map.delete(/** @type {K} */ (map.keys().next().value));
}

/** @param {Exchange} exchange @returns {RequestView} */
const viewOfRequest = ({ start, ended, response, error }) => ({
  spanId: start.spanId,
  method: start.method,
  url: start.url,
  resource: start.resource,
  started: start.time,
  ended,
  status: response?.status ?? null,
  error,
  fromCache: response?.fromCache ?? false,
});

/** @param {Visit} visit @returns {NavigationView} */
const viewOfVisit = ({ spanId, traceId, url, started, ended, status, error, requests, more }) => ({
  spanId,
  traceId,
  url,
  started,
  ended,
  status,
  error,
  requests: requests.map(viewOfRequest),
  more,
});

/** What went on in each tab of late. */
export class History {
  /** @type {Map<string, Visit>} by span id, the oldest first */
  #visits = new Map();
  /** @type {Map<number, Visit[]>} of each tab, the oldest first */
  #tabs = new Map();
  /** @type {Map<string, Exchange>} under way, by the browser's ids */
  #open = new Map();
  /** @type {Map<string, string>} the traces of navigations that are not in the session's, by span id */
  #traces = new Map();
  #requests = 0;
  /** @type {(() => void) | null} called after each change, while somebody watches */
  #changed = null;
  #traceId = '';

  /**
   * Tells of each change from now on; of none with null.
   *
   * @param {(() => void) | null} changed
   */
  watch(changed) {
    this.#changed = changed;
  }

  /**
   * Learns which trace is the session's from now on.
   *
   * @param {string} traceId
   */
  begin(traceId) {
    this.#traceId = traceId;
  }

  /**
   * Gives a tab's navigations, the latest first.
   *
   * @param {number} tabId
   * @returns {NavigationView[]}
   */
  of(tabId) {
    return (this.#tabs.get(tabId) ?? []).map(viewOfVisit).reverse();
  }

  /** @param {Observation} observation */
  observe(observation) {
    this.#take(observation);
    this.#changed?.();
  }

  /** @param {Observation} observation */
  #take(observation) {
    switch (observation.what) {
      case 'request-started':
        return this.#start(observation);
      case 'request-redirected':
      case 'request-completed':
        return this.#end(observation.request, observation.time, observation.response, null);
      case 'request-failed':
        return this.#end(observation.request, observation.time, null, observation.error);
      case 'context-issued':
        if (observation.issuedFor === 'navigation') keepLoose(this.#traces, observation.spanId, observation.traceId);
        return undefined;
      case 'navigation-committed': {
        const { spanId, tabId, url, started, time } = observation;
        const visit = this.#visits.get(spanId) ?? (isBrowsersOwn(url) ? undefined : this.#begin(spanId, tabId, started));
        if (visit === undefined) return undefined;
        visit.url = url;
        // Documents before this one load no more.
        for (const other of this.#tabs.get(tabId) ?? []) {
          if (other === visit) break;
          other.ended ??= time;
        }
        // This one was there before, and may never be told of as loaded.
        if (observation.transition === 'new-trace') visit.ended ??= time;
        return undefined;
      }
      case 'document-loaded':
      case 'navigation-failed': {
        const visit = this.#visits.get(observation.spanId);
        // One of no length began with a new trace, while its document was loading.
        if (visit !== undefined && (visit.ended === null || visit.ended === visit.started)) visit.ended = observation.time;
        return undefined;
      }
      case 'tab-closed':
        for (const visit of this.#tabs.get(observation.tabId) ?? []) this.#forget(visit);
        this.#tabs.delete(observation.tabId);
        return undefined;
      default:
        return undefined;
    }
  }

  /** @param {Started} start */
  #start(start) {
    const { request, parent, navigation } = start;
    if (parent === undefined) return;
    let visit = this.#visits.get(parent);
    if (visit === undefined) {
      if (navigation === undefined) return;
      visit = this.#begin(parent, navigation.tabId, navigation.started);
    }
    if (visit.url === '') visit.url = start.url;
    if (visit.requests.length >= MOST_REQUESTS) {
      visit.more += 1;
      return;
    }
    /** @type {Exchange} */
    const exchange = { start, visit, ended: null, response: null, error: null };
    visit.requests.push(exchange);
    keepLoose(this.#open, request, exchange);
    this.#requests += 1;
    if (this.#requests > MOST_IN_ALL) this.#makeRoom(visit);
  }

  /**
   * @param {string} request
   * @param {number} time
   * @param {Response | null} response
   * @param {string | null} error
   */
  #end(request, time, response, error) {
    const exchange = this.#open.get(request);
    if (exchange === undefined) return;
    this.#open.delete(request);
    exchange.ended = time;
    exchange.response = response;
    exchange.error = error;
    const { visit, start } = exchange;
    if (start.resource !== 'main_frame') return;
    visit.status = response?.status ?? null;
    visit.error = error;
  }

  /**
   * @param {string} spanId
   * @param {number} tabId
   * @param {number} started
   * @returns {Visit}
   */
  #begin(spanId, tabId, started) {
    const traceId = this.#traces.get(spanId) ?? this.#traceId;
    /** @type {Visit} */
    const visit = { spanId, traceId, tabId, url: '', started, ended: null, status: null, error: null, requests: [], more: 0 };
    const visits = this.#tabs.get(tabId) ?? [];
    if (visits.length === 0) this.#tabs.set(tabId, visits);
    visits.push(visit);
    this.#visits.set(spanId, visit);
    const oldest = visits.length > MOST_NAVIGATIONS ? visits.shift() : undefined;
    if (oldest !== undefined) this.#forget(oldest);
    if (this.#visits.size > MOST_VISITS) this.#makeRoom(visit);
    return visit;
  }

  /** Lets the oldest navigation go. @param {Visit} latest which stays */
  #makeRoom(latest) {
    const oldest = /** @type {Visit} */ (this.#visits.values().next().value);
    if (oldest === latest) return;
    const others = (this.#tabs.get(oldest.tabId) ?? []).filter((visit) => visit !== oldest);
    if (others.length > 0) this.#tabs.set(oldest.tabId, others);
    else this.#tabs.delete(oldest.tabId);
    this.#forget(oldest);
  }

  /** @param {Visit} visit */
  #forget({ spanId, requests }) {
    this.#visits.delete(spanId);
    this.#traces.delete(spanId);
    this.#requests -= requests.length;
  }
}
