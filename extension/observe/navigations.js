/**
 * Turns the browser's events about tabs and main-frame navigations into what a mode of headers wants to know.
 */

import { parseTraceparent } from '../context/traceparent.js';

/** @import { SessionContext } from '../channel/messages.js' */

/**
 * What learns of navigations.
 *
 * @typedef {object} Tracker
 * @property {(tabIds: number[], windowIds: number[]) => void} opened
 * @property {(tabId: number) => void} closed
 * @property {(tabId: number, requestId: string, sent: SessionContext | null) => void} requested
 * @property {(tabId: number, requestId: string, url: string | null) => void} responded
 * @property {(tabId: number, requestId: string) => void} failed
 * @property {(tabId: number, url: string) => void} committed
 * @property {(tabId: number, url: string, errorPage: boolean) => void} abandoned
 */

/** Main frames only: a listener for every request would cost every request. */
const MAIN_FRAMES = /** @type {chrome.webRequest.RequestFilter} */ ({ urls: ['<all_urls>'], types: ['main_frame'] });

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
 * Finds a header by its lower-case name.
 *
 * @param {chrome.webRequest.HttpHeader[] | undefined} headers
 * @param {string} name
 */
const header = (headers, name) => headers?.find((candidate) => candidate.name.toLowerCase() === name)?.value;

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
 * Tells whether a main-frame request is a navigation's own. A speculative one rotates nothing: a prefetch, which a document makes, or a
 * prerender, which runs beside the page that is shown. It shares the context of the tab's next navigation, which is the one that shows it
 * if any does, so that speculation costs no rule update.
 *
 * @param {{ tabId: number, documentId?: string, documentLifecycle?: string }} details
 */
const isNavigation = ({ tabId, documentId, documentLifecycle }) =>
  tabId !== -1 && documentId === undefined && documentLifecycle !== 'prerender';

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
      const { tabId, requestId, requestHeaders } = details;
      const sent = parseTraceparent(header(requestHeaders, 'traceparent'));
      once((mode) => mode.requested(tabId, requestId, sent));
    },
    MAIN_FRAMES,
    ['requestHeaders'],
  );
  // The new document's first requests race against the rule update, so the earlier event decides; the later one covers what it can't tell.
  chrome.webRequest.onHeadersReceived.addListener(
    (details) => {
      if (!isNavigation(details) || mayGoOn(details)) return;
      once((mode) => mode.responded(details.tabId, details.requestId, documentUrl(details)));
    },
    MAIN_FRAMES,
    ['responseHeaders'],
  );
  chrome.webRequest.onResponseStarted.addListener(
    (details) => {
      if (!isNavigation(details)) return;
      once((mode) => mode.responded(details.tabId, details.requestId, documentUrl(details)));
    },
    MAIN_FRAMES,
    ['responseHeaders'],
  );
  chrome.webRequest.onErrorOccurred.addListener((details) => {
    if (!isNavigation(details)) return;
    once((mode) => mode.failed(details.tabId, details.requestId));
  }, MAIN_FRAMES);

  chrome.webNavigation.onCommitted.addListener(({ tabId, url, parentFrameId, documentLifecycle }) => {
    if (parentFrameId === -1 && documentLifecycle === 'active') once((mode) => mode.committed(tabId, url));
  });
  chrome.webNavigation.onErrorOccurred.addListener(({ tabId, url, parentFrameId, documentLifecycle, documentId, error }) => {
    if (parentFrameId !== -1 || documentLifecycle !== 'active') return;
    const errorPage = !NO_DOCUMENT.test(documentId);
    if (!errorPage || error !== REPLACED) once((mode) => mode.abandoned(tabId, url, errorPage));
  });

  chrome.tabs.onCreated.addListener(({ id, windowId }) => {
    if (id !== undefined) once((mode) => mode.opened([id], [windowId]));
  });
  chrome.tabs.onRemoved.addListener((tabId) => once((mode) => mode.closed(tabId)));
  chrome.tabs.onReplaced.addListener((addedTabId, removedTabId) =>
    once((mode) => {
      mode.closed(removedTabId);
      mode.opened([addedTabId], []);
    }),
  );
  chrome.windows.onCreated.addListener(({ id }) => {
    if (id !== undefined) once((mode) => mode.opened([], [id]));
  });
}
