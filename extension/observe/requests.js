/**
 * Turns the browser's events about requests into observations. No request waits for this code, except for {@link Requests.started} in
 * detailed mode.
 */

import { newSpanId } from '../context/ids.js';
import { EVERYTHING, bodySize, cutUrl, isOwnRequest } from './details.js';

/** @import { Carried } from '../context/propagators.js' */
/** @import { Session } from '../context/session.js' */
/** @import { Traces } from '../context/traces.js' */
/** @import { SessionContext } from '../protocol.d.ts' */
/** @import { NavigationStarts } from './navigations.js' */
/** @import { Outbox } from './outbox.js' */
/** @typedef {{ has: Traces['has'], clients: Pick<Traces['clients'], 'leavesAlone'> }} OwnTraces */
/** @typedef {chrome.webRequest.OnBeforeSendHeadersDetails | chrome.webRequest.OnSendHeadersDetails} RequestDetails */
/** @typedef {chrome.webRequest.OnBeforeRedirectDetails | chrome.webRequest.OnCompletedDetails} ResponseDetails */

/** Longer than any standard method; a page may make up a method of any length. */
const MAX_METHOD_LENGTH = 64;

/** The host takes a status from 0 to 999. A file has the status -1, and a server may send any number. */
const MAX_STATUS = 999;

/** @param {{ method: string, url: string, type: string }} details */
const targetOf = ({ method, url, type }) => ({ method: method.slice(0, MAX_METHOD_LENGTH), url: cutUrl(url), resource: type });

/** @param {ResponseDetails} details */
const responseOf = ({ statusCode, fromCache, ip, statusLine, responseHeaders }) => ({
  status: Math.min(Math.max(statusCode, 0), MAX_STATUS),
  fromCache,
  address: ip,
  protocol: statusLine?.split(' ')[0] || undefined,
  size: bodySize(responseHeaders),
});

/** Observes requests from their start to their end. */
export class Requests {
  #outbox;
  #starts;
  #session;
  /** @type {OwnTraces | null} */
  #traces = null;
  /** @type {Set<string>} ids of requests under way whose start was observed */
  #started = new Set();
  /** @type {Set<string>} ids of requests under way that are not observed although their addresses are targets */
  #ignored = new Set();
  /** @type {SessionContext | null} the context in the rules; null in detailed mode */
  #inRules = null;

  /**
   * Registers at once the listeners that may wake the worker.
   *
   * @param {Pick<Outbox, 'observe'>} outbox
   * @param {NavigationStarts} starts
   * @param {Pick<Session, 'propagation'>} session
   */
  constructor(outbox, starts, session) {
    this.#outbox = outbox;
    this.#starts = starts;
    this.#session = session;
    chrome.webRequest.onBeforeRedirect.addListener((details) => {
      if (!this.#isObserved(details)) return;
      const { timeStamp: time, requestId: request } = details;
      outbox.observe({ what: 'request-redirected', time, request, response: responseOf(details) });
    }, EVERYTHING);
    chrome.webRequest.onResponseStarted.addListener(this.#responseStarted, EVERYTHING);
    chrome.webRequest.onCompleted.addListener(
      (details) => {
        const { timeStamp: time, requestId: request } = details;
        if (this.#ignored.delete(request) || !this.#isObserved(details)) return;
        this.#started.delete(request);
        outbox.observe({ what: 'request-completed', time, request, response: responseOf(details) });
      },
      EVERYTHING,
      ['responseHeaders'],
    );
    chrome.webRequest.onErrorOccurred.addListener((details) => {
      const { timeStamp: time, requestId: request, error } = details;
      if (this.#ignored.delete(request) || !this.#isObserved(details)) return;
      this.#started.delete(request);
      // A request may fail before it leaves; this observation is then the only one of it, and brings its span id.
      outbox.observe({ what: 'request-failed', time, request, error, spanId: newSpanId(), ...targetOf(details) });
    }, EVERYTHING);
  }

  /** @returns {Iterable<string>} ids of the observed requests under way */
  underWay() {
    return this.#started;
  }

  /** Ignores a request that is about to leave. @param {string} requestId */
  ignore(requestId) {
    this.#ignored.add(requestId);
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
    const { timeStamp: time, requestId: request, tabId, method, requestHeaders } = details;
    this.#ignored.delete(request);
    this.#started.add(request);
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
      navigation: startsNavigation ? { tabId, started: this.#starts.take(tabId, time) } : undefined,
      size: method === 'GET' || method === 'HEAD' ? undefined : bodySize(requestHeaders),
    });
  }

  /**
   * Observes the starts of requests by the headers that the rules gave them, for lightweight mode. The starts of responses are not observed
   * then: changing rules make the browser ask its HTTP cache for every resource of every page, and an event for each of them is expensive.
   *
   * @param {SessionContext} context the session's context in the rules
   * @param {OwnTraces} traces
   */
  listen(context, traces) {
    if (this.#inRules === null) {
      chrome.webRequest.onSendHeaders.addListener(this.#sent, EVERYTHING, ['requestHeaders']);
      chrome.webRequest.onResponseStarted.removeListener(this.#responseStarted);
    }
    this.#inRules = context;
    this.#traces = traces;
  }

  /** Leaves it to the caller of {@link started} to observe the starts of requests, for detailed mode. */
  stop() {
    if (this.#inRules === null) return;
    this.#inRules = null;
    chrome.webRequest.onSendHeaders.removeListener(this.#sent);
    chrome.webRequest.onResponseStarted.addListener(this.#responseStarted, EVERYTHING);
  }

  /** @param {chrome.webRequest.OnResponseStartedDetails} details */
  #responseStarted = (details) => {
    if (!this.#isObserved(details)) return;
    const { timeStamp: time, requestId: request } = details;
    this.#outbox.observe({ what: 'response-started', time, request });
  };

  /** @param {chrome.webRequest.OnSendHeadersDetails} details */
  #sent = (details) => {
    const { propagation } = this.#session;
    if (!propagation.isTarget(details.url)) return;
    const carriesSpans = propagation.spanFields.size > 0;
    const carried = carriesSpans ? propagation.extractAny(details.requestHeaders) : null;
    // Rules set headers on all requests to targets, so a request without one of ours comes from a document that a script turned tracing off for.
    if (carriesSpans && (carried === null || !this.#isOurs(details.tabId, carried))) return this.ignore(details.requestId);
    const isChild = carried !== null && carried.spanId !== this.#inRules?.spanId;
    this.started(details, newSpanId(), isChild ? carried.spanId : undefined);
  };

  /**
   * Returns whether to observe a request: to a target, or one whose start was observed.
   *
   * @param {{ url: string, requestId: string }} details
   */
  #isObserved({ url, requestId }) {
    return this.#started.has(requestId) || this.#session.propagation.isTarget(url);
  }

  /** @param {number} tabId @param {Carried} carried */
  #isOurs(tabId, carried) {
    return this.#traces !== null && this.#traces.has(carried.traceId) && !this.#traces.clients.leavesAlone(tabId, carried);
  }
}
