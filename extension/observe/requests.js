/**
 * Turns the browser's events about requests into observations. No request waits for what is here, except for {@link Requests.started} in
 * detailed mode.
 */

import { newSpanId } from '../context/ids.js';
import { EVERYTHING, bodySize, cutUrl, isOwnRequest } from './details.js';

/** @import { SessionContext } from '../channel/messages.js' */
/** @import { Carried } from '../context/propagators.js' */
/** @import { Session } from '../context/session.js' */
/** @import { Traces } from '../context/traces.js' */
/** @import { Outbox } from './outbox.js' */
/** @import { Starts } from './starts.js' */
/** @typedef {{ has: Traces['has'], clients: Pick<Traces['clients'], 'leavesAlone'> }} OwnTraces */
/** @typedef {chrome.webRequest.OnBeforeSendHeadersDetails | chrome.webRequest.OnSendHeadersDetails} Leaving */
/** @typedef {chrome.webRequest.OnBeforeRedirectDetails | chrome.webRequest.OnCompletedDetails} Answered */

/** No method that means something is longer; a page may make up one of any length. */
const LONGEST_METHOD = 64;

/** Files have no status, for which the browser says -1, and a server may send any number; the host takes neither. */
const HIGHEST_STATUS = 999;

/** @param {{ method: string, url: string, type: string }} details */
const subjectOf = ({ method, url, type }) => ({ method: method.slice(0, LONGEST_METHOD), url: cutUrl(url), resource: type });

/** @param {Answered} details */
const responseOf = ({ statusCode, fromCache, ip, statusLine, responseHeaders }) => ({
  status: Math.min(Math.max(statusCode, 0), HIGHEST_STATUS),
  fromCache,
  address: ip,
  protocol: statusLine?.split(' ')[0] || undefined,
  size: bodySize(responseHeaders),
});

/** Observes requests from their start to their end. */
export class Requests {
  #outbox;
  #starts;
  #carrier;
  /** @type {OwnTraces | null} */
  #traces = null;
  /** @type {Set<string>} requests under way that were told of */
  #told = new Set();
  /** @type {Set<string>} requests under way that nothing is told of, although their addresses are traced: a script wants it so */
  #untold = new Set();
  /** @type {SessionContext | null} what rules carry while they alone do; null while each request is told of as it starts */
  #session = null;

  /**
   * Registers at once the listeners that a worker may be woken by.
   *
   * @param {Pick<Outbox, 'observe'>} outbox
   * @param {Starts} starts
   * @param {Pick<Session, 'propagation'>} carrier knows how contexts are carried, and to whom
   */
  constructor(outbox, starts, carrier) {
    this.#outbox = outbox;
    this.#starts = starts;
    this.#carrier = carrier;
    chrome.webRequest.onBeforeRedirect.addListener((details) => {
      if (!this.#isTold(details)) return;
      const { timeStamp: time, requestId: request } = details;
      outbox.observe({ what: 'request-redirected', time, request, response: responseOf(details) });
    }, EVERYTHING);
    chrome.webRequest.onResponseStarted.addListener(this.#responded, EVERYTHING);
    chrome.webRequest.onCompleted.addListener(
      (details) => {
        const { timeStamp: time, requestId: request } = details;
        if (this.#untold.delete(request) || !this.#isTold(details)) return;
        this.#told.delete(request);
        outbox.observe({ what: 'request-completed', time, request, response: responseOf(details) });
      },
      EVERYTHING,
      ['responseHeaders'],
    );
    chrome.webRequest.onErrorOccurred.addListener((details) => {
      // It may have failed before it could leave: of others nothing is known.
      if (this.#untold.delete(details.requestId) || !this.#isTold(details)) return;
      this.#told.delete(details.requestId);
      const { timeStamp: time, requestId: request, error } = details;
      outbox.observe({ what: 'request-failed', time, request, error, spanId: newSpanId(), ...subjectOf(details) });
    }, EVERYTHING);
  }

  /** @returns {Iterable<string>} the requests under way that were told of */
  underWay() {
    return this.#told;
  }

  /**
   * Learns that a request is about to leave of which nothing is to be told.
   *
   * @param {string} requestId
   */
  passed(requestId) {
    this.#untold.add(requestId);
  }

  /**
   * Observes that a request is about to leave, a hop of it or another attempt.
   *
   * @param {Leaving} details
   * @param {string} spanId what its span is called
   * @param {string} [parent] its navigation's span id, if it has one
   * @param {string} [traceId] what it carries where that may be a trace that the host does not know
   * @param {{ caller?: string, link?: { traceId: string, spanId: string } }} [origin] what the page's own instrumentation says of it
   */
  started(details, spanId, parent, traceId, origin) {
    const { timeStamp: time, requestId: request, tabId, method, requestHeaders } = details;
    this.#untold.delete(request);
    this.#told.add(request);
    // A navigation is known by its span id: where that is not known yet, its commit will tell of it.
    const begins = parent !== undefined && isOwnRequest(details);
    this.#outbox.observe({
      what: 'request-started',
      time,
      request,
      spanId,
      parent,
      traceId,
      ...origin,
      ...subjectOf(details),
      navigation: begins ? { tabId, started: this.#starts.take(tabId, time) } : undefined,
      size: method === 'GET' || method === 'HEAD' ? undefined : bodySize(requestHeaders),
    });
  }

  /**
   * Observes by itself how requests start, from what they carry: rules do not tell. When their responses start is not observed then: rules
   * that change have the browser ask its HTTP cache for every resource of every page, and each event of those costs.
   *
   * @param {SessionContext} session what the rules carry
   * @param {OwnTraces} traces
   */
  listen(session, traces) {
    if (this.#session === null) {
      chrome.webRequest.onSendHeaders.addListener(this.#sent, EVERYTHING, ['requestHeaders']);
      chrome.webRequest.onResponseStarted.removeListener(this.#responded);
    }
    this.#session = session;
    this.#traces = traces;
  }

  /** Leaves it to others to tell how requests start. */
  stop() {
    if (this.#session === null) return;
    this.#session = null;
    chrome.webRequest.onSendHeaders.removeListener(this.#sent);
    chrome.webRequest.onResponseStarted.addListener(this.#responded, EVERYTHING);
  }

  /** @param {chrome.webRequest.OnResponseStartedDetails} details */
  #responded = (details) => {
    if (!this.#isTold(details)) return;
    const { timeStamp: time, requestId: request } = details;
    this.#outbox.observe({ what: 'response-started', time, request });
  };

  /** @param {chrome.webRequest.OnSendHeadersDetails} details */
  #sent = (details) => {
    const { propagation } = this.#carrier;
    if (!propagation.isTarget(details.url)) return;
    const carriesSpans = propagation.spanFields.size > 0;
    const carried = carriesSpans ? propagation.extractAny(details.requestHeaders) : null;
    // Where rules set headers, a request without one of ours is none that is traced: its page is steered so.
    if (carriesSpans && (carried === null || !this.#isOurs(details.tabId, carried))) return this.passed(details.requestId);
    const child = carried !== null && carried.spanId !== this.#session?.spanId;
    this.started(details, newSpanId(), child ? carried.spanId : undefined);
  };

  /**
   * Tells whether what happens to a request is to be told: to one that was told of, perhaps by a worker before this one.
   *
   * @param {{ url: string, requestId: string }} details
   */
  #isTold({ url, requestId }) {
    return this.#told.has(requestId) || this.#carrier.propagation.isTarget(url);
  }

  /** @param {number} tabId @param {Carried} carried */
  #isOurs(tabId, carried) {
    return this.#traces !== null && this.#traces.has(carried.traceId) && !this.#traces.clients.leavesAlone(tabId, carried);
  }
}
