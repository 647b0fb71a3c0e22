/**
 * Knows which trace each tab is in, and gives contexts to its navigations: of the session's trace, of the tab's, of the client's, or of a trace
 * of their own.
 */

import { parseControl, steers } from './control.js';
import { mergeBaggage } from './lists.js';
import { draw } from './propagation.js';

/** @import { NavigationContext as Issued, SessionContext } from '../channel/messages.js' */
/** @import { Contexts } from '../headers/rules.js' */
/** @import { Outbox } from '../observe/outbox.js' */
/** @import { Steering } from './control.js' */
/** @import { Carried } from './propagators.js' */
/** @import { Session } from './session.js' */
/**
 * A trace that is not the session's. `spanId` is the span in it that requests without a navigation are below.
 *
 * @typedef {{ traceId: string, spanId: string, flags: string, tracestate: string }} Trace
 */
/**
 * A navigation's context; what is not there is as the session has it.
 *
 * @typedef {object} Special
 * @property {Trace} [trace]
 * @property {string} [baggage] what its client adds to the session's
 * @property {{ traceId: string, spanId: string }} [client] what its client puts on every request
 * @property {Steering} [steering]
 */
/** @typedef {Issued & Special} NavigationContext */
/** @typedef {{ traceId: string, spanId: string }} Linked */
/**
 * @typedef {object} Tab
 * @property {Trace | null} trace its own, or its client's
 * @property {Linked | null} client what its client put on the navigation before
 * @property {string} baggage
 * @property {Steering | null} steering
 * @property {number} changes how often a client has changed any of it
 */

/** How many trace ids are remembered, of requests that are still to end. */
const MOST_TRACES = 5000;

/** The traces of all tabs of a session. */
export class Traces {
  #session;
  #outbox;
  /** @type {Map<number, Tab>} */
  #tabs = new Map();
  /** @type {Set<string>} the traces besides the session's, the latest last */
  #known = new Set();
  /** @type {Set<string>} the span ids that clients put on every request, the latest last */
  #clients = new Set();
  /** @type {WeakMap<NavigationContext, number>} after how many changes each context was made */
  #made = new WeakMap();

  /**
   * @param {Pick<Session, 'context' | 'propagation' | 'take' | 'takeTrace' | 'problem'>} session
   * @param {Pick<Outbox, 'observe'>} outbox learns of contexts that are not simply the session's
   */
  constructor(session, outbox) {
    this.#session = session;
    this.#outbox = outbox;
  }

  /**
   * Goes on from what a worker before this one left.
   *
   * @param {Pick<Contexts, 'spare' | 'tabs'>} contexts
   */
  restore({ spare, tabs }) {
    for (const { trace } of [spare, ...[...tabs.values()].flatMap(({ current, next }) => [current, next])]) {
      if (trace !== undefined) this.#remember(trace.traceId);
    }
    for (const [tabId, { next }] of tabs) {
      const { trace = null, client = null, baggage = '', steering = null } = next;
      // A navigation's own trace is not its tab's.
      const lasting = trace === null || trace.spanId === next.spanId ? null : trace;
      this.#tabs.set(tabId, { trace: lasting, client, baggage, steering, changes: 0 });
      if (client !== null) remember(this.#clients, client.spanId);
    }
  }

  /** Begins anew in another session, but for what clients have said. */
  renew() {
    for (const tab of this.#tabs.values()) if (tab.client === null) tab.trace = null;
  }

  /**
   * Goes on in a session that has taken the place of another: clients go on with their traces, everything else begins anew.
   *
   * @param {SessionContext} before
   */
  succeed(before) {
    this.#remember(before.traceId);
    this.renew();
    for (const { client, trace } of this.#tabs.values()) {
      if (client === null || trace === null) continue;
      const { traceId, spanId, flags } = trace;
      this.#outbox.observe({ what: 'context-issued', time: Date.now(), spanId, issuedFor: 'client', traceId, flags });
    }
  }

  /**
   * Gives the context of a navigation to come.
   *
   * @param {number | null} tabId null for one in a tab that nobody foresaw
   * @param {NavigationContext | null} [previous] the navigation before it
   * @returns {NavigationContext}
   */
  issue(tabId, previous = null) {
    const { propagation } = this.#session;
    const scoped = propagation.settings.scope === 'tab' && tabId !== null;
    const tab = scoped ? this.#tab(tabId) : (this.#tabs.get(tabId ?? -1) ?? newTab());
    const { steering } = tab;
    const alone = steering?.newTrace === true || (tab.trace === null && propagation.settings.scope === 'navigation');
    /** @type {NavigationContext} */
    let context;
    if (alone) {
      const { traceId, spanId, flags } = this.#session.takeTrace();
      context = { spanId, flags, trace: { traceId, spanId, flags, tracestate: '' } };
    } else {
      if (tab.trace === null && propagation.settings.scope === 'tab') tab.trace = this.#beginTab();
      const { spanId, flags } = this.#session.take();
      context = { spanId, flags };
      if (tab.trace !== null) {
        context.trace = tab.trace;
        // What was decided for the trace, or else for this navigation, unless that follows its client.
        const { samplePer, sampler } = propagation.settings;
        if (samplePer === 'trace' || (tab.client !== null && sampler.parentBased)) context.flags = tab.trace.flags;
      }
    }
    if (tab.client !== null) context.client = { traceId: tab.client.traceId, spanId: tab.client.spanId };
    if (tab.baggage !== '') context.baggage = tab.baggage;
    if (steering !== null) {
      context.steering = steering;
      if (steering.sampling !== null) context.flags = propagation.flags(draw(steering.sampling), context.flags);
      // It leaves without a header, and nothing is told of it.
      if (steering.off) context.flags = propagation.flags(false, context.flags);
    }
    this.#announce(context, alone ? this.#beside(tab, previous) : []);
    this.#made.set(context, tab.changes);
    return context;
  }

  /**
   * Tells whether a client has changed what the context of a tab's navigation to come was made of.
   *
   * @param {number} tabId
   * @param {NavigationContext} context
   */
  isStale(tabId, context) {
    const made = this.#made.get(context);
    return made !== undefined && made !== (this.#tabs.get(tabId)?.changes ?? 0);
  }

  /**
   * Gives the context of a tab's requests that belong to no navigation that is traced.
   *
   * @param {number} tabId
   * @returns {NavigationContext}
   */
  rootOf(tabId) {
    const { context } = this.#session;
    const tab = this.#tabs.get(tabId);
    if (tab === undefined || (tab.trace === null && tab.client === null && tab.baggage === '' && tab.steering === null)) return context;
    const { trace, client, baggage, steering } = tab;
    /** @type {NavigationContext} */
    const root = trace === null ? { spanId: context.spanId, flags: context.flags } : { spanId: trace.spanId, flags: trace.flags, trace };
    if (client !== null) root.client = { traceId: client.traceId, spanId: client.spanId };
    if (baggage !== '') root.baggage = baggage;
    if (steering !== null) root.steering = steering;
    return root;
  }

  /**
   * Learns what a client has put on a navigation's request. Page script can't set headers there.
   *
   * @param {number} tabId
   * @param {Carried | null} client
   * @param {string} baggage
   * @param {string | undefined} control
   */
  arrive(tabId, client, baggage, control) {
    if (client === null && baggage === '' && control === undefined && !this.#tabs.has(tabId)) return;
    const tab = this.#tab(tabId);
    const steering = control === undefined ? null : this.#steering(control);
    if (baggage !== tab.baggage || JSON.stringify(steering) !== JSON.stringify(tab.steering)) tab.changes += 1;
    tab.steering = steering;
    tab.baggage = baggage;
    if (client === null) return;
    const { traceId, spanId, tracestate } = client;
    // After a restart the client may be known and its trace not.
    if (tab.trace !== null && traceId === tab.client?.traceId && spanId === tab.client.spanId) return;
    tab.client = { traceId, spanId };
    tab.changes += 1;
    remember(this.#clients, spanId);
    const { propagation } = this.#session;
    const flags = propagation.flags(propagation.decide(client.flags), client.flags);
    tab.trace = { traceId, spanId, flags, tracestate };
    this.#remember(traceId);
    this.#outbox.observe({ what: 'context-issued', time: Date.now(), spanId, issuedFor: 'client', traceId, flags });
  }

  /**
   * Learns that a navigation that nobody foresaw is a tab's.
   *
   * @param {number} tabId
   * @param {NavigationContext} context
   */
  claimed(tabId, { spanId, trace }) {
    if (trace === undefined || trace.spanId === spanId) return;
    this.#tab(tabId).trace ??= trace;
  }

  /**
   * Makes a context of what a navigation's request carries.
   *
   * @param {number} tabId
   * @param {Carried} carried
   * @returns {NavigationContext}
   */
  contextOf(tabId, { traceId, spanId, flags, tracestate }) {
    if (traceId === this.#session.context.traceId) return { spanId, flags };
    const trace = this.#tabs.get(tabId)?.trace;
    return { spanId, flags, trace: trace?.traceId === traceId ? trace : { traceId, spanId, flags, tracestate } };
  }

  /**
   * Tells whether a span is one that a client puts on every request: not the page's own.
   *
   * @param {string} spanId
   */
  isClients(spanId) {
    return this.#clients.has(spanId);
  }

  /** @param {number} tabId */
  closed(tabId) {
    this.#tabs.delete(tabId);
  }

  /**
   * Tells whether an address is traced.
   *
   * @param {string} url
   */
  isTarget(url) {
    return this.#session.propagation.isTarget(url);
  }

  /**
   * Tells whether a trace is one of this session's.
   *
   * @param {string} traceId
   */
  has(traceId) {
    return traceId === this.#session.context.traceId || this.#known.has(traceId);
  }

  /**
   * Tells whether a request carries what its client has put on it and nobody is to change.
   *
   * @param {number} tabId
   * @param {Linked} carried
   */
  leavesAlone(tabId, { spanId }) {
    const tab = this.#tabs.get(tabId);
    return tab?.steering?.off === true && tab.client?.spanId === spanId;
  }

  /** @returns {number[]} the tabs whose client puts headers on every request */
  withClients() {
    return [...this.#tabs].filter(([, { client, baggage }]) => client !== null || baggage !== '').map(([tabId]) => tabId);
  }

  /**
   * Completes a context to what headers carry.
   *
   * @param {NavigationContext} context
   * @param {string} spanId
   * @returns {Carried}
   */
  carried({ flags, trace, baggage }, spanId) {
    const { context, propagation } = this.#session;
    const { settings } = propagation;
    return {
      traceId: trace === undefined ? context.traceId : trace.traceId,
      spanId,
      flags,
      tracestate: trace === undefined ? settings.tracestate : trace.tracestate,
      baggage: baggage === undefined ? settings.baggage : mergeBaggage(baggage, settings.baggage),
    };
  }

  /** @param {number} tabId */
  #tab(tabId) {
    const tab = this.#tabs.get(tabId) ?? newTab();
    this.#tabs.set(tabId, tab);
    return tab;
  }

  /** @returns {Trace} */
  #beginTab() {
    const { traceId, spanId, flags: decided } = this.#session.takeTrace();
    const flags = this.#session.propagation.flagsAbove(decided);
    const trace = { traceId, spanId, flags, tracestate: '' };
    this.#remember(traceId);
    const links = [this.#root()];
    this.#outbox.observe({ what: 'context-issued', time: Date.now(), spanId, issuedFor: 'tab', traceId, flags, links });
    return trace;
  }

  /** @returns {Linked} */
  #root() {
    const { traceId, spanId } = this.#session.context;
    return { traceId, spanId };
  }

  /**
   * Finds what a trace of its own belongs with: the session, what its client says, and the navigation before.
   *
   * @param {Tab} tab
   * @param {NavigationContext | null} previous
   * @returns {Linked[]}
   */
  #beside({ client }, previous) {
    const links = [this.#root()];
    if (client !== null) links.push({ traceId: client.traceId, spanId: client.spanId });
    if (previous !== null) links.push({ traceId: previous.trace?.traceId ?? this.#session.context.traceId, spanId: previous.spanId });
    return links;
  }

  /**
   * @param {NavigationContext} context
   * @param {Linked[]} links
   */
  #announce({ spanId, flags, trace }, links) {
    const { context: session } = this.#session;
    if (trace === undefined && flags === session.flags) return;
    const { traceId, tracestate } = trace ?? { traceId: session.traceId, tracestate: this.#session.propagation.settings.tracestate };
    this.#remember(traceId);
    const above = trace === undefined ? session.spanId : trace.spanId;
    this.#outbox.observe({
      what: 'context-issued',
      time: Date.now(),
      spanId,
      issuedFor: 'navigation',
      traceId,
      flags,
      parent: above === spanId ? undefined : above,
      tracestate: tracestate === '' ? undefined : tracestate,
      links: links.length === 0 ? undefined : links,
    });
  }

  /** @param {string} traceId */
  #remember(traceId) {
    remember(this.#known, traceId);
  }

  /**
   * @param {string} control
   * @returns {Steering | null}
   */
  #steering(control) {
    const { steering, fault } = parseControl(control);
    if (fault !== null) this.#session.problem(fault);
    return steering !== null && steers(steering) ? steering : null;
  }
}

/** @returns {Tab} */
const newTab = () => ({ trace: null, client: null, baggage: '', steering: null, changes: 0 });

/** @param {Set<string>} ids @param {string} id */
function remember(ids, id) {
  ids.delete(id);
  ids.add(id);
  if (ids.size > MOST_TRACES) ids.delete(/** @type {string} */ (ids.values().next().value));
}
