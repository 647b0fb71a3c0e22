/**
 * Passes the browser's events about tabs and navigations on, and updates the rules.
 */

import { WORKERS } from '../context/incognito.js';
import { isSampled } from '../context/propagators.js';

/** @import { Host, Overlapped } from '../channel/host.js' */
/** @import { OpenedTab } from '../context/browser-contexts.js' */
/** @import { Carried } from '../context/propagators.js' */
/** @import { TracedContext } from '../context/traces.js' */
/** @import { Headers, NavigationRequest, Tracker } from '../observe/navigations.js' */
/** @import { Requests } from '../observe/requests.js' */
/** @import { ModeSwitch } from './mode.js' */
/** @import { NewTrace } from './new-trace.js' */
/** @import { Change } from './tab.js' */
/** @import { Tracing } from './tabs.js' */

const NOT_REPORTED =
  'Chromium no longer reports the requests of a browser context that was open while another one closed: they carry the context of their ' +
  'navigation, and have no spans of their own';

/** The tracker for `observe/navigations.js`. */
export class NavigationTracker {
  #tracing;
  #mode;
  #newTrace;
  #host;
  #requests;

  /**
   * @param {Tracing} tracing @param {ModeSwitch} mode @param {NewTrace} newTrace @param {Pick<Host, 'keepContexts' | 'problem'>} host
   * @param {Pick<Requests, 'left'>} requests is told of requests whose end the browser may not report
   */
  constructor(tracing, mode, newTrace, host, requests) {
    this.#tracing = tracing;
    this.#mode = mode;
    this.#newTrace = newTrace;
    this.#host = host;
    this.#requests = requests;
    this.#keepContexts();
  }

  /** @param {string} url */
  isTarget(url) {
    return this.#tracing.traces.isTarget(url);
  }

  /** @param {Headers} headers */
  carriedBy(headers) {
    return this.#tracing.session.propagation.extractAny(headers);
  }

  /** Returns the context of a tab's document. @param {number} tabId @param {string} url */
  contextOf(tabId, url) {
    const { session, tabs, traces } = this.#tracing;
    /** @type {TracedContext} */
    const context = tabs.current(tabId) ?? session.context;
    const traced = traces.isTracedPage(url) && context.steering?.off !== true;
    return { traced, traceId: context.trace?.traceId ?? session.context.traceId, sampled: isSampled(context.flags) };
  }

  /** @param {number[]} tabIds @param {number[]} windowIds */
  opened(tabIds, windowIds) {
    this.#apply(this.#tracing.tabs.opened(tabIds, windowIds));
  }

  /** Follows the browser contexts. Comes before {@link NavigationTracker.opened}. @param {OpenedTab} tab */
  tabOpened(tab) {
    const { session: { incognito }, tabs, traces } = this.#tracing;
    const { browserContexts } = tabs;
    browserContexts.opened(tab);
    this.#keepContexts();
    const { id = WORKERS } = tab;
    const mayBeIncognito = incognito.mayBeIncognito(id);
    // Contexts of tabs to come were issued when they could only be regular ones, and those of a tab when it could still be of either kind.
    if (incognito.opened(tab)) tabs.refresh();
    const needsOthers = mayBeIncognito || incognito.isIncognito(id);
    if (incognito.isIncognito(id)) traces.clients.closed(id);
    if (needsOthers) tabs.known(id);
    const isInOther = traces.contexts.opened(id);
    const isRuled = !this.#mode.isLightweight && browserContexts.hasRules({ tabId: id });
    // In a tab with rules the client's headers are not followed, so rules go that turn out not to be needed.
    const hasSpareRules = isRuled && !browserContexts.needsRules(id);
    if (isRuled && /^https?:/.test(tab.pendingUrl ?? '')) tabs.leaving(id);
    if (isInOther) tabs.moveToContexts();
    if (needsOthers || isInOther || hasSpareRules || browserContexts.needsRules(WORKERS)) void this.#mode.update();
  }

  /** Follows a change of the test that drives the browser. */
  testChanged() {
    this.#tracing.traces.contexts.testChanged();
    this.#tracing.tabs.moveToContexts();
    void this.#mode.update();
  }

  /** Returns whether what happens in a tab is observed. @param {number} tabId */
  observes(tabId) {
    return this.#tracing.session.incognito.observes(tabId);
  }

  /** Takes the host's answer to a question about browser contexts. @param {Overlapped} answer */
  contextsKept({ opened, kept, closed, windows = [] }) {
    const { tabs, traces } = this.#tracing;
    if (kept) tabs.browserContexts.kept(opened, closed);
    const hasMoved = traces.contexts.located(windows);
    for (const part of tabs.browserContexts.located(windows)) traces.contexts.closed(part);
    if (hasMoved) tabs.moveToContexts();
    void this.#mode.update();
  }

  /** @param {number} tabId */
  closed(tabId) {
    const { session: { incognito }, tabs, traces } = this.#tracing;
    traces.clients.closed(tabId);
    const ended = tabs.browserContexts.closed(tabId);
    if (ended !== null) {
      traces.contexts.closed(ended);
      // Other workers may be there too where regular windows are.
      const hasWorkers = !tabs.browserContexts.areOpen && !incognito.isIncognito(tabId);
      this.#requests.left(new Set(hasWorkers ? [WORKERS, ...ended.closed] : ended.closed));
    }
    incognito.closed(tabId);
    this.#keepContexts();
    return this.#apply(tabs.closed(tabId));
  }

  /**
   * Reads what a client has put on the request of a navigation, for the next navigation: rules cannot be updated earlier. In detailed mode the
   * listener has read it already, unless the request left before the session was known.
   *
   * @param {NavigationRequest} details
   * @param {chrome.webRequest.HttpHeader | undefined} steering the steering header
   */
  arrived(details, steering) {
    const { tabId, requestId, requestHeaders: headers } = details;
    const { session, tabs, traces } = this.#tracing;
    if (tabs.navigation(tabId, requestId) !== undefined) return;
    traces.navigated(details);
    traces.arrive(tabId, session.propagation.read(headers)?.contexts[0] ?? null, session.propagation.baggageOf(headers), steering);
  }

  /**
   * Handles a navigation's request that leaves. In detailed mode the listener begins navigations, unless the request left before it was there.
   *
   * @param {number} tabId @param {string} requestId
   * @param {Carried | null} sent the context that the request carries
   */
  requested(tabId, requestId, sent) {
    const { session, tabs, traces } = this.#tracing;
    session.use();
    if (tabs.navigation(tabId, requestId) !== undefined && !this.#mode.isLightweight) return;
    // In detailed mode a request carries a span id of its own, which is no navigation's.
    const isNavigations = this.#mode.isLightweight && this.#isOurs(sent);
    this.#apply(tabs.requested(tabId, requestId, isNavigations ? traces.contextOf(tabId, sent) : null));
  }

  /** Handles the request of a prefetch or a prerender that leaves. Only rules take it for a navigation. @type {Tracker['speculated']} */
  speculated(tabId, requestId, sent) {
    if (!this.#mode.isLightweight || !this.#isOurs(sent)) return;
    this.#apply(this.#tracing.tabs.speculated(tabId, requestId, sent));
  }

  /**
   * @param {number} tabId @param {string} requestId @param {string | null} url
   * @param {number | null} begun when the navigation began, in milliseconds since the epoch; null if the listener knows it
   */
  responded(tabId, requestId, url, begun) {
    const { tabs, traces } = this.#tracing;
    // The listener begins a navigation before its request leaves, so this request left without it. It is not asked about files.
    const isMissed = begun !== null && url !== null && traces.isTracedPage(url) && tabs.navigation(tabId, requestId) === undefined;
    if (!this.#mode.isLightweight && isMissed) this.#mode.requestLeft(begun);
    return this.#apply(tabs.responded(tabId, requestId, url));
  }

  /** @param {number} tabId @param {string} requestId */
  failed(tabId, requestId) {
    return this.#apply(this.#tracing.tabs.failed(tabId, requestId));
  }

  /** @param {number} tabId @param {string} url */
  committed(tabId, url) {
    const { traces, tabs } = this.#tracing;
    traces.shown(url);
    if (tabs.browserContexts.shown(tabId, url)) void this.#mode.update();
    if (traces.isTracedPage(url) && tabs.browserContexts.mayBeLost(tabId) && !tabs.isLanding(tabId)) this.#host.problem(NOT_REPORTED);
    return this.#apply(this.#tracing.tabs.committed(tabId, url));
  }

  /** @param {number} tabId @param {string} url */
  found(tabId, url) {
    return this.#apply(this.#tracing.tabs.found(tabId, url));
  }

  /** @param {number} tabId @param {string} url @param {TracedContext} context */
  continued(tabId, url, context) {
    return this.#newTrace.continued(tabId, url, context);
  }

  /** @param {number} tabId @param {string} url @param {boolean} errorPage */
  abandoned(tabId, url, errorPage) {
    return this.#apply(this.#tracing.tabs.abandoned(tabId, url, errorPage));
  }

  /** Returns whether a context is one of this session's. @param {Carried | null} sent @returns {sent is Carried} */
  #isOurs(sent) {
    const { traces } = this.#tracing;
    return sent !== null && traces.has(sent.traceId) && !traces.clients.hasSpan(sent.spanId);
  }

  /** Asks the host, if there is something new to ask. */
  #keepContexts() {
    const question = this.#tracing.tabs.browserContexts.question();
    if (question !== null) this.#host.keepContexts(question);
  }

  /** @param {Change} change @returns {TracedContext[]} the navigations that ended */
  #apply({ update, ended }) {
    if (update) void this.#mode.update();
    if (ended.length > 0) this.#tracing.session.use();
    return ended;
  }
}
