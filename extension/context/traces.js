/**
 * Issues the contexts of navigations: in the session's trace, the tab's, the client's, or a trace of their own.
 */

import { dropOldest } from '../drop-oldest.js';
import { Clients, RecentIds } from './clients.js';
import { ContextTraces } from './context-traces.js';
import { mergeBaggage } from './lists.js';
import { draw } from './propagation.js';
import { isSampled } from './propagators.js';
import { spanLink } from './traceparent.js';

/** @import { IssuedFor, Linked, NavigationContext, Observation, SessionContext } from '../protocol.d.ts' */
/** @import { BrowserContexts } from './browser-contexts.js' */
/** @import { MainFrameRequest } from './client-hosts.js' */
/** @import { ClientTab } from './clients.js' */
/** @import { Carried } from './propagators.js' */
/** @import { Session } from './session.js' */
/** @import { Steering } from './steering.js' */
/**
 * A trace other than the session's. `spanId` is the parent of requests that belong to no navigation.
 *
 * @typedef {{ traceId: string, spanId: string, flags: string, tracestate: string }} Trace
 */
/**
 * The properties of a context that differ from the session's.
 *
 * @typedef {object} Special
 * @property {Trace} [trace]
 * @property {string} [baggage] the client's baggage, without the session's
 * @property {true} [isIncognito] whether it may be for an Incognito window, where nothing of other windows goes
 * @property {Linked} [client] the context that the client puts on every request
 * @property {Steering} [steering]
 */
/** @typedef {NavigationContext & Special} TracedContext */
/** @typedef {{ spare: TracedContext, tabs: Map<number, { current: TracedContext, next: TracedContext }> }} Restored */

/** Limit for Incognito tabs with a trace. */
const MAX_INCOGNITO = 1000;

/** The traces of all tabs of a session. */
export class Traces {
  #session;
  #outbox;
  #sampled;
  #clientChanged;
  #known = new RecentIds();
  /** @type {Map<number, Trace>} the traces of what belongs to no navigation in Incognito tabs */
  #incognito = new Map();
  /** @type {WeakMap<TracedContext, number>} number of the client's changes when the context was made */
  #made = new WeakMap();

  /**
   * @param {Pick<Session, 'context' | 'propagation' | 'hosts' | 'incognito' | 'test' | 'take' | 'takeTrace'>} session
   * @param {{ observe: (observation: Observation, tabId: number | null) => void }} outbox tells the host of contexts that are not simply the session's
   * @param {object} events
   * @param {(message: string) => void} events.problem tells the user of an invalid steering header
   * @param {() => void} events.sampled called when a context is sampled
   * @param {() => void} events.clientChanged called when a client has changed its headers
   * @param {BrowserContexts} browserContexts
   */
  constructor(session, outbox, { problem, sampled, clientChanged }, browserContexts) {
    this.#session = session;
    this.#outbox = outbox;
    this.#sampled = sampled;
    this.#clientChanged = clientChanged;
    this.browserContexts = browserContexts;
    this.clients = new Clients(session, problem);
    this.contexts = new ContextTraces(session, browserContexts, {
      begun: (issuedFor, trace, { parent, links } = {}) => this.#begun(null, issuedFor, trace, links, parent),
      ended: (spanId) => outbox.observe({ what: 'context-closed', time: Date.now(), spanId }, null),
    });
  }

  /** Continues from the contexts that an earlier worker left. @param {Restored} restored */
  restore({ spare, tabs }) {
    for (const { trace } of [spare, ...[...tabs.values()].flatMap(({ current, next }) => [current, next])]) {
      if (trace !== undefined) this.#known.add(trace.traceId);
    }
    for (const [tabId, { next }] of tabs) {
      const isOfContext = next.trace !== undefined && this.contexts.has(next.trace);
      this.clients.restore(tabId, isOfContext ? { ...next, trace: undefined } : next);
    }
  }

  /** Starts over in another session, of which nothing has used a context yet. */
  reset() {
    this.clients.reset();
    this.contexts.reset();
  }

  /** Continues in a new trace of the session. Clients stay in theirs. @param {SessionContext} before */
  beginTrace(before) {
    this.#known.add(before.traceId);
    this.reset();
    for (const [tabId, trace] of this.clients.traces()) this.#begun(tabId, 'client', trace);
  }

  /**
   * Issues the context of a navigation to come.
   *
   * @param {number | null} tabId null for a navigation in a tab that is not known yet
   * @param {TracedContext | null} [previous] the navigation before it
   * @returns {TracedContext}
   */
  issue(tabId, previous = null) {
    const { propagation, incognito } = this.#session;
    const { scope } = propagation.settings;
    // A tab is remembered only where its trace has to be.
    const tab = tabId === null ? undefined : scope === 'tab' ? this.clients.tab(tabId) : this.clients.get(tabId);
    const { steering = null, client = null, baggage = '', changes = 0 } = tab ?? {};
    const isIncognito = incognito.mayBeIncognito(tabId);
    const alone = steering?.newTrace === true || ((isIncognito || scope === 'navigation') && (tab?.trace ?? null) === null);
    const context = alone ? this.#inNewTrace() : this.#inTraceOf(tabId, tab);
    if (isIncognito) context.isIncognito = true;
    if (client !== null) context.client = spanLink(client);
    if (baggage !== '') context.baggage = baggage;
    if (steering !== null) {
      context.steering = steering;
      if (steering.sampling !== null) context.flags = propagation.flags(draw(steering.sampling), context.flags);
      // A navigation without headers is not observed.
      if (steering.off) context.flags = propagation.flags(false, context.flags);
    }
    if (isSampled(context.flags)) this.#sampled();
    this.#announce(tabId, context, alone ? this.#links(tabId, client, previous) : []);
    // Each navigation is the root of its own trace.
    if (tabId !== null && steering?.newTrace && isSampled(context.flags)) this.#describe(tabId, context.spanId);
    this.#made.set(context, changes);
    return context;
  }

  /** @returns {TracedContext} */
  #inNewTrace() {
    const { traceId, spanId, flags } = this.#session.takeTrace();
    return { spanId, flags, trace: { traceId, spanId, flags, tracestate: '' } };
  }

  /** @param {number | null} tabId @param {ClientTab | undefined} tab @returns {TracedContext} */
  #inTraceOf(tabId, tab) {
    const { samplePer, sampler, scope } = this.#session.propagation.settings;
    let trace = tab?.trace ?? this.contexts.of(tabId);
    if (trace === null && scope === 'tab') {
      trace = this.#beginTab(null);
      if (tab !== undefined) tab.trace = trace;
    }
    const { spanId, flags } = this.#session.take();
    if (trace === null) return { spanId, flags };
    // A navigation has the decision of its trace, unless it has its own and no client decides.
    const inherits = samplePer === 'trace' || (tab !== undefined && tab.client !== null && sampler.parentBased);
    return { spanId, flags: inherits ? trace.flags : flags, trace };
  }

  /** Returns whether a client has changed since a context was issued. @param {number} tabId @param {TracedContext} context */
  isStale(tabId, context) {
    const made = this.#made.get(context);
    return (made !== undefined && made !== this.#changes(tabId)) || this.isMisplaced(tabId, context);
  }

  /**
   * Returns whether a context was issued for another browser context than its tab turned out to be in.
   *
   * @param {number | null} tabId @param {TracedContext} context
   */
  isMisplaced(tabId, { trace, isIncognito, steering }) {
    if (this.#session.propagation.settings.scope !== 'context' || isIncognito || steering?.newTrace) return false;
    if (tabId !== null && (this.clients.get(tabId)?.trace ?? null) !== null) return false;
    return trace?.spanId !== this.contexts.of(tabId)?.spanId;
  }

  /** Counts how often a tab's client has changed its headers. @param {number} tabId */
  #changes(tabId) {
    return this.clients.get(tabId)?.changes ?? 0;
  }

  /** Returns the context of a tab's requests that belong to no traced navigation. @param {number} tabId @returns {TracedContext} */
  rootOf(tabId) {
    const { context } = this.#session;
    const { trace: joined = null, client = null, baggage = '', steering = null } = this.clients.get(tabId) ?? {};
    const trace = joined ?? this.#incognitoTrace(tabId) ?? this.contexts.of(tabId);
    if (trace === null && client === null && baggage === '' && steering === null) return context;
    /** @type {TracedContext} */
    const root = trace === null ? { spanId: context.spanId, flags: context.flags } : { spanId: trace.spanId, flags: trace.flags, trace };
    if (this.#session.incognito.mayBeIncognito(tabId)) root.isIncognito = true;
    if (client !== null) root.client = spanLink(client);
    if (baggage !== '') root.baggage = baggage;
    if (steering !== null) root.steering = steering;
    return root;
  }

  /**
   * Reads what the request of a navigation carries.
   *
   * @param {number} tabId @param {Carried | null} client @param {string} baggage
   * @param {chrome.webRequest.HttpHeader | undefined} header the steering header
   */
  arrive(tabId, client, baggage, header) {
    const before = this.#changes(tabId);
    const trace = this.clients.arrive(tabId, client, baggage, header);
    if (this.#changes(tabId) !== before) this.#clientChanged();
    if (trace !== null) this.#begun(tabId, 'client', trace);
    if (!this.clients.get(tabId)?.steering?.newTrace) this.#describe(tabId, this.rootOf(tabId).spanId);
  }

  /** Tells the host what a tab's client says of the root of its trace. @param {number} tabId @param {string} spanId the root's */
  #describe(tabId, spanId) {
    const tab = this.clients.get(tabId);
    if (!tab?.description || !this.#session.incognito.observes(tabId)) return;
    const described = { spanId, ...tab.description };
    const json = JSON.stringify(described);
    if (tab.described === json) return;
    tab.described = json;
    this.#outbox.observe({ what: 'root-described', time: Date.now(), ...described }, tabId);
  }

  /** Takes the first request of a navigation, which may be to a new host of the client. @param {MainFrameRequest & { tabId: number }} details */
  navigated(details) {
    this.contexts.use(details.tabId);
    const { hosts, incognito } = this.#session;
    if (incognito.isIncognito(details.tabId) ? hosts.shown(details.url) : hosts.navigated(details)) this.#hostsChanged();
  }

  /** Takes the address of a page that a tab shows. @param {string} url */
  shown(url) {
    if (this.#session.hosts.shown(url)) this.#hostsChanged();
  }

  #hostsChanged() {
    if (this.#session.propagation.limitsBaggage) this.#clientChanged();
  }

  /** Keeps a tab in the trace of its first navigation, which had the spare. @param {number} tabId @param {TracedContext} context */
  useSpare(tabId, { trace }) {
    if (this.#session.propagation.settings.scope !== 'tab' || trace === undefined) return;
    this.clients.tab(tabId).trace ??= trace;
  }

  /** Makes a context from the headers of a navigation's request. @param {number} tabId @param {Carried} carried */
  contextOf(tabId, { traceId, spanId, flags, tracestate }) {
    if (traceId === this.#session.context.traceId) return { spanId, flags };
    const trace = this.clients.get(tabId)?.trace;
    return { spanId, flags, trace: trace?.traceId === traceId ? trace : { traceId, spanId, flags, tracestate } };
  }

  /** Returns whether an address is traced. @param {string} url */
  isTarget(url) {
    return this.#session.propagation.isTarget(url);
  }

  /** Returns whether an address is that of a traced page. @param {string} url */
  isTracedPage(url) {
    return /^https?:/.test(url) && this.isTarget(url);
  }

  /** Returns whether a trace is one of this session's. @param {string} traceId */
  has(traceId) {
    return traceId === this.#session.context.traceId || this.#known.has(traceId);
  }

  /** Returns the session's baggage if it may go to an address, or else an empty one. @param {string} url */
  baggageFor(url) {
    const { hosts, propagation } = this.#session;
    return !propagation.limitsBaggage || hosts.has(url) ? propagation.settings.baggage : '';
  }

  /**
   * Completes a context to what headers carry.
   *
   * @param {TracedContext} context @param {string} spanId
   * @param {string} [own] the session's baggage, where it may not go to every address
   */
  carried({ flags, trace, baggage, isIncognito }, spanId, own) {
    const { context, propagation: { settings } } = this.#session;
    const ours = isIncognito === true ? '' : (own ?? settings.baggage);
    return {
      traceId: trace === undefined ? context.traceId : trace.traceId,
      spanId,
      flags,
      tracestate: trace === undefined ? settings.tracestate : trace.tracestate,
      baggage: baggage === undefined ? ours : mergeBaggage(baggage, ours),
    };
  }

  /** Returns the trace of what belongs to no navigation in an Incognito tab; null for other tabs. @param {number} tabId */
  #incognitoTrace(tabId) {
    if (!this.#session.incognito.isIncognito(tabId)) return null;
    const trace = this.#incognito.get(tabId) ?? this.#beginTab(tabId);
    this.#incognito.set(tabId, trace);
    dropOldest(this.#incognito, MAX_INCOGNITO);
    return trace;
  }

  /** @param {number | null} tabId of an Incognito tab */
  #beginTab(tabId) {
    const { traceId, spanId, flags: decided } = this.#session.takeTrace();
    const trace = { traceId, spanId, flags: this.#session.propagation.flagsAbove(decided), tracestate: '' };
    this.#begun(tabId, 'tab', trace, [spanLink(this.#session.context)]);
    return trace;
  }

  /**
   * Links a new trace to the session or the browser context, the client and the navigation before.
   *
   * @param {number | null} tabId @param {Linked | null} client @param {TracedContext | null} previous
   */
  #links(tabId, client, previous) {
    const links = [spanLink(this.contexts.of(tabId) ?? this.#session.context)];
    if (client !== null) links.push(spanLink(client));
    if (previous !== null) links.push({ traceId: previous.trace?.traceId ?? this.#session.context.traceId, spanId: previous.spanId });
    return links;
  }

  /** Tells the host of a context that is not simply the session's. @param {number | null} tabId @param {TracedContext} context @param {Linked[]} links */
  #announce(tabId, { spanId, flags, trace }, links) {
    const { context, propagation, incognito } = this.#session;
    if (trace === undefined && flags === context.flags) return;
    const above = trace ?? context;
    const tracestate = trace === undefined ? propagation.settings.tracestate : trace.tracestate;
    this.#known.add(above.traceId);
    if (tabId !== null && !incognito.observes(tabId)) return;
    this.#outbox.observe({
      what: 'context-issued',
      time: Date.now(),
      spanId,
      issuedFor: 'navigation',
      traceId: above.traceId,
      flags,
      parent: above.spanId === spanId ? undefined : above.spanId,
      tracestate: tracestate === '' ? undefined : tracestate,
      links: links.length === 0 ? undefined : links,
    }, tabId);
  }

  /**
   * Tells the host of the span of a tab, a browser context, the session or a client.
   *
   * @param {number | null} tabId @param {IssuedFor} issuedFor @param {Trace} trace @param {Linked[]} [links] @param {string} [parent]
   */
  #begun(tabId, issuedFor, { traceId, spanId, flags, tracestate }, links, parent) {
    this.#known.add(traceId);
    if (isSampled(flags)) this.#sampled();
    if (tabId !== null && !this.#session.incognito.observes(tabId)) return;
    const ours = issuedFor === 'client' || tracestate === '' ? undefined : tracestate;
    this.#outbox.observe({ what: 'context-issued', time: Date.now(), spanId, issuedFor, traceId, flags, parent, tracestate: ours, links }, tabId);
  }
}
