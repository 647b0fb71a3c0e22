/**
 * Remembers the headers that automation clients put on the navigation requests of each tab: a context, baggage, and the steering header. Page
 * script cannot set headers there. Pure.
 */

import { dropOldest } from '../drop-oldest.js';
import { nameFault, readSteering, steers } from './steering.js';

/** @import { Linked } from '../protocol.d.ts' */
/** @import { Carried } from './propagators.js' */
/** @import { Session } from './session.js' */
/** @import { Description, Steering } from './steering.js' */
/** @import { TracedContext, Trace } from './traces.js' */
/**
 * @typedef {object} ClientTab
 * @property {Trace | null} trace the trace that the tab is in, when that is not the session's
 * @property {Linked | null} client the context that the client's latest navigation with one continues
 * @property {boolean} carries whether the client puts a context on every request
 * @property {string} baggage
 * @property {Steering | null} steering
 * @property {Description} [description] what the client says of its trace's root
 * @property {string} [described] what the host was told last of that, and of which span
 * @property {number} changes how often the client has changed its headers
 */

/** Number of ids that are remembered for requests that have not ended yet. */
const MAX_IDS = 5000;

const NOT_STEERED = { steering: null, description: null };

/** A set that drops its oldest ids. */
export class RecentIds {
  /** @type {Set<string>} */
  #ids = new Set();

  /** @param {string} id */
  add(id) {
    this.#ids.delete(id);
    this.#ids.add(id);
    dropOldest(this.#ids, MAX_IDS);
  }

  /** @param {string} id */
  has(id) {
    return this.#ids.has(id);
  }
}

/** @returns {ClientTab} */
const newTab = () => ({ trace: null, client: null, carries: false, baggage: '', steering: null, changes: 0 });

/** The clients of all tabs. */
export class Clients {
  #session;
  #problem;
  /** @type {Map<number, ClientTab>} */
  #tabs = new Map();
  #spans = new RecentIds();

  /** @param {Pick<Session, 'propagation'>} session @param {(message: string) => void} problem tells the user of an invalid header */
  constructor(session, problem) {
    this.#session = session;
    this.#problem = problem;
  }

  /** @param {number} tabId */
  get(tabId) {
    return this.#tabs.get(tabId);
  }

  /** Returns a tab's entry, and remembers it. @param {number} tabId */
  tab(tabId) {
    const tab = this.#tabs.get(tabId) ?? newTab();
    this.#tabs.set(tabId, tab);
    return tab;
  }

  /** Restores a tab's entry from the context of its next navigation. @param {number} tabId @param {TracedContext} next */
  restore(tabId, { spanId, trace, client, baggage = '', steering }) {
    // The trace of a single navigation is not its tab's.
    const tabTrace = trace === undefined || trace.spanId === spanId ? null : trace;
    const carries = client !== undefined && !steering?.parent;
    this.#tabs.set(tabId, { trace: tabTrace, client: client ?? null, carries, baggage, steering: steering ?? null, changes: 0 });
    if (client !== undefined) this.#spans.add(client.spanId);
  }

  /** Takes tabs out of their traces, unless a client chose them. */
  reset() {
    for (const tab of this.#tabs.values()) if (tab.client === null) tab.trace = null;
  }

  /**
   * Reads what the request of a navigation carries.
   *
   * @param {number} tabId @param {Carried | null} carried @param {string} baggage
   * @param {chrome.webRequest.HttpHeader | undefined} header the steering header
   * @returns {Trace | null} the trace that the tab is in now, if it is another one
   */
  arrive(tabId, carried, baggage, header) {
    if (carried === null && baggage === '' && header === undefined && !this.#tabs.has(tabId)) return null;
    const tab = this.tab(tabId);
    const { steering, description } = header === undefined ? NOT_STEERED : this.#read(header);
    tab.description = description ?? undefined;
    if (baggage !== tab.baggage || JSON.stringify(steering) !== JSON.stringify(tab.steering)) tab.changes += 1;
    tab.steering = steering;
    tab.baggage = baggage;
    if (carried !== null) tab.carries = true;
    const client = steering?.parent ?? carried;
    // A format may name no span to continue.
    if (client === null || client.spanId === '') return null;
    const { traceId, spanId, tracestate } = client;
    // After a restart the client may be known and its trace not.
    if (tab.trace !== null && traceId === tab.client?.traceId && spanId === tab.client.spanId) return null;
    tab.client = { traceId, spanId };
    tab.changes += 1;
    this.#spans.add(spanId);
    const { propagation } = this.#session;
    const flags = propagation.flags(propagation.decide(client.flags), client.flags);
    tab.trace = { traceId, spanId, flags, tracestate };
    return tab.trace;
  }

  /** @param {number} tabId */
  closed(tabId) {
    this.#tabs.delete(tabId);
  }

  /** Returns whether a span is one that a client puts on every request. @param {string} spanId */
  hasSpan(spanId) {
    return this.#spans.has(spanId);
  }

  /** Returns whether a request of a page steered off carries its client's context. @param {number} tabId @param {Linked} carried */
  leavesAlone(tabId, { spanId }) {
    const tab = this.#tabs.get(tabId);
    return tab?.steering?.off === true && tab.client?.spanId === spanId;
  }

  /** @returns {number[]} the tabs whose client puts headers on every request */
  withHeaders() {
    return [...this.#tabs].filter(([, { carries, baggage }]) => carries || baggage !== '').map(([tabId]) => tabId);
  }

  /** @returns {[tabId: number, trace: Trace][]} the traces that clients chose */
  traces() {
    return [...this.#tabs].flatMap(([tabId, { client, trace }]) => (client === null || trace === null ? [] : [[tabId, trace]]));
  }

  /** @param {chrome.webRequest.HttpHeader} header */
  #read({ name, value = '' }) {
    const { steering, description, fault } = readSteering(value);
    for (const problem of [nameFault(name), fault]) if (problem !== null) this.#problem(problem);
    return { steering: steering !== null && steers(steering) ? steering : null, description };
  }
}
