/**
 * Turns the browser's events about tabs and main-frame navigations into what those who put headers on requests want to know.
 */

import { parseTraceparent } from '../context/traceparent.js';
import { MAIN_FRAMES, header, isNavigation } from './details.js';

/** @import { SessionContext } from '../channel/messages.js' */

/**
 * What learns of navigations.
 *
 * @typedef {object} Tracker
 * @property {(tabIds: number[], windowIds: number[]) => void} opened
 * @property {(tabId: number) => void} closed
 * @property {(tabId: number, requestId: string, sent: SessionContext | null, timeStamp: number) => void} requested
 * @property {(tabId: number, requestId: string, url: string | null) => void} responded
 * @property {(tabId: number, requestId: string) => void} failed
 * @property {(tabId: number, url: string) => void} committed
 * @property {(tabId: number, url: string, errorPage: boolean) => void} abandoned
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
 * Registers every listener at once, as a worker must that wants to be woken by them. Events that come before the tracker is ready wait
 * for it, in their order.
 *
 * @param {Promise<Tracker>} ready
 */
export function watchNavigations(ready) {
  /** @type {Tracker | null} */
  let tracker = null;
  void ready.then((started) => {
    tracker = started;
  });
  /** @param {(tracker: Tracker) => void} tell */
  const once = (tell) => (tracker === null ? void ready.then(tell) : tell(tracker));

  chrome.webRequest.onSendHeaders.addListener(
    (details) => {
      if (!isNavigation(details)) return;
      const { tabId, requestId, requestHeaders, timeStamp } = details;
      const sent = parseTraceparent(header(requestHeaders, 'traceparent'));
      once((started) => started.requested(tabId, requestId, sent, timeStamp));
    },
    MAIN_FRAMES,
    ['requestHeaders'],
  );
  // The new document's first requests race against the rule update, so the earlier event decides; the later one covers what it can't tell.
  chrome.webRequest.onHeadersReceived.addListener(
    (details) => {
      if (!isNavigation(details) || mayGoOn(details)) return;
      once((started) => started.responded(details.tabId, details.requestId, documentUrl(details)));
    },
    MAIN_FRAMES,
    ['responseHeaders'],
  );
  chrome.webRequest.onResponseStarted.addListener(
    (details) => {
      if (!isNavigation(details)) return;
      once((started) => started.responded(details.tabId, details.requestId, documentUrl(details)));
    },
    MAIN_FRAMES,
    ['responseHeaders'],
  );
  chrome.webRequest.onErrorOccurred.addListener((details) => {
    if (!isNavigation(details)) return;
    once((started) => started.failed(details.tabId, details.requestId));
  }, MAIN_FRAMES);

  chrome.webNavigation.onCommitted.addListener(({ tabId, url, parentFrameId, documentLifecycle }) => {
    if (parentFrameId === -1 && documentLifecycle === 'active') once((started) => started.committed(tabId, url));
  });
  chrome.webNavigation.onErrorOccurred.addListener(({ tabId, url, parentFrameId, documentLifecycle, documentId, error }) => {
    if (parentFrameId !== -1 || documentLifecycle !== 'active') return;
    const errorPage = !NO_DOCUMENT.test(documentId);
    if (!errorPage || error !== REPLACED) once((started) => started.abandoned(tabId, url, errorPage));
  });

  chrome.tabs.onCreated.addListener(({ id, windowId }) => {
    if (id !== undefined) once((started) => started.opened([id], [windowId]));
  });
  chrome.tabs.onRemoved.addListener((tabId) => once((started) => started.closed(tabId)));
  chrome.tabs.onReplaced.addListener((addedTabId, removedTabId) =>
    once((started) => {
      started.closed(removedTabId);
      started.opened([addedTabId], []);
    }),
  );
  chrome.windows.onCreated.addListener(({ id }) => {
    if (id !== undefined) once((started) => started.opened([], [id]));
  });
}
