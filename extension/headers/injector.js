/**
 * Detailed mode: puts a context with its own span id on every request, redirect hops and preflights included.
 *
 * Each request waits in the browser for its listener. So the listeners await nothing and send nothing, and have in memory all that they need.
 */

import { withoutSentry } from '../context/foreign.js';
import { newSpanId } from '../context/ids.js';
import { WORKERS } from '../context/incognito.js';
import { BAGGAGE, mergeBaggage, mergeTracestate } from '../context/lists.js';
import { EVERYTHING, Propagation } from '../context/propagation.js';
import { isSampled } from '../context/propagators.js';
import { steeringHeader } from '../context/steering.js';
import { spanLink } from '../context/traceparent.js';
import { MAIN_FRAMES, isOwnRequest } from '../observe/details.js';
import { pageOf } from './page-of.js';
import { serverTiming, withoutTraceparent } from './server-timing.js';

/** @import { Existing } from '../context/propagation.js' */
/** @import { Carried } from '../context/propagators.js' */
/** @import { Session } from '../context/session.js' */
/** @import { TracedContext, Traces } from '../context/traces.js' */
/** @import { Documents } from '../observe/documents.js' */
/** @import { Requests } from '../observe/requests.js' */
/** @import { SessionContext } from '../protocol.d.ts' */
/** @import { Tabs } from './tabs.js' */
/** @typedef {chrome.webRequest.OnBeforeSendHeadersDetails} RequestDetails */
/** @typedef {chrome.webRequest.OnHeadersReceivedDetails} ResponseDetails */
/** @typedef {chrome.webRequest.HttpHeader} Header */
/** @typedef {{ session: Pick<Session, 'context' | 'propagation' | 'incognito' | 'use'>, tabs: Tabs, traces: Traces }} Tracing */

/** @typedef {{ listener: (details: RequestDetails) => { requestHeaders?: Header[] }, filter: string, isLeaving?: boolean }} Registration */

/** Time for which a replaced listener stays registered, in milliseconds. */
const HANDOVER = 100;

/** Finds a header by its lower-case name. @param {Header[]} headers @param {string} wanted */
const indexOf = (headers, wanted) =>
  headers.findIndex(({ name }) => name.length === wanted.length && name.toLowerCase() === wanted);

/**
 * Removes a header.
 *
 * @param {Header[]} headers
 * @param {string} name in lower case
 */
function removeHeader(headers, name) {
  for (let at = indexOf(headers, name); at !== -1; at = indexOf(headers, name)) headers.splice(at, 1);
}

/** Sets a header that is there at most once. @param {Header[]} headers @param {string} name in lower case @param {string} value */
function setHeader(headers, name, value) {
  const at = indexOf(headers, name);
  // A value that is not UTF-8 comes as `binaryValue`. The browser refuses the whole answer if a header has both.
  headers[at === -1 ? headers.length : at] = { name, value };
}

/**
 * Returns the caller or the link that the contexts of a page's own instrumentation give our span; undefined if none names a span.
 *
 * @param {Carried[]} contexts @param {string} traceId
 */
function originOf(contexts, traceId) {
  const named = contexts.filter(({ spanId }) => spanId !== '');
  const caller = named.find((context) => context.traceId === traceId);
  const link = named.find((context) => context.traceId !== traceId);
  return named.length === 0 ? undefined : { ...(caller && { caller: caller.spanId }), ...(link && { link: spanLink(link) }) };
}

/** The blocking listeners. The browser asks them only where it grants that. */
export class Injector {
  /** @type {SessionContext} */
  #context;
  #propagation = new Propagation();
  /** Whether requests of workers carry nothing until the tabs are known. */
  #excludesWorkers = false;
  /** @type {Tracing | null} null until the session is known */
  #tracing = null;
  #documents;
  #requests;
  /** @type {Registration | null} the listener and its filter as JSON; null while there is none */
  #registration = null;
  /** @type {Registration[]} listeners that others have replaced */
  #replaced = [];
  /** The request that was handled last, by id and time. While a listener is replaced, both are asked about the same requests. */
  #handled = '';
  /** Whether the browser has asked a listener about a request. */
  asked = false;

  /**
   * @param {SessionContext} fallback context of requests that leave before the session is known, since they cannot wait for it
   * @param {Documents} documents
   * @param {Pick<Requests, 'started' | 'ignore'>} requests observes each request; the request waits for that call
   */
  constructor(fallback, documents, requests) {
    this.#context = fallback;
    this.#documents = documents;
    this.#requests = requests;
  }

  /**
   * Registers the listeners. A worker that a request has started must do so at once. A listener with another filter stays until {@link removeReplaced}.
   *
   * @param {chrome.webRequest.RequestFilter} [filter] the requests to ask about; all by default
   */
  listen(filter = EVERYTHING) {
    const json = JSON.stringify(filter);
    if (json === this.#registration?.filter) return;
    if (this.#registration === null) {
      chrome.webRequest.onHeadersReceived.addListener(this.#expose, MAIN_FRAMES, ['blocking', 'responseHeaders']);
    } else {
      this.#replaced.push(this.#registration);
    }
    /** @param {RequestDetails} details */
    const listener = (details) => this.#inject(details);
    this.#registration = { listener, filter: json };
    // Without `extraHeaders` the added header counts for CORS: requests to other origins would get preflights and fail.
    chrome.webRequest.onBeforeSendHeaders.addListener(listener, filter, ['blocking', 'requestHeaders', 'extraHeaders']);
  }

  /** Removes replaced listeners after a while, when the requests that wait for them have their answers. */
  removeReplaced() {
    const leaving = this.#replaced.filter((replaced) => !replaced.isLeaving);
    for (const registration of leaving) {
      registration.isLeaving = true;
      setTimeout(() => {
        this.#replaced = this.#replaced.filter((replaced) => replaced !== registration);
        chrome.webRequest.onBeforeSendHeaders.removeListener(registration.listener);
      }, HANDOVER);
    }
  }

  /**
   * Uses a context for requests until the tabs are known.
   *
   * @param {SessionContext} context @param {Propagation} propagation
   * @param {boolean} [excludesWorkers] see {@link IncognitoTabs.excludesWorkers}
   */
  resume(context, propagation, excludesWorkers = false) {
    this.#context = context;
    this.#propagation = propagation;
    this.#excludesWorkers = excludesWorkers;
  }

  /** Puts a session's contexts on requests. @param {Tracing} tracing */
  start(tracing) {
    this.resume(tracing.session.context, tracing.session.propagation);
    this.#tracing = tracing;
    this.listen(tracing.session.propagation.filter);
  }

  /** Removes the listeners. */
  stop() {
    if (this.#registration === null) return;
    for (const { listener } of [this.#registration, ...this.#replaced]) chrome.webRequest.onBeforeSendHeaders.removeListener(listener);
    this.#registration = null;
    this.#replaced = [];
    chrome.webRequest.onHeadersReceived.removeListener(this.#expose);
  }

  /** @param {RequestDetails} details @returns {{ requestHeaders?: Header[] }} */
  #inject(details) {
    this.asked = true;
    if (this.#replaced.length > 0) {
      const request = `${details.requestId} ${details.timeStamp}`;
      if (request === this.#handled) return {};
      this.#handled = request;
    }
    const { url, requestHeaders = [] } = details;
    const propagation = this.#propagation;
    const { length } = requestHeaders;
    const existing = propagation.read(requestHeaders);
    const first = existing?.contexts[0] ?? null;
    const own = isOwnRequest(details);
    if (own) this.#arrive(details, first);
    const isTarget = propagation.isTarget(url);
    // Chromium drops what a listener changes if it contradicts a rule.
    const isRuled = this.#tracing?.tabs.browserContexts.hasRules(details) === true;
    const parent = isTarget ? this.#parent(details, own, isRuled) : this.#page(details);
    // The browser asks about a WebTransport's handshake, but sends it as it was.
    if (!isTarget || parent.steering?.off === true || this.#isExcludedWorker(details, parent) || /** @type {string} */ (details.type) === 'webtransport') {
      if (isTarget) this.#requests.ignore(details.requestId);
      else this.#removeClients(requestHeaders, own, first, parent);
      return requestHeaders.length === length ? {} : { requestHeaders };
    }

    const spanId = newSpanId();
    if (isRuled) this.#tracing?.tabs.browserContexts.requested(details.tabId);
    const traceId = parent.trace?.traceId ?? this.#context.traceId;
    const parentId = parent === this.#context ? undefined : parent.spanId;
    const unknownTrace = this.#tracing === null ? traceId : undefined;
    // A context that the client puts on every request is not the page's own. Some formats may name no span.
    const clients = this.#tracing?.traces.clients;
    const isClients = (/** @type {Carried} */ { spanId: id }) =>
      (id === '' ? clients?.get(details.tabId)?.carries : clients?.hasSpan(id)) === true;
    const ofPage = own || existing === null ? [] : existing.contexts.filter((context) => !isClients(context));
    const origin = originOf(ofPage, traceId);
    const pageContext = ofPage[0] === first ? first : null;
    if (pageContext !== null && pageContext.traceId !== traceId && propagation.settings.existing === 'keep') {
      this.#observe(parent, details, spanId, parentId, unknownTrace, origin);
      return {};
    }
    if (existing !== null) this.#removeContexts(requestHeaders, existing, traceId);
    const traces = this.#tracing?.traces;
    const sharesSpan = isRuled || parent.steering?.mode === 'lightweight';
    const ours = traces?.carried(parent, sharesSpan ? parent.spanId : spanId, traces.baggageFor(url));
    const carried = ours ?? { traceId, spanId, flags: parent.flags, tracestate: '' };
    if (pageContext?.traceId === traceId && !isRuled) carried.tracestate = mergeTracestate(pageContext.tracestate, carried.tracestate);
    for (const [name, value] of propagation.inject(carried, parent.steering?.propagators ?? undefined)) {
      if (value === null) removeHeader(requestHeaders, name);
      else setHeader(requestHeaders, name, name === BAGGAGE ? mergeBaggage(propagation.baggageOf(requestHeaders), value) : value);
    }
    this.#observe(parent, details, spanId, parentId, unknownTrace, origin);
    return { requestHeaders };
  }

  /** Returns whether a worker makes the request, so that its window is unknown, where that matters. @param {RequestDetails} details @param {TracedContext} parent */
  #isExcludedWorker({ tabId }, parent) {
    if (tabId !== WORKERS || parent !== this.#context) return false;
    return this.#tracing?.session.incognito.excludesWorkers ?? this.#excludesWorkers;
  }

  /**
   * Observes a request, if it is sampled.
   *
   * @param {TracedContext} parent
   * @param {Parameters<Requests['started']>} request
   */
  #observe({ flags }, ...request) {
    if (isSampled(flags)) this.#requests.started(...request);
    else this.#requests.ignore(request[0].requestId);
  }

  /**
   * Removes the contexts that contradict ours. Of the configured formats none stays, since we write them.
   *
   * @param {Header[]} requestHeaders @param {Existing} existing
   * @param {string} traceId of our context
   */
  #removeContexts(requestHeaders, { others }, traceId) {
    const { spanFields, settings } = this.#propagation;
    for (const name of spanFields) removeHeader(requestHeaders, name);
    if (settings.existing === 'keep') return;
    for (const { fields, context } of others) if (context?.traceId !== traceId) for (const name of fields) removeHeader(requestHeaders, name);
    const at = indexOf(requestHeaders, BAGGAGE);
    const { value = '' } = requestHeaders[at] ?? {};
    const baggage = withoutSentry(value, traceId);
    if (baggage === value) return;
    if (baggage === '') removeHeader(requestHeaders, BAGGAGE);
    else setHeader(requestHeaders, BAGGAGE, baggage);
  }

  /**
   * Takes over what a client has put on the first request of a navigation.
   *
   * @param {RequestDetails} details
   * @param {Carried | null} existing the context that the request has already
   */
  #arrive(details, existing) {
    const { tabId, requestId, requestHeaders } = details;
    if (this.#tracing === null || this.#tracing.tabs.navigation(tabId, requestId) !== undefined) return;
    this.#tracing.traces.navigated(details);
    this.#tracing.traces.arrive(tabId, existing, this.#propagation.baggageOf(requestHeaders), steeringHeader(requestHeaders));
  }

  /**
   * Removes the headers that a client puts on every request, where the request is not traced.
   *
   * @param {Header[]} requestHeaders
   * @param {boolean} own whether it is a navigation's own request, on which only a client can set headers
   * @param {Carried | null} existing the context that the request has already
   * @param {TracedContext} page
   */
  #removeClients(requestHeaders, own, existing, page) {
    const clients = existing !== null && (own || this.#tracing?.traces.clients.hasSpan(existing.spanId) === true);
    if (clients) for (const name of this.#propagation.spanFields) removeHeader(requestHeaders, name);
    const baggage = this.#propagation.baggageOf(requestHeaders);
    if (baggage !== '' && (own || baggage === page.baggage)) removeHeader(requestHeaders, BAGGAGE);
  }

  /**
   * Finds the parent of a request: its navigation, or the session for requests without one.
   *
   * @param {RequestDetails} details
   * @param {boolean} own whether it is a navigation's own request
   * @param {boolean} isRuled whether a rule may put headers on it
   */
  #parent(details, own, isRuled) {
    if (this.#tracing === null || !own) return this.#page(details);
    this.#tracing.session.use();
    return this.#tracing.tabs.begin(details.tabId, details.requestId, isRuled);
  }

  /** Finds the context of the page that makes a request, or else its tab's root. @param {RequestDetails} details @returns {TracedContext} */
  #page(details) {
    if (this.#tracing === null) return this.#context;
    const { tabs, traces } = this.#tracing;
    return pageOf(tabs, this.#documents, details) ?? traces.rootOf(details.tabId);
  }

  /** Names a navigation's context in its response, for scripts and for the page's own instrumentation. @param {ResponseDetails} details */
  #expose = (details) => {
    const { tabId, requestId, url, responseHeaders = [] } = details;
    const context = this.#tracing?.tabs.navigation(tabId, requestId);
    if (context === undefined || context.steering?.off === true || !this.#propagation.isTarget(url)) return {};
    if (this.#tracing?.tabs.browserContexts.hasRules(details)) return {};
    return { responseHeaders: [...withoutTraceparent(responseHeaders), serverTiming(this.#context.traceId, context)] };
  };
}
