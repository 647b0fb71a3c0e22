/**
 * Turns the browser's events about requests into observations. No request waits for this code, except for {@link Requests.started} in
 * detailed mode.
 */

import { newSpanId } from '../context/ids.js';
import { isSampled } from '../context/propagators.js';
import { dropOldest } from '../drop-oldest.js';
import { bodySize, cutUrl, failureKind, isOwnOrigin, isOwnRequest, mayRead } from './details.js';

/** @import { Carried } from '../context/propagators.js' */
/** @import { Session } from '../context/session.js' */
/** @import { TracedContext, Traces } from '../context/traces.js' */
/** @import { SessionContext } from '../protocol.d.ts' */
/** @import { NavigationStarts } from './navigations.js' */
/** @import { Outbox } from './outbox.js' */
/** @typedef {{ has: Traces['has'], clients: Pick<Traces['clients'], 'leavesAlone'> }} OwnTraces */
/**
 * @typedef {object} MainFrames what rules gave to main-frame requests
 * @property {(tabId: number, requestId: string) => { spanId: string } | undefined} navigation
 * @property {(requestId: string) => { spanId?: string, parent: string } | undefined} takeSpeculation the span of a prefetch or a prerender
 */
/** @typedef {chrome.webRequest.OnBeforeSendHeadersDetails | chrome.webRequest.OnSendHeadersDetails} RequestDetails */
/** @typedef {chrome.webRequest.RequestFilter} RequestFilter */
/** @typedef {(details: chrome.webRequest.OnErrorOccurredDetails) => TracedContext | undefined} PageOf */
/** @typedef {chrome.webRequest.OnBeforeRedirectDetails | chrome.webRequest.OnCompletedDetails} ResponseDetails */

/** Longer than any standard method; a page may make up a method of any length. */
const MAX_METHOD_LENGTH = 64;

/** The host takes a status from 0 to 999. A file has the status -1, and a server may send any number. */
const MAX_STATUS = 999;

/** Limit for requests to ignore, whose ends may never be seen. */
const MAX_IGNORED = 5000;

/**
 * The kinds of requests whose response heads are read, for challenges and for bodies that the page gives up. Each event costs the browser time, so
 * there are none about the many files of a page: their server has asked for credentials before, and a page hardly ever stops them.
 *
 * @type {`${chrome.webRequest.ResourceType}`[]}
 */
const WITH_HEADS = ['main_frame', 'sub_frame', 'xmlhttprequest', 'websocket'];

/** @param {RequestFilter} filter */
const headsOf = ({ types, ...filter }) => ({ ...filter, types: types?.filter((type) => WITH_HEADS.includes(type)) ?? WITH_HEADS });

/** Returns whether a response may be a challenge, after which the browser repeats the request. @param {number} status */
const isChallenge = (status) => status === 401 || status === 407;

/** @param {{ method: string, url: string, type: string }} details */
const targetOf = ({ method, url, type }) => ({ method: method.slice(0, MAX_METHOD_LENGTH), url: cutUrl(url), resource: type });

/** @param {ResponseDetails | chrome.webRequest.OnHeadersReceivedDetails} details */
const responseOf = ({ statusCode, statusLine, ...details }) => ({
  status: Math.min(Math.max(statusCode, 0), MAX_STATUS),
  fromCache: 'fromCache' in details && details.fromCache === true,
  address: 'ip' in details ? details.ip : undefined,
  protocol: statusLine?.split(' ')[0] || undefined,
});

/** Observes requests from their start to their end. */
export class Requests {
  #outbox;
  #starts;
  #session;
  /** @type {OwnTraces | null} */
  #traces = null;
  /** @type {MainFrames | undefined} */
  #mainFrames;
  /** @type {PageOf} */
  #pageOf = () => undefined;
  /** @type {Map<string, { tabId: number, canRead: boolean }>} whether the page can read the response, by the ids of requests under way whose start was observed */
  #started = new Map();
  /** @type {Set<string>} ids of requests under way that are not observed although their addresses are targets */
  #ignored = new Set();
  /** @type {SessionContext | null} the context in the rules; null in detailed mode */
  #inRules = null;
  /** Whether something is sampled. Nothing else is worth an event. */
  #isSampled = false;
  /** @type {RequestFilter | null} the requests that get headers; null while none does */
  #filter = null;
  /** @type {{ filter: RequestFilter, seesStarts: boolean } | null} what the listeners are registered for */
  #registered = null;

  /**
   * @param {Pick<Outbox, 'observe'>} outbox
   * @param {NavigationStarts} starts
   * @param {Pick<Session, 'propagation' | 'incognito' | 'exports'>} session
   */
  constructor(outbox, starts, session) {
    this.#outbox = outbox;
    this.#starts = starts;
    this.#session = session;
  }

  /** @returns {Iterable<string>} ids of the observed requests under way */
  underWay() {
    return this.#started.keys();
  }

  /** Finds the page of a request that never left by this function from now on. @param {PageOf} pageOf */
  findPages(pageOf) {
    this.#pageOf = pageOf;
  }

  /** Ignores a request that is about to leave, or the next redirect hop of one that was observed. @param {string} requestId */
  ignore(requestId) {
    this.#ended(requestId);
    this.#ignored.add(requestId);
    dropOldest(this.#ignored, MAX_IGNORED);
  }

  /** Observes requests from now on, because something is sampled. */
  sampled() {
    if (this.#isSampled) return;
    this.#isSampled = true;
    this.#register();
  }

  /**
   * Observes that a request is about to leave, or a redirect hop or another attempt of it.
   *
   * @param {RequestDetails} details
   * @param {string} spanId of its span
   * @param {string} [parent] its navigation's span id, if it has one
   * @param {string} [traceId] the trace that it carries, if the host may not know that trace
   * @param {{ caller?: string, link?: { traceId: string, spanId: string } }} [origin] the context that the page's own instrumentation
   *   had given it: in the same trace (`caller`) or in another one (`link`)
   */
  started(details, spanId, parent, traceId, origin) {
    const { timeStamp: time, requestId: request, tabId, method, initiator, requestHeaders } = details;
    if (!this.#session.exports) return;
    if (!this.#session.incognito.observes(tabId)) return void this.ignore(request);
    this.#ignored.delete(request);
    this.#started.set(request, { tabId, canRead: false });
    // Without a span id yet, the navigation is observed when it commits.
    const startsNavigation = parent !== undefined && isOwnRequest(details);
    this.#outbox.observe({
      what: 'request-started',
      time,
      request,
      spanId,
      parent,
      traceId,
      ...origin,
      ...targetOf(details),
      navigation: startsNavigation ? { tabId, started: this.#starts.take(tabId, time), byPage: initiator === undefined ? undefined : true } : undefined,
      size: method === 'GET' || method === 'HEAD' ? undefined : bodySize(requestHeaders),
    }, tabId);
  }

  /**
   * Observes the starts of requests by the headers that rules gave them, for lightweight mode.
   *
   * @param {RequestFilter} filter the requests to observe
   * @param {SessionContext} context the session's context in the rules
   * @param {OwnTraces} traces
   * @param {MainFrames} [mainFrames]
   */
  listenByRules(filter, context, traces, mainFrames) {
    this.#mainFrames = mainFrames;
    this.#inRules = context;
    this.#traces = traces;
    this.#filter = filter;
    this.#register();
  }

  /** Leaves it to the caller of {@link started} to observe the starts of requests, for detailed mode. @param {RequestFilter} filter */
  listen(filter) {
    this.#inRules = null;
    this.#filter = filter;
    this.#register();
  }

  /**
   * Observes that no page of a browser context is left. The browser reports no end of most requests under way then, unless the context goes on.
   *
   * @param {Set<number>} tabIds the tabs that the context had
   */
  left(tabIds) {
    const time = Date.now();
    for (const [request, { tabId }] of this.#started) {
      if (tabIds.has(tabId)) this.#outbox.observe({ what: 'request-left', time, request }, tabId);
    }
  }

  /** Observes no further request: none gets headers. Those under way are observed to their end. */
  stop() {
    this.#filter = null;
    this.#register();
  }

  /** Registers the listeners that are needed, and no others: each event costs the browser more than it costs the worker. */
  #register() {
    const { onSendHeaders, onHeadersReceived, onBeforeRedirect, onCompleted, onErrorOccurred } = chrome.webRequest;
    const [before, wanted] = [this.#registered, this.#wanted()];
    this.#registered = wanted;
    const isSameFilter = JSON.stringify(wanted?.filter) === JSON.stringify(before?.filter);
    if (before?.seesStarts && !(isSameFilter && wanted?.seesStarts)) onSendHeaders.removeListener(this.#sent);
    if (wanted?.seesStarts && !(isSameFilter && before?.seesStarts)) onSendHeaders.addListener(this.#sent, wanted.filter, ['requestHeaders']);
    if (isSameFilter) return;
    if (before !== null) {
      onHeadersReceived.removeListener(this.#answered);
      onBeforeRedirect.removeListener(this.#redirected);
      onCompleted.removeListener(this.#completed);
      onErrorOccurred.removeListener(this.#failed);
    }
    // The browser may not report the end of a request that began under another filter.
    this.#started.clear();
    if (wanted === null) return;
    onHeadersReceived.addListener(this.#answered, headsOf(wanted.filter), ['responseHeaders']);
    onBeforeRedirect.addListener(this.#redirected, wanted.filter);
    onCompleted.addListener(this.#completed, wanted.filter);
    onErrorOccurred.addListener(this.#failed, wanted.filter);
  }

  /** Returns what to register the listeners for; null for nothing. */
  #wanted() {
    if (!this.#session.exports || !this.#isSampled) return null;
    if (this.#filter !== null) return { filter: this.#filter, seesStarts: this.#inRules !== null };
    // Stopped: only what is under way is followed.
    return this.#registered !== null && this.#started.size > 0 ? { ...this.#registered, seesStarts: false } : null;
  }

  /** @param {chrome.webRequest.OnHeadersReceivedDetails} details @returns {undefined} */
  #answered = (details) => {
    const { timeStamp: time, requestId: request, statusCode } = details;
    const started = this.#started.get(request);
    if (started === undefined) return;
    if (!isChallenge(statusCode)) return void (started.canRead = mayRead(details));
    this.#outbox.observe({ what: 'request-challenged', time, request, spanId: newSpanId(), response: responseOf(details) }, details.tabId);
  };

  /** @param {chrome.webRequest.OnBeforeRedirectDetails} details */
  #redirected = (details) => {
    const { timeStamp: time, requestId: request, redirectUrl } = details;
    // The browser may tell of no end elsewhere.
    const isLast = !this.#session.propagation.isTarget(redirectUrl);
    const isIgnored = isLast ? this.#ignored.delete(request) : this.#ignored.has(request);
    if (isIgnored || !this.#isObserved(details)) return;
    if (isLast) this.#ended(request);
    this.#outbox.observe({ what: 'request-redirected', time, request, response: responseOf(details) }, details.tabId);
  };

  /** @param {chrome.webRequest.OnCompletedDetails} details */
  #completed = (details) => {
    const { timeStamp: time, requestId: request } = details;
    if (this.#ignored.delete(request) || !this.#isObserved(details)) return;
    this.#ended(request);
    this.#outbox.observe({ what: 'request-completed', time, request, response: responseOf(details) }, details.tabId);
  };

  /** @param {chrome.webRequest.OnErrorOccurredDetails} details */
  #failed = (details) => {
    const { timeStamp: time, requestId: request, error, type } = details;
    if (this.#ignored.delete(request) || !this.#isObserved(details)) return;
    // A request may fail before it leaves; this observation is then the only one of it, and brings its span id and its parent.
    const started = this.#started.get(request);
    const page = started === undefined && !isOwnRequest(details) ? this.#pageOf(details) : undefined;
    if (page !== undefined && (page.steering?.off === true || !isSampled(page.flags))) return;
    const hasResponse = WITH_HEADS.includes(type) ? started?.canRead === true : type === 'media' || isOwnOrigin(details);
    this.#ended(request);
    this.#outbox.observe({
      what: 'request-failed',
      time,
      request,
      error,
      kind: failureKind(error, hasResponse),
      spanId: newSpanId(),
      parent: page?.spanId,
      ...targetOf(details),
    }, details.tabId);
  };

  /** @param {string} requestId */
  #ended(requestId) {
    this.#started.delete(requestId);
    if (this.#filter === null && this.#started.size === 0) this.#register();
  }

  /** @param {chrome.webRequest.OnSendHeadersDetails} details */
  #sent = (details) => {
    const { propagation } = this.#session;
    if (!propagation.isTarget(details.url)) return;
    const carriesSpans = propagation.spanFields.size > 0;
    const carried = carriesSpans ? propagation.extractAny(details.requestHeaders) : null;
    // Rules set headers on all requests to targets, so a request without one of ours comes from a document that a script turned tracing off for.
    if (carriesSpans && (carried === null || !this.#isOurs(details.tabId, carried))) return this.ignore(details.requestId);
    if (carried !== null && !isSampled(carried.flags)) return this.ignore(details.requestId);
    const speculation = this.#mainFrames?.takeSpeculation(details.requestId);
    const navigation = isOwnRequest(details) ? this.#mainFrames?.navigation(details.tabId, details.requestId) : undefined;
    const parent = speculation?.parent ?? navigation?.spanId ?? carried?.spanId;
    this.started(details, speculation?.spanId ?? newSpanId(), parent === this.#inRules?.spanId ? undefined : parent);
  };

  /**
   * Returns whether to observe a request: to a target, or one whose start was observed.
   *
   * @param {{ url: string, requestId: string, tabId: number }} details
   */
  #isObserved({ url, requestId, tabId }) {
    const { incognito, propagation } = this.#session;
    return this.#started.has(requestId) || (incognito.observes(tabId) && propagation.isTarget(url));
  }

  /** @param {number} tabId @param {Carried} carried */
  #isOurs(tabId, carried) {
    return this.#traces !== null && this.#traces.has(carried.traceId) && !this.#traces.clients.leavesAlone(tabId, carried);
  }
}
