/**
 * Chooses the trace of each browser context, for scope `context`.
 *
 * The first context takes the session's own trace, so that a browser with one context has one trace. Once there is another one, what belongs to
 * none of them is below a span of the session's own, to which all contexts are linked. While a test runs, contexts that open are in its trace.
 * Pure.
 */

import { hasWindow, windowsOf } from './browser-contexts.js';
import { newSpanId } from './ids.js';
import { WORKERS } from './incognito.js';
import { spanLink } from './traceparent.js';

/** @import { IssuedFor, Linked, TestContext } from '../protocol.d.ts' */
/** @import { BrowserContext, BrowserContexts } from './browser-contexts.js' */
/** @import { Session } from './session.js' */
/** @import { Trace } from './traces.js' */
/**
 * What a restarted worker must know: the session's span, whether its own trace is a context's, and the traces of the open contexts by their windows.
 *
 * @typedef {{ session: Trace | null, isTaken: boolean, open: { windows: number[], trace: Trace | null }[] }} KeptContexts
 */

/** The traces of browser contexts. A trace of null is the session's own. */
export class ContextTraces {
  #session;
  #contexts;
  #tell;
  /** @type {Map<BrowserContext, Trace | null>} of the open contexts, the latest one last */
  #open = new Map();
  /** @type {Trace | null} the trace of the latest context, to which tabs to come most likely belong */
  #latest = null;
  /** Whether a context has a trace already. */
  #hasBegun = false;
  /** Whether the session's own trace is a context's. */
  #isTaken = false;
  /** @type {Trace | null} the session's span, once its own trace is a context's and there is another one */
  #root = null;
  /** @type {Trace | null} the trace of the next context, below the test that runs */
  #next = null;
  /** @type {Set<BrowserContext>} open contexts without a navigation so far */
  #unused = new Set();
  /** @type {Map<BrowserContext, boolean>} windows that opened beside a context and may belong to it, and whether they are in its trace until the host knows */
  #undecided = new Map();
  /** @type {boolean | null} whether a window that opened beside a context belonged to another one, when the host knew last */
  #wereApart = null;

  /**
   * @param {Pick<Session, 'context' | 'propagation' | 'incognito' | 'test' | 'takeTrace'>} session @param {BrowserContexts} contexts
   * @param {object} events
   * @param {(issuedFor: IssuedFor, trace: Trace, above?: { parent?: string, links?: Linked[] }) => void} events.begun tells the host of the span
   *   of a context, or of the session
   * @param {(spanId: string) => void} events.ended tells the host that a context has closed
   */
  constructor(session, contexts, { begun, ended }) {
    this.#session = session;
    this.#contexts = contexts;
    this.#tell = { begun, ended };
  }

  /** @returns {KeptContexts | null} null while another worker would come to the same by itself */
  get kept() {
    const [[first, ofFirst] = [], ...others] = this.#open;
    const isFirst = this.#root === null && others.length === 0 && first?.number !== 0 && ofFirst === null;
    if (isFirst || !this.#hasBegun) return null;
    const open = Array.from(this.#open, ([context, trace]) => ({ windows: windowsOf(context), trace }));
    return { session: this.#root, isTaken: this.#isTaken, open };
  }

  /** Continues from what an earlier worker kept. The tabs are known. @param {KeptContexts | null} kept */
  restore(kept) {
    if (kept === null) return;
    // Contexts that share a trace have the same object.
    const traces = new Map(kept.open.map(({ trace }) => [trace?.spanId, trace]));
    for (const { windows, trace } of kept.open) {
      for (const context of this.#contexts.ofWindows(windows)) this.#add(context, traces.get(trace?.spanId) ?? null);
    }
    this.#root = kept.session;
    this.#isTaken = kept.isTaken;
    this.#hasBegun = true;
  }

  /** Starts over in another session. */
  reset() {
    this.#open.clear();
    this.#unused.clear();
    this.#undecided.clear();
    this.#root = null;
    this.#hasBegun = false;
    this.#isTaken = false;
    this.testChanged();
  }

  /**
   * Handles a tab that has opened. The browser's own context has pages that no client uses, so it has no part in this before it is used.
   *
   * @param {number} tabId
   * @returns {boolean} whether it is in another trace than tabs to come were
   */
  opened(tabId) {
    const before = this.#latest;
    const context = this.#contexts.of(tabId);
    if (context !== undefined && (context.number > 0 || this.#isTaken)) this.#begin(context, tabId, context.number > 0 ? this.#beside() : undefined);
    return this.of(tabId) !== before;
  }

  /** Begins the trace of a tab's context, if it has none, for a navigation whose request may be waiting. @param {number} tabId */
  use(tabId) {
    const context = this.#contexts.of(tabId);
    if (context === undefined) return;
    this.#begin(context, tabId);
    this.#unused.delete(context);
  }

  /**
   * Follows a change of the test that runs. The test is known some milliseconds after its begin, so contexts that have opened meanwhile move to
   * its trace, unless they have navigated.
   */
  testChanged() {
    const { propagation, test } = this.#session;
    this.#next = null;
    this.#latest = null;
    if (test === null || propagation.settings.scope !== 'context') return;
    for (const context of this.#unused) {
      this.#undecided.delete(context);
      this.#open.set(context, this.#belowTest(test));
    }
    this.#next = this.#latest = this.#belowTest(test);
  }

  /** Returns the trace of the context beside which a window opens; undefined if there is none. */
  #beside() {
    return this.#session.test === null ? [...this.#open].findLast(([{ number }]) => number > 0)?.[1] : undefined;
  }

  /** @param {BrowserContext} context @param {number} tabId @param {Trace | null} [beside] the trace of a context whose page it may be */
  #begin(context, tabId, beside) {
    if (this.#open.has(context) || !this.#applies(tabId)) return;
    const { windowPerPage = false } = this.#session.propagation.settings;
    const isShared = beside !== undefined && (this.#wereApart === null ? windowPerPage : !this.#wereApart);
    if (beside !== undefined) this.#undecided.set(context, isShared);
    this.#add(context, isShared ? beside : this.#choose());
    this.#unused.add(context);
  }

  /**
   * Takes from the host which windows belong together. A client may give each page of a context a window of its own.
   *
   * @param {number[][]} groups
   * @returns {boolean} whether a context has another trace now
   */
  located(groups) {
    const before = [...this.#open.values()];
    for (const [context, isShared] of this.#undecided) {
      const group = groups.find((windows) => hasWindow(context, windows));
      if (group === undefined) continue;
      this.#undecided.delete(context);
      const isSame = (/** @type {BrowserContext} */ other) => other !== context && !this.#undecided.has(other) && hasWindow(other, group);
      const known = [...this.#open].find(([other]) => isSame(other));
      this.#wereApart = known === undefined;
      if (known !== undefined) this.#add(context, known[1]);
      else if (isShared) this.#add(context, this.#choose());
    }
    return [...this.#open.values()].some((trace, at) => trace !== before[at]);
  }

  /** Handles a context whose last tab was closed, or which turned out to be a part of another one. @param {BrowserContext} context */
  closed(context) {
    const trace = this.#open.get(context);
    this.#unused.delete(context);
    this.#undecided.delete(context);
    if (!this.#open.delete(context) || trace === undefined || [...this.#open.values()].includes(trace)) return;
    this.#tell.ended((trace ?? this.#session.context).spanId);
  }

  /**
   * Returns the trace of a tab. Requests of workers are the open context's, if there is one alone.
   *
   * @param {number | null} tabId null for a tab that is not known yet
   * @returns {Trace | null} null for the session's own
   */
  of(tabId) {
    if (!this.#applies(tabId)) return null;
    if (tabId === WORKERS) {
      const [only, ...others] = new Set(this.#open.values());
      return only === undefined || others.length > 0 ? this.#root : only;
    }
    const context = tabId === null ? undefined : this.#contexts.of(tabId);
    return context === undefined ? this.#latest : (this.#open.get(context) ?? null);
  }

  /** Returns whether a trace is that of a context. @param {Trace} trace */
  has({ spanId }) {
    return [this.#root, this.#latest, ...this.#open.values()].some((trace) => trace?.spanId === spanId);
  }

  /** @param {number | null} tabId */
  #applies(tabId) {
    const { propagation, incognito } = this.#session;
    return propagation.settings.scope === 'context' && !incognito.mayBeIncognito(tabId);
  }

  /** @param {BrowserContext} context @param {Trace | null} trace */
  #add(context, trace) {
    this.#open.set(context, trace);
    this.#latest = trace;
  }

  /** Chooses the trace of a context: below the test that runs, or the session's own for the first one, or a new one. */
  #choose() {
    const isFirst = !this.#hasBegun;
    this.#hasBegun = true;
    const next = this.#next;
    this.#next = null;
    const { test } = this.#session;
    if (test !== null) return next ?? this.#belowTest(test);
    if (isFirst) {
      this.#isTaken = true;
      return null;
    }
    this.#separate();
    return this.#tellOf(this.#new());
  }

  /** @param {TestContext} test */
  #belowTest(test) {
    this.#separate();
    const { traceId, flags, tracestate, spanId: parent } = test;
    return this.#tellOf({ traceId, spanId: newSpanId(), flags, tracestate }, parent);
  }

  /** Gives the session a span of its own beside a context that has the session's trace. */
  #separate() {
    if (!this.#isTaken || this.#root !== null) return;
    this.#root = this.#new();
    this.#tell.begun('session', this.#root);
  }

  /** Tells the host of a context's span. @param {Trace} trace @param {string} [parent] */
  #tellOf(trace, parent) {
    this.#tell.begun('context', trace, { parent, links: [spanLink(this.#root ?? this.#session.context)] });
    return trace;
  }

  /** Makes a trace, or another span in the session's trace if that is of another process. @returns {Trace} */
  #new() {
    const { context, propagation } = this.#session;
    const { joined, tracestate } = propagation.settings;
    if (joined === true) return { ...context, spanId: newSpanId(), tracestate };
    const { traceId, spanId, flags } = this.#session.takeTrace();
    return { traceId, spanId, flags: propagation.flagsAbove(flags), tracestate: '' };
  }
}
