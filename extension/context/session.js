/**
 * The session: its trace, how contexts are carried in it, and the contexts in stock for its navigations. Pure.
 */

import { ClientHosts } from './client-hosts.js';
import { newSpanId, newTraceId } from './ids.js';
import { IncognitoTabs } from './incognito.js';
import { Propagation } from './propagation.js';
import { CAPACITY, FEW, Stock } from './stock.js';

/** @import { Choose, NavigationContext, SessionContext, TestContext } from '../protocol.d.ts' */
/** @import { KeptContexts } from './context-traces.js' */
/** @import { PropagationSettings } from './propagation.js' */
/**
 * State that outlives the worker: the user's choices, the time at which the session's trace began, {@link ClientHosts.list} where the
 * session's baggage depends on it, {@link IncognitoTabs.excludesWorkers}, and {@link ContextTraces.kept}.
 *
 * @typedef {object} Kept
 * @property {boolean} paused
 * @property {Choose} chosen
 * @property {number} started
 * @property {string[] | null} hosts
 * @property {boolean} hadIncognito
 * @property {KeptContexts} [contexts]
 */

/** @type {Readonly<Choose>} */
export const AS_CONFIGURED = Object.freeze({ ratio: null, targets: null, resources: null });

/** Makes a session for a browser whose host does not answer. It is sampled, so that services record it. */
export const fallbackSession = () => ({ traceId: newTraceId(), spanId: newSpanId(), flags: '01' });

/** @param {SessionContext | null} a @param {SessionContext | null} b */
export const sameContext = (a, b) => a?.traceId === b?.traceId && a?.spanId === b?.spanId && a?.flags === b?.flags;

/** One browser process's session. */
export class Session {
  /** @type {SessionContext | null} */
  #context = null;
  #stock = new Stock();
  /** How contexts are carried. */
  propagation = new Propagation();
  /** Whether spans are exported; true until a host has answered. */
  exports = true;
  #taken;
  #began;
  #used = false;
  #started = 0;
  /** @type {Choose} what the user chose in the popup */
  chosen = AS_CONFIGURED;
  /** The hosts that clients navigate to themselves. */
  hosts = new ClientHosts();
  /** @type {TestContext | null} the test that drives the browser */
  test = null;
  /** The tabs in Incognito windows. */
  incognito = new IncognitoTabs(() => this.propagation.settings.incognito);

  /**
   * @param {SessionContext} fallback the context to use when no host names one
   * @param {object} [events]
   * @param {() => void} [events.taken] called after something was taken from the stock, once no request waits
   * @param {(traceId: string) => void} [events.began] called when another trace becomes the session's
   */
  constructor(fallback, { taken = () => {}, began = () => {} } = {}) {
    this.fallback = fallback;
    this.#taken = taken;
    this.#began = began;
  }

  get context() {
    if (this.#context === null) throw new Error('the session is not open');
    return this.#context;
  }

  /** @returns {SessionContext | null} null before the session is open */
  get contextIfOpen() {
    return this.#context;
  }

  /** Whether a host may still give the session another context: no navigation has carried the fallback yet. */
  get isReplaceable() {
    return !this.#used && sameContext(this.#context, this.fallback);
  }

  get kept() {
    const { paused, limitsBaggage } = this.propagation;
    return { paused, chosen: this.chosen, started: this.#started, hosts: limitsBaggage ? this.hosts.list : [], hadIncognito: this.incognito.excludesWorkers };
  }

  /** Restores an earlier session. @param {{ session: SessionContext, propagation: PropagationSettings, kept: Kept | null }} record */
  restore({ session, propagation, kept }) {
    this.adopt(session);
    this.hosts.restore(kept?.hosts ?? []);
    if (kept !== null) {
      this.chosen = kept.chosen;
      this.#started = kept.started;
      this.incognito.restore(kept.hadIncognito);
    }
    this.propagation = new Propagation(propagation, { paused: kept?.paused });
    this.#used = true;
  }

  /** Makes a context the session's. @param {SessionContext} context */
  adopt({ traceId, spanId, flags }) {
    this.#context = { traceId, spanId, flags };
    this.#started = Date.now();
    this.#stock = new Stock();
    this.#began(traceId);
  }

  /** Records that a navigation carries the session's trace id, which must stay from then on. */
  use() {
    this.#used = true;
  }

  /** Begins a new trace. */
  beginTrace() {
    const { traceId, spanId, flags: decided } = this.takeTrace();
    this.adopt({ traceId, spanId, flags: this.propagation.flagsAbove(decided) });
    this.#used = true;
    // The tracestate belonged to the trace before.
    if (this.propagation.settings.tracestate !== '') this.#change({ settings: { ...this.propagation.settings, tracestate: '' } });
  }

  /** Carries contexts by these settings. Returns whether they are new. @param {PropagationSettings} settings */
  carry(settings) {
    // Equal settings stay the same object, since others compare by that.
    if (JSON.stringify(settings) === JSON.stringify(this.propagation.settings)) return false;
    this.#change({ settings });
    // The settings before decided on the contexts in stock.
    this.#stock = new Stock();
    return true;
  }

  /** Stops or resumes headers. @param {boolean} paused */
  pause(paused) {
    this.#change({ paused });
  }

  /** Leaves it to a listener to match the patterns, or to rules. @param {boolean} listens */
  matchByListener(listens) {
    if (listens !== this.propagation.listens) this.#change({ listens });
  }

  /** Leaves out regular expressions that the browser refuses. @param {string[]} refused */
  refuse(refused) {
    if (JSON.stringify(refused) !== JSON.stringify(this.propagation.refused)) this.#change({ refused });
  }

  /** Adds contexts from the host to the stock. @param {NavigationContext[]} contexts @param {SessionContext[]} traces */
  fill(contexts, traces) {
    this.#stock.fill(contexts, traces);
  }

  /** Counts the contexts and traces to ask the host for. */
  missing() {
    return this.#stock.missing(['session', 'context'].includes(this.propagation.settings.scope) ? FEW : CAPACITY);
  }

  /** Takes a context for a navigation to come. */
  take() {
    const context = this.#stock.take() ?? { spanId: newSpanId(), flags: this.#navigationFlags() };
    queueMicrotask(this.#taken);
    return context;
  }

  /** Takes a new trace. */
  takeTrace() {
    const { propagation } = this;
    const trace = this.#stock.takeTrace();
    queueMicrotask(this.#taken);
    return trace ?? { traceId: newTraceId(), spanId: newSpanId(), flags: propagation.flags(propagation.decide(null), null) };
  }

  /** Decides for a navigation that has no context from the host. */
  #navigationFlags() {
    const { context: { flags }, propagation } = this;
    return propagation.settings.samplePer === 'trace' ? flags : propagation.flags(propagation.decide(null), flags);
  }

  /** @param {{ settings?: PropagationSettings, paused?: boolean, listens?: boolean, refused?: string[] }} changes */
  #change(changes) {
    const { settings, ...others } = { ...this.propagation, ...changes };
    this.propagation = new Propagation(settings, others);
  }
}
