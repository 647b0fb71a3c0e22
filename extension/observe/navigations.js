/**
 * Turns the browser's events about tabs and main-frame navigations into calls of the tracker, which puts headers on requests, and into
 * observations.
 */

import { steeringHeader } from '../context/steering.js';
import { MAIN_FRAMES, cutUrl, header, isNavigation } from './details.js';

/** @import { Carried } from '../context/propagators.js' */
/** @import { TracedContext } from '../context/traces.js' */
/** @import { NavigationEnd } from '../protocol.d.ts' */
/** @import { Documents } from './documents.js' */
/** @import { Outbox } from './outbox.js' */

/** @typedef {chrome.webRequest.HttpHeader[] | undefined} Headers */
/** @typedef {Pick<chrome.webRequest.OnBeforeSendHeadersDetails, 'tabId' | 'requestId' | 'url' | 'initiator' | 'requestHeaders'>} NavigationRequest */

/**
 * Follows navigations. Its methods return the navigations that now have a document (`committed`) or will never have one (all others).
 *
 * @typedef {object} Tracker
 * @property {(tabIds: number[], windowIds: number[]) => void} opened
 * @property {(tab: chrome.tabs.Tab) => void} tabOpened
 * @property {(tabId: number) => TracedContext[]} closed
 * @property {(tabId: number) => boolean} observes whether the host is told of what happens in a tab
 * @property {(url: string) => boolean} isTarget
 * @property {(headers: Headers) => Carried | null} carriedBy
 * @property {(details: NavigationRequest, steering: chrome.webRequest.HttpHeader | undefined) => void} arrived
 * @property {(tabId: number, requestId: string, sent: Carried | null) => void} requested
 * @property {(tabId: number, requestId: string, sent: Carried | null) => void} speculated a prefetch or a prerender
 * @property {(tabId: number, requestId: string, url: string | null, begun: number | null) => TracedContext[]} responded
 * @property {(tabId: number, requestId: string) => TracedContext[]} failed
 * @property {(tabId: number, url: string) => TracedContext[]} committed
 * @property {(tabId: number, url: string) => TracedContext[]} found handles a document whose commit was not seen, and returns its navigation
 * @property {(tabId: number, url: string, context: TracedContext) => TracedContext} continued returns the document's context from now on
 * @property {(tabId: number, url: string, errorPage: boolean) => TracedContext[]} abandoned
 */

/**
 * The document id of a failed navigation that left the tab's document in place. A failed navigation with another id is either an error page,
 * or was replaced while its document was loading; only the error tells them apart, since a reload has the same address as its replacement.
 */
const NO_DOCUMENT = /^0*$/;
const REPLACED = 'net::ERR_ABORTED';

/** Content types that are always downloaded. The list may be incomplete: a later event corrects the state. */
const FILE = /^application\/(octet-stream|zip|gzip|x-.+|vnd\..+)$/;

/** Exceptions that some version of Chromium displays: as text, such as scripts and feeds, or in a viewer or player. */
const SHOWN = /(xml|json|javascript|ecmascript|pdf|mpegurl|mimearchive)$/;

/**
 * When the latest navigation of each tab began, which is before its request leaves. Each time is used once, by the first event that is known
 * to belong to the navigation. Pure.
 */
export class NavigationStarts {
  /** @type {Map<number, number>} by tab id */
  #times = new Map();

  /** @param {number} tabId @param {number} time in milliseconds since the epoch */
  begun(tabId, time) {
    this.#times.set(tabId, time);
  }

  /**
   * Returns and forgets when a tab's navigation began.
   *
   * @param {number} tabId
   * @param {number} latest upper bound, and the result if the time is unknown
   * @returns {number}
   */
  take(tabId, latest) {
    const time = this.#times.get(tabId) ?? latest;
    this.#times.delete(tabId);
    return Math.min(time, latest);
  }

  /** Returns when a tab's navigation began, if nothing has used that yet. @param {number} tabId */
  of(tabId) {
    return this.#times.get(tabId) ?? null;
  }

  /** @param {number} tabId */
  closed(tabId) {
    this.#times.delete(tabId);
  }
}

/** @typedef {{ url: string, statusCode: number, responseHeaders?: Headers }} ResponseHead */

/** Returns whether a request continues after a response: it is redirected, or the browser asks for credentials. @param {ResponseHead} head */
const mayContinue = ({ statusCode, responseHeaders }) =>
  statusCode === 401 || statusCode === 407 || (statusCode > 300 && statusCode < 400 && header(responseHeaders, 'location') !== undefined);

/** @param {string} contentType */
function isFile(contentType) {
  const type = (contentType.split(';')[0] ?? '').trim().toLowerCase();
  return FILE.test(type) && !SHOWN.test(type);
}

/** Returns the address of the document that a response will become, or null if it will not become one. @param {ResponseHead} head */
function documentUrl({ url, statusCode, responseHeaders }) {
  const empty = statusCode === 204 || statusCode === 205;
  const attached = /^\s*attachment\b/i.test(header(responseHeaders, 'content-disposition') ?? '');
  return empty || attached || isFile(header(responseHeaders, 'content-type') ?? '') ? null : url;
}

/** Returns whether an event is about a main frame that is shown. @param {{ parentFrameId: number, documentLifecycle: string }} details */
const isMainFrame = ({ parentFrameId, documentLifecycle }) => parentFrameId === -1 && documentLifecycle === 'active';

/**
 * Registers all listeners at once, so that the browser wakes the worker for them. Events before the tracker is ready are handled in order
 * once it is. Returns switches for the listeners that detailed mode does not need.
 *
 * @param {Promise<Tracker>} ready
 * @param {{ outbox: Pick<Outbox, 'observe'>, documents: Documents, starts: NavigationStarts }} observers
 */
export function watchNavigations(ready, { outbox, documents, starts }) {
  /** @type {Tracker | null} */
  let current = null;
  void ready.then((tracker) => {
    current = tracker;
  });
  /** @param {(tracker: Tracker) => void} call */
  const whenReady = (call) => (current === null ? void ready.then(call) : call(current));
  /**
   * Calls the tracker and observes the navigations that ended without a document.
   *
   * @param {number} tabId @param {number} time
   * @param {(tracker: Tracker) => TracedContext[]} call
   * @param {NavigationEnd} [end] how they ended, if nothing went wrong
   */
  const fail = (tabId, time, call, end) =>
    whenReady((tracker) => {
      for (const { spanId } of call(tracker)) if (tracker.observes(tabId)) outbox.observe({ what: 'navigation-failed', time, spanId, end }, tabId);
    });
  /** @param {number} tabId */
  const close = (tabId) => {
    const time = Date.now();
    starts.closed(tabId);
    fail(tabId, time, (tracker) => tracker.closed(tabId));
    whenReady((tracker) => {
      if (tracker.observes(tabId)) outbox.observe({ what: 'tab-closed', time, tabId }, tabId);
    });
  };
  /** @param {'document-parsed' | 'document-loaded'} what */
  const progress = (what) =>
    /** @param {chrome.webNavigation.WebNavigationFramedCallbackDetails} details */
    (details) => {
      if (!isMainFrame(details)) return;
      whenReady((tracker) => {
        const spanId = documents.find(details.documentId)?.spanId;
        if (spanId !== undefined && tracker.observes(details.tabId)) outbox.observe({ what, time: details.timeStamp, spanId }, details.tabId);
      });
    };

  /** @param {ResponseHead & { tabId: number, requestId: string, timeStamp: number, documentId?: string, documentLifecycle?: string }} details */
  const respond = (details) => {
    if (!isNavigation(details)) return;
    const { tabId, requestId, timeStamp } = details;
    const begun = starts.of(tabId);
    const url = documentUrl(details);
    fail(tabId, timeStamp, (tracker) => tracker.responded(tabId, requestId, url, begun), url === null ? 'no-document' : 'elsewhere');
  };
  /** @param {chrome.webRequest.OnBeforeSendHeadersDetails} details @returns {undefined} */
  const arrive = (details) => {
    if (!isNavigation(details)) return;
    whenReady((tracker) => tracker.arrived(details, steeringHeader(details.requestHeaders)));
  };
  /** @param {chrome.webRequest.OnSendHeadersDetails} details */
  const leave = (details) => {
    const { tabId, requestId, url, requestHeaders } = details;
    if (tabId === -1) return;
    whenReady((tracker) => {
      if (!tracker.isTarget(url)) return;
      const carried = tracker.carriedBy(requestHeaders);
      if (isNavigation(details)) tracker.requested(tabId, requestId, carried);
      else tracker.speculated(tabId, requestId, carried);
    });
  };
  // The new document's first requests race against the update of the rules, so the earlier of this event and `onResponseStarted` decides. The
  // later one covers the cases that the earlier one can't tell.
  /** @param {chrome.webRequest.OnHeadersReceivedDetails} details @returns {undefined} */
  const receive = (details) => {
    if (!mayContinue(details)) respond(details);
  };
  const { onBeforeSendHeaders, onSendHeaders, onHeadersReceived } = chrome.webRequest;
  let isReading = false;
  let isFollowing = false;
  /** @param {boolean} reads whether to read what clients put on requests @param {boolean} follows whether to follow navigations */
  const change = (reads, follows) => {
    if (reads && !isReading) onBeforeSendHeaders.addListener(arrive, MAIN_FRAMES, ['requestHeaders']);
    if (!reads) onBeforeSendHeaders.removeListener(arrive);
    isReading = reads;
    if (follows && !isFollowing) {
      onSendHeaders.addListener(leave, MAIN_FRAMES, ['requestHeaders']);
      onHeadersReceived.addListener(receive, MAIN_FRAMES, ['responseHeaders']);
    }
    if (!follows) {
      onSendHeaders.removeListener(leave);
      onHeadersReceived.removeListener(receive);
    }
    isFollowing = follows;
  };
  /** Follows navigations by what rules put on their requests, for lightweight mode. */
  const followAll = () => change(true, true);
  followAll();
  chrome.webRequest.onResponseStarted.addListener(respond, MAIN_FRAMES, ['responseHeaders']);
  chrome.webRequest.onErrorOccurred.addListener((details) => {
    if (!isNavigation(details)) return;
    fail(details.tabId, details.timeStamp, (tracker) => tracker.failed(details.tabId, details.requestId));
  }, MAIN_FRAMES);

  chrome.webNavigation.onBeforeNavigate.addListener((details) => {
    if (isMainFrame(details)) starts.begun(details.tabId, details.timeStamp);
  });
  chrome.webNavigation.onCommitted.addListener((details) => {
    const { tabId, url, parentFrameId, documentId, parentDocumentId, timeStamp: time, transitionType: transition } = details;
    if (parentFrameId !== -1) whenReady(() => documents.framed(documentId, parentDocumentId));
    if (!isMainFrame(details)) return;
    whenReady((tracker) => {
      for (const context of tracker.committed(tabId, url)) {
        const { spanId } = context;
        const begun = starts.take(tabId, time);
        if (tracker.observes(tabId)) outbox.observe({ what: 'navigation-committed', time, spanId, tabId, url: cutUrl(url), started: begun, transition }, tabId);
        documents.committed(documentId, tracker.continued(tabId, url, context));
      }
    });
  });
  chrome.webNavigation.onErrorOccurred.addListener((details) => {
    if (!isMainFrame(details)) return;
    const { tabId, url, documentId, error, timeStamp } = details;
    const errorPage = !NO_DOCUMENT.test(documentId);
    if (!errorPage || error !== REPLACED) fail(tabId, timeStamp, (tracker) => tracker.abandoned(tabId, url, errorPage));
  });
  chrome.webNavigation.onDOMContentLoaded.addListener(progress('document-parsed'));
  chrome.webNavigation.onCompleted.addListener(progress('document-loaded'));

  chrome.tabs.onCreated.addListener((tab) => {
    const { id, windowId } = tab;
    if (id === undefined) return;
    whenReady((tracker) => {
      tracker.tabOpened(tab);
      tracker.opened([id], [windowId]);
    });
  });
  chrome.tabs.onRemoved.addListener((tabId) => close(tabId));
  chrome.tabs.onReplaced.addListener((addedTabId, removedTabId) => {
    close(removedTabId);
    whenReady((tracker) => tracker.opened([addedTabId], []));
  });
  chrome.windows.onCreated.addListener(({ id }) => {
    if (id !== undefined) whenReady((tracker) => tracker.opened([], [id]));
  });
  return {
    followAll,
    /**
     * Leaves it to the injector to follow navigations, for detailed mode. With targets it is not asked about other hosts, so the headers that
     * clients set there are still read here.
     *
     * @param {{ readsHeaders: boolean }} options
     */
    leaveToInjector: ({ readsHeaders }) => change(readsHeaders, false),
  };
}
