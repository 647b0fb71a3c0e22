/**
 * Turns the browser's events about requests into observations. No request waits for what is here, except for {@link Requests.started} in
 * detailed mode.
 */

import { newSpanId } from '../context/ids.js';
import { parseTraceparent } from '../context/traceparent.js';
import { EVERYTHING, bodySize, cutUrl, header, isOwnRequest } from './details.js';

/** @import { SessionContext } from '../channel/messages.js' */
/** @import { Outbox } from './outbox.js' */
/** @import { Starts } from './starts.js' */
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
  /** @type {SessionContext | null} what rules carry while they alone do; null while each request is told of as it starts */
  #session = null;

  /**
   * Registers at once the listeners that a worker may be woken by.
   *
   * @param {Pick<Outbox, 'observe'>} outbox
   * @param {Starts} starts
   */
  constructor(outbox, starts) {
    this.#outbox = outbox;
    this.#starts = starts;
    chrome.webRequest.onBeforeRedirect.addListener((details) => {
      const { timeStamp: time, requestId: request } = details;
      outbox.observe({ what: 'request-redirected', time, request, response: responseOf(details) });
    }, EVERYTHING);
    chrome.webRequest.onResponseStarted.addListener(this.#responded, EVERYTHING);
    chrome.webRequest.onCompleted.addListener(
      (details) => {
        const { timeStamp: time, requestId: request } = details;
        outbox.observe({ what: 'request-completed', time, request, response: responseOf(details) });
      },
      EVERYTHING,
      ['responseHeaders'],
    );
    chrome.webRequest.onErrorOccurred.addListener((details) => {
      const { timeStamp: time, requestId: request, error } = details;
      outbox.observe({ what: 'request-failed', time, request, error, spanId: newSpanId(), ...subjectOf(details) });
    }, EVERYTHING);
  }

  /**
   * Observes that a request is about to leave, a hop of it or another attempt.
   *
   * @param {Leaving} details
   * @param {string} spanId what its span is called
   * @param {string} [parent] its navigation's span id, if it has one
   * @param {string} [traceId] what it carries where that may be another trace than the session's
   */
  started(details, spanId, parent, traceId) {
    const { timeStamp: time, requestId: request, tabId, method, requestHeaders } = details;
    // A navigation is known by its span id: where that is not known yet, its commit will tell of it.
    const begins = parent !== undefined && isOwnRequest(details);
    this.#outbox.observe({
      what: 'request-started',
      time,
      request,
      spanId,
      parent,
      traceId,
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
   */
  listen(session) {
    if (this.#session === null) {
      chrome.webRequest.onSendHeaders.addListener(this.#sent, EVERYTHING, ['requestHeaders']);
      chrome.webRequest.onResponseStarted.removeListener(this.#responded);
    }
    this.#session = session;
  }

  /** Leaves it to others to tell how requests start. */
  stop() {
    if (this.#session === null) return;
    this.#session = null;
    chrome.webRequest.onSendHeaders.removeListener(this.#sent);
    chrome.webRequest.onResponseStarted.addListener(this.#responded, EVERYTHING);
  }

  /** @param {chrome.webRequest.OnResponseStartedDetails} details */
  #responded = ({ timeStamp: time, requestId: request }) => {
    this.#outbox.observe({ what: 'response-started', time, request });
  };

  /** @param {chrome.webRequest.OnSendHeadersDetails} details */
  #sent = (details) => {
    const carried = parseTraceparent(header(details.requestHeaders, 'traceparent'));
    const child = carried?.traceId === this.#session?.traceId && carried?.spanId !== this.#session?.spanId;
    this.started(details, newSpanId(), child ? carried?.spanId : undefined);
  };
}
