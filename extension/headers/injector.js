/**
 * Detailed mode: puts a context with a span id of its own on every request, redirect hops and preflights apart.
 *
 * Each request waits in the browser until its listener has answered. So the listeners await nothing, send nothing, and have what they need at
 * hand before they are asked.
 */

import { newSpanId } from '../context/ids.js';
import { formatTraceparent } from '../context/traceparent.js';
import { EVERYTHING, MAIN_FRAMES, isOwnRequest } from '../observe/details.js';
import { serverTiming } from './rules.js';

/** @import { NavigationContext, SessionContext } from '../channel/messages.js' */
/** @import { Session } from '../context/session.js' */
/** @import { Documents } from '../observe/documents.js' */
/** @import { Requests } from '../observe/requests.js' */
/** @import { Tabs } from './tabs.js' */
/** @typedef {chrome.webRequest.OnBeforeSendHeadersDetails} RequestDetails */
/** @typedef {chrome.webRequest.OnHeadersReceivedDetails} ResponseDetails */

const HEADER = 'traceparent';

/** @param {chrome.webRequest.HttpHeader} header */
const isTraceparent = ({ name }) => name.length === HEADER.length && name.toLowerCase() === HEADER;

/** The browser's blocking listeners, which change requests where it grants that. */
export class Injector {
  /** @type {SessionContext} */
  #context;
  /** @type {Pick<Session, 'use'> | null} null until it is known */
  #session = null;
  /** @type {Tabs | null} null until the session is known */
  #tabs = null;
  #documents;
  #requests;
  #listening = false;
  #asked = false;

  /**
   * @param {SessionContext} own goes on requests that leave before the session is known: they can't wait for it
   * @param {Documents} documents knows which navigation a document came of
   * @param {Pick<Requests, 'started'>} requests learns of each request, which waits for that too
   */
  constructor(own, documents, requests) {
    this.#context = own;
    this.#documents = documents;
    this.#requests = requests;
  }

  /** @returns {boolean} whether the browser has asked a listener about a request */
  get asked() {
    return this.#asked;
  }

  /** Registers the listeners. A worker that is woken by a request must do so at once. */
  listen() {
    if (this.#listening) return;
    this.#listening = true;
    // Without `extraHeaders` Chromium counts the added header for CORS, and requests to other origins get preflights and fail.
    chrome.webRequest.onBeforeSendHeaders.addListener(this.#inject, EVERYTHING, ['blocking', 'requestHeaders', 'extraHeaders']);
    chrome.webRequest.onHeadersReceived.addListener(this.#expose, MAIN_FRAMES, ['blocking', 'responseHeaders']);
  }

  /**
   * Puts this context on requests from now on, while more is not known.
   *
   * @param {SessionContext} context
   */
  resume(context) {
    this.#context = context;
  }

  /**
   * Puts the contexts of this session on requests from now on.
   *
   * @param {Pick<Session, 'context' | 'use'>} session
   * @param {Tabs} tabs knows which navigation a request belongs to
   */
  start(session, tabs) {
    this.#context = session.context;
    this.#session = session;
    this.#tabs = tabs;
    this.listen();
  }

  /** Leaves requests alone from now on. */
  stop() {
    if (!this.#listening) return;
    this.#listening = false;
    chrome.webRequest.onBeforeSendHeaders.removeListener(this.#inject);
    chrome.webRequest.onHeadersReceived.removeListener(this.#expose);
  }

  /** @param {RequestDetails} details */
  #inject = (details) => {
    this.#asked = true;
    const { requestHeaders = [] } = details;
    const spanId = newSpanId();
    const { traceId } = this.#context;
    const parent = this.#parent(details);
    const value = formatTraceparent({ traceId, spanId, flags: parent.flags });
    const there = requestHeaders.findIndex(isTraceparent);
    // A value that is not UTF-8 comes as `binaryValue`, and a header with both is refused, together with the whole answer.
    requestHeaders[there === -1 ? requestHeaders.length : there] = { name: HEADER, value };
    const parentId = parent === this.#context ? undefined : parent.spanId;
    this.#requests.started(details, spanId, parentId, this.#tabs === null ? traceId : undefined);
    return { requestHeaders };
  };

  /**
   * Finds the context whose child a request is: its navigation's, or the session's for requests without one.
   *
   * The document tells it best: the one before may still make requests when the tab has the next one's response, or as it goes.
   *
   * @param {RequestDetails} details
   * @returns {NavigationContext}
   */
  #parent(details) {
    const { tabId, requestId, documentId, parentDocumentId } = details;
    if (this.#tabs === null) return this.#context;
    if (isOwnRequest(details)) {
      this.#session?.use();
      return this.#tabs.begin(tabId, requestId);
    }
    const document = this.#documents.find(documentId) ?? this.#documents.find(parentDocumentId);
    return document ?? (tabId === -1 ? undefined : this.#tabs.current(tabId)) ?? this.#context;
  }

  /**
   * Has the response of a navigation name its context, for scripts and for the page's own instrumentation.
   *
   * @param {ResponseDetails} details
   */
  #expose = (details) => {
    const { tabId, requestId, responseHeaders = [] } = details;
    const context = this.#tabs?.navigation(tabId, requestId);
    if (context === undefined) return {};
    responseHeaders.push(serverTiming(this.#context.traceId, context));
    return { responseHeaders };
  };
}
