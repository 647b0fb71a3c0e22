/**
 * Detailed mode: puts a context with a span id of its own on every request, redirect hops and preflights apart.
 *
 * Each request waits in the browser until its listener has answered. So the listeners await nothing, send nothing, and have what they need at
 * hand before they are asked.
 */

import { CONTROL_HEADER } from '../context/control.js';
import { newSpanId } from '../context/ids.js';
import { BAGGAGE, mergeBaggage } from '../context/lists.js';
import { Propagation } from '../context/propagation.js';
import { EVERYTHING, MAIN_FRAMES, isOwnRequest } from '../observe/details.js';
import { serverTiming } from './rules.js';

/** @import { SessionContext } from '../channel/messages.js' */
/** @import { Carried } from '../context/propagators.js' */
/** @import { Session } from '../context/session.js' */
/** @import { NavigationContext, Traces } from '../context/traces.js' */
/** @import { Documents } from '../observe/documents.js' */
/** @import { Requests } from '../observe/requests.js' */
/** @import { Tabs } from './tabs.js' */
/** @typedef {chrome.webRequest.OnBeforeSendHeadersDetails} RequestDetails */
/** @typedef {chrome.webRequest.OnHeadersReceivedDetails} ResponseDetails */

/** @typedef {chrome.webRequest.HttpHeader} Header */
/** @typedef {{ session: Pick<Session, 'use'>, tabs: Tabs, traces: Traces }} Known */

/**
 * Finds a header by its lower-case name.
 *
 * @param {Header[]} headers
 * @param {string} wanted
 */
const indexOf = (headers, wanted) =>
  headers.findIndex(({ name }) => name.length === wanted.length && name.toLowerCase() === wanted);

/**
 * Takes a header away, wherever it is.
 *
 * @param {Header[]} headers
 * @param {string} name in lower case
 * @returns {string | undefined} its value; the last one's if there were several
 */
function takeAway(headers, name) {
  let value;
  for (let at = indexOf(headers, name); at !== -1; at = indexOf(headers, name)) value = headers.splice(at, 1)[0]?.value ?? '';
  return value;
}

/**
 * Sets a header that is there once.
 *
 * @param {Header[]} headers
 * @param {string} name in lower case
 * @param {string} value
 */
function put(headers, name, value) {
  const at = indexOf(headers, name);
  // A value that is not UTF-8 comes as `binaryValue`, and a header with both is refused, together with the whole answer.
  headers[at === -1 ? headers.length : at] = { name, value };
}

/** The browser's blocking listeners, which change requests where it grants that. */
export class Injector {
  /** @type {SessionContext} */
  #context;
  #propagation = new Propagation();
  /** @type {Known | null} null until the session is known */
  #known = null;
  #documents;
  #requests;
  #listening = false;
  #asked = false;

  /**
   * @param {SessionContext} own goes on requests that leave before the session is known: they can't wait for it
   * @param {Documents} documents knows which navigation a document came of
   * @param {Pick<Requests, 'started' | 'ignore'>} requests learns of each request, which waits for that too
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
   * @param {Propagation} propagation
   */
  resume(context, propagation) {
    this.#context = context;
    this.#propagation = propagation;
  }

  /**
   * Puts the contexts of this session on requests from now on.
   *
   * @param {Pick<Session, 'context' | 'propagation' | 'use'>} session
   * @param {Tabs} tabs knows which navigation a request belongs to
   * @param {Traces} traces knows which trace
   */
  start(session, tabs, traces) {
    const { context, propagation } = session;
    this.resume(context, propagation);
    this.#known = { session, tabs, traces };
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
    const { url, requestHeaders = [] } = details;
    const propagation = this.#propagation;
    const { length } = requestHeaders;
    const control = takeAway(requestHeaders, CONTROL_HEADER);
    const there = propagation.extract(requestHeaders);
    const own = isOwnRequest(details);
    if (own) this.#arrive(details, there, control);
    const isTarget = propagation.isTarget(url);
    const parent = isTarget ? this.#parent(details, own) : this.#page(details);
    if (!isTarget || parent.steering?.off === true) {
      if (isTarget) this.#requests.ignore(details.requestId);
      else this.#takeFromClient(requestHeaders, own, there, parent);
      return requestHeaders.length === length ? {} : { requestHeaders };
    }

    const spanId = newSpanId();
    const traceId = parent.trace?.traceId ?? this.#context.traceId;
    const parentId = parent === this.#context ? undefined : parent.spanId;
    const stray = this.#known === null ? traceId : undefined;
    // What its client puts on every request is no span of the page's.
    const pages = own || there === null || this.#known?.traces.isClients(there.spanId) === true ? null : there;
    if (pages !== null && pages.traceId !== traceId && propagation.settings.existing === 'keep') {
      this.#requests.started(details, spanId, parentId, stray, { link: linkTo(pages) });
      return requestHeaders.length === length ? {} : { requestHeaders };
    }
    if (there !== null) for (const name of propagation.spanFields) takeAway(requestHeaders, name);
    const carried = this.#known?.traces.carried(parent, spanId) ?? { traceId, spanId, flags: parent.flags };
    for (const [name, value] of propagation.inject(carried, parent.steering?.propagators ?? undefined)) {
      if (value === null) takeAway(requestHeaders, name);
      else put(requestHeaders, name, name === BAGGAGE ? mergeBaggage(propagation.baggageOf(requestHeaders), value) : value);
    }
    const origin = pages === null ? undefined : pages.traceId === traceId ? { caller: pages.spanId } : { link: linkTo(pages) };
    this.#requests.started(details, spanId, parentId, stray, origin);
    return { requestHeaders };
  };

  /**
   * Learns what a client has put on the first request of a navigation.
   *
   * @param {RequestDetails} details
   * @param {Carried | null} there
   * @param {string | undefined} control
   */
  #arrive({ tabId, requestId, requestHeaders }, there, control) {
    if (this.#known === null || this.#known.tabs.navigation(tabId, requestId) !== undefined) return;
    this.#known.traces.arrive(tabId, there, this.#propagation.baggageOf(requestHeaders), control);
  }

  /**
   * Takes the headers away that a client puts on every request, where they are not for everybody.
   *
   * @param {Header[]} requestHeaders
   * @param {boolean} own whether it is a navigation's own request, on which only a client can have put them
   * @param {Carried | null} there
   * @param {NavigationContext} page
   */
  #takeFromClient(requestHeaders, own, there, page) {
    const clients = there !== null && (own || this.#known?.traces.isClients(there.spanId) === true);
    if (clients) for (const name of this.#propagation.spanFields) takeAway(requestHeaders, name);
    const baggage = this.#propagation.baggageOf(requestHeaders);
    if (baggage !== '' && (own || baggage === page.baggage)) takeAway(requestHeaders, BAGGAGE);
  }

  /**
   * Finds the context whose child a request is: its navigation's, or the session's for requests without one.
   *
   * @param {RequestDetails} details
   * @param {boolean} own whether it is a navigation's own request
   * @returns {NavigationContext}
   */
  #parent(details, own) {
    if (this.#known === null || !own) return this.#page(details);
    this.#known.session.use();
    return this.#known.tabs.begin(details.tabId, details.requestId);
  }

  /**
   * Finds the context of the page that makes a request.
   *
   * The document tells it best: the one before may still make requests when the tab has the next one's response, or as it goes.
   *
   * @param {RequestDetails} details
   * @returns {NavigationContext}
   */
  #page({ tabId, documentId, parentDocumentId }) {
    if (this.#known === null) return this.#context;
    const document = this.#documents.find(documentId) ?? this.#documents.find(parentDocumentId);
    return document ?? (tabId === -1 ? undefined : this.#known.tabs.current(tabId)) ?? this.#context;
  }

  /**
   * Has the response of a navigation name its context, for scripts and for the page's own instrumentation.
   *
   * @param {ResponseDetails} details
   */
  #expose = (details) => {
    const { tabId, requestId, url, responseHeaders = [] } = details;
    const context = this.#known?.tabs.navigation(tabId, requestId);
    if (context === undefined || context.steering?.off === true || !this.#propagation.isTarget(url)) return {};
    responseHeaders.push(serverTiming(this.#context.traceId, context));
    return { responseHeaders };
  };
}

/** @param {Carried} context */
const linkTo = ({ traceId, spanId }) => ({ traceId, spanId });
