/**
 * Turns the browser's events about tabs and main-frame navigations into what those who put headers on requests want to know, and into
 * observations.
 */

import { STEERING_HEADER } from '../context/steering.js';
import { MAIN_FRAMES, cutUrl, header, isNavigation } from './details.js';

/** @import { Carried } from '../context/propagators.js' */
/** @import { NavigationContext } from '../context/traces.js' */
/** @import { Documents } from './documents.js' */
/** @import { Outbox } from './outbox.js' */
/** @import { Starts } from './starts.js' */

/**
 * What learns of navigations. It answers with those that have become a document (`committed`) or that no document comes of (all others).
 *
 * @typedef {object} Tracker
 * @property {(tabIds: number[], windowIds: number[]) => void} opened
 * @property {(tabId: number) => NavigationContext[]} closed
 * @property {(url: string) => boolean} isTarget whether an address is traced
 * @property {(headers: chrome.webRequest.HttpHeader[] | undefined) => Carried | null} carriedBy
 * @property {(tabId: number, requestId: string, headers: chrome.webRequest.HttpHeader[] | undefined, steering: string | undefined) => void} arrived
 * @property {(tabId: number, requestId: string, sent: Carried | null, timeStamp: number) => void} requested
 * @property {(tabId: number, requestId: string, url: string | null) => NavigationContext[]} responded
 * @property {(tabId: number, requestId: string) => NavigationContext[]} failed
 * @property {(tabId: number, url: string) => NavigationContext[]} committed
 * @property {(tabId: number, url: string, context: NavigationContext) => NavigationContext} [continued] what a document goes on with
 * @property {(tabId: number, url: string, errorPage: boolean) => NavigationContext[]} abandoned
 */

/**
 * The document id of a navigation that left the page as it was. One with a document is an error page, or a page that was still loading
 * when another took its place: a reload's has the same address as what replaces it, and only the error tells which it is.
 */
const NO_DOCUMENT = /^0*$/;
const REPLACED = 'net::ERR_ABORTED';

/** Types that become a file and never a document; what is missing here, a later event mends. */
const FILE = /^application\/(octet-stream|zip|gzip|x-.+|vnd\..+)$/;

/** Types among them that some Chromium does show: scripts, feeds and the like as text, and what a viewer or player takes. */
const SHOWN = /(xml|json|javascript|ecmascript|pdf|mpegurl|mimearchive)$/;

/**
 * Tells whether the same request may go on after these headers: to where a redirect leads, or with the user's credentials.
 *
 * @param {{ statusCode: number, responseHeaders?: chrome.webRequest.HttpHeader[] }} details
 */
const mayGoOn = ({ statusCode, responseHeaders }) =>
  statusCode === 401 || statusCode === 407 || (statusCode > 300 && statusCode < 400 && header(responseHeaders, 'location') !== undefined);

/** @param {string} contentType */
function isFile(contentType) {
  const type = (contentType.split(';')[0] ?? '').trim().toLowerCase();
  return FILE.test(type) && !SHOWN.test(type);
}

/**
 * Returns the address of the document that a response is to become; null when it is none.
 *
 * @param {{ url: string, statusCode: number, responseHeaders?: chrome.webRequest.HttpHeader[] }} details
 */
function documentUrl({ url, statusCode, responseHeaders }) {
  const empty = statusCode === 204 || statusCode === 205;
  const attached = /^\s*attachment\b/i.test(header(responseHeaders, 'content-disposition') ?? '');
  return empty || attached || isFile(header(responseHeaders, 'content-type') ?? '') ? null : url;
}

/**
 * Tells whether an event is about a page that is shown, and no frame of one.
 *
 * @param {{ parentFrameId: number, documentLifecycle: string }} details
 */
const isPage = ({ parentFrameId, documentLifecycle }) => parentFrameId === -1 && documentLifecycle === 'active';

/**
 * Registers every listener at once, as a worker must that wants to be woken by them. Events that come before the tracker is ready wait
 * for it, in their order.
 *
 * @param {Promise<Tracker>} ready
 * @param {{ outbox: Pick<Outbox, 'observe'>, documents: Documents, starts: Starts }} observers
 */
export function watchNavigations(ready, { outbox, documents, starts }) {
  /** @type {Tracker | null} */
  let tracker = null;
  void ready.then((started) => {
    tracker = started;
  });
  /** @param {(tracker: Tracker) => void} tell */
  const once = (tell) => (tracker === null ? void ready.then(tell) : tell(tracker));
  /**
   * Tells what may have a navigation come to nothing.
   *
   * @param {number} time
   * @param {(tracker: Tracker) => NavigationContext[]} tell
   */
  const end = (time, tell) =>
    once((started) => {
      for (const { spanId } of tell(started)) outbox.observe({ what: 'navigation-failed', time, spanId });
    });
  /** @param {number} tabId */
  const close = (tabId) => {
    const time = Date.now();
    starts.closed(tabId);
    end(time, (started) => started.closed(tabId));
    once(() => outbox.observe({ what: 'tab-closed', time, tabId }));
  };
  /** @param {'document-parsed' | 'document-loaded'} what */
  const progress = (what) =>
    /** @param {chrome.webNavigation.WebNavigationFramedCallbackDetails} details */
    (details) => {
      if (!isPage(details)) return;
      once(() => {
        const spanId = documents.find(details.documentId)?.spanId;
        if (spanId !== undefined) outbox.observe({ what, time: details.timeStamp, spanId });
      });
    };

  chrome.webRequest.onBeforeSendHeaders.addListener(
    (details) => {
      if (!isNavigation(details)) return;
      const { tabId, requestId, requestHeaders } = details;
      once((started) => started.arrived(tabId, requestId, requestHeaders, header(requestHeaders, STEERING_HEADER)));
    },
    MAIN_FRAMES,
    ['requestHeaders'],
  );
  chrome.webRequest.onSendHeaders.addListener(
    (details) => {
      if (!isNavigation(details)) return;
      const { tabId, requestId, url, requestHeaders, timeStamp } = details;
      once((started) => {
        if (started.isTarget(url)) started.requested(tabId, requestId, started.carriedBy(requestHeaders), timeStamp);
      });
    },
    MAIN_FRAMES,
    ['requestHeaders'],
  );
  // The new document's first requests race against the rule update, so the earlier event decides; the later one covers what it can't tell.
  chrome.webRequest.onHeadersReceived.addListener(
    (details) => {
      if (!isNavigation(details) || mayGoOn(details)) return;
      end(details.timeStamp, (started) => started.responded(details.tabId, details.requestId, documentUrl(details)));
    },
    MAIN_FRAMES,
    ['responseHeaders'],
  );
  chrome.webRequest.onResponseStarted.addListener(
    (details) => {
      if (!isNavigation(details)) return;
      end(details.timeStamp, (started) => started.responded(details.tabId, details.requestId, documentUrl(details)));
    },
    MAIN_FRAMES,
    ['responseHeaders'],
  );
  chrome.webRequest.onErrorOccurred.addListener((details) => {
    if (!isNavigation(details)) return;
    end(details.timeStamp, (started) => started.failed(details.tabId, details.requestId));
  }, MAIN_FRAMES);

  chrome.webNavigation.onBeforeNavigate.addListener((details) => {
    if (isPage(details)) starts.begun(details.tabId, details.timeStamp);
  });
  chrome.webNavigation.onCommitted.addListener((details) => {
    const { tabId, url, parentFrameId, documentId, parentDocumentId, timeStamp: time, transitionType: transition } = details;
    if (parentFrameId !== -1) once(() => documents.framed(documentId, parentDocumentId));
    if (!isPage(details)) return;
    once((started) => {
      for (const context of started.committed(tabId, url)) {
        const { spanId } = context;
        const begun = starts.take(tabId, time);
        outbox.observe({ what: 'navigation-committed', time, spanId, tabId, url: cutUrl(url), started: begun, transition });
        documents.committed(documentId, started.continued?.(tabId, url, context) ?? context);
      }
    });
  });
  chrome.webNavigation.onErrorOccurred.addListener((details) => {
    if (!isPage(details)) return;
    const { tabId, url, documentId, error, timeStamp } = details;
    const errorPage = !NO_DOCUMENT.test(documentId);
    if (!errorPage || error !== REPLACED) end(timeStamp, (started) => started.abandoned(tabId, url, errorPage));
  });
  chrome.webNavigation.onDOMContentLoaded.addListener(progress('document-parsed'));
  chrome.webNavigation.onCompleted.addListener(progress('document-loaded'));

  chrome.tabs.onCreated.addListener(({ id, windowId }) => {
    if (id !== undefined) once((started) => started.opened([id], [windowId]));
  });
  chrome.tabs.onRemoved.addListener((tabId) => close(tabId));
  chrome.tabs.onReplaced.addListener((addedTabId, removedTabId) => {
    close(removedTabId);
    once((started) => started.opened([addedTabId], []));
  });
  chrome.windows.onCreated.addListener(({ id }) => {
    if (id !== undefined) once((started) => started.opened([], [id]));
  });
}
