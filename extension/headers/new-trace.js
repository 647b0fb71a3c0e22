/**
 * Begins a new trace for the user. What starts later is in it; what is under way stays in the trace before.
 */

import { attempt } from '../attempt.js';
import { cutUrl } from '../observe/details.js';

/** @import { Host } from '../channel/host.js' */
/** @import { TracedContext } from '../context/traces.js' */
/** @import { Documents } from '../observe/documents.js' */
/** @import { Outbox } from '../observe/outbox.js' */
/** @import { Requests } from '../observe/requests.js' */
/** @import { ModeSwitch } from './mode.js' */
/** @import { Tracing } from './tabs.js' */

/** The change from one trace to the next. */
export class NewTrace {
  #tracing;
  #host;
  #mode;
  #observers;

  /**
   * @param {Tracing} tracing @param {Pick<Host, 'beginTrace'>} host @param {Pick<ModeSwitch, 'decide' | 'update'>} mode
   * @param {{ outbox: Outbox, documents: Documents, requests: Requests }} observers
   */
  constructor(tracing, host, mode, observers) {
    this.#tracing = tracing;
    this.#host = host;
    this.#mode = mode;
    this.#observers = observers;
  }

  /** Begins a new trace, and updates the rules. */
  async begin() {
    const { session, traces, tabs } = this.#tracing;
    const { outbox, documents, requests } = this.#observers;
    const open = await attempt('listing tabs', async () => chrome.tabs.query({}), []);
    const urls = new Map(open.flatMap(({ id, url = '' }) => (id === undefined ? [] : [[id, url]])));
    const before = session.context;
    const { tracestate } = session.propagation.settings;
    const live = new Set([...tabs.live(), ...documents.contexts()]);
    for (const context of live) {
      // A context without a trace of its own would be in the new one.
      context.trace ??= { traceId: before.traceId, spanId: before.spanId, flags: before.flags, tracestate };
    }
    const spans = [...live].map(({ spanId }) => spanId).filter((spanId) => !traces.clients.hasSpan(spanId));
    outbox.endSession(before, requests.underWay(), spans);
    this.#host.beginTrace();
    traces.beginTrace(before);
    const changed = tabs.beginTrace((tabId) => traces.isTracedPage(urls.get(tabId) ?? ''));
    documents.replaceContexts(new Map(changed.map(({ before: { spanId }, context }) => [spanId, context])));
    for (const { tabId, context } of changed) this.#observe(tabId, urls.get(tabId) ?? '', context);
    await this.#mode.decide();
  }

  /**
   * Returns the context of a document after its navigation: another one if a new trace has begun meanwhile.
   *
   * @param {number} tabId @param {string} url
   * @param {TracedContext} context the navigation's
   */
  continued(tabId, url, context) {
    if (!this.#observers.outbox.isEarlier(context.spanId)) return context;
    const successor = this.#tracing.tabs.replace(tabId, context);
    if (successor === null) return context;
    this.#observe(tabId, url, successor);
    void this.#mode.update();
    return successor;
  }

  /** Observes that a document continues in the new trace. @param {number} tabId @param {string} url @param {TracedContext} context */
  #observe(tabId, url, { spanId }) {
    if (!this.#tracing.session.incognito.observes(tabId)) return;
    const time = Date.now();
    const transition = 'new-trace';
    this.#observers.outbox.observe({ what: 'navigation-committed', time, spanId, tabId, url: cutUrl(url), started: time, transition }, tabId);
  }
}
