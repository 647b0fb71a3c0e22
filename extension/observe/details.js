/**
 * Reads the details of the browser's `webRequest` events.
 */

/** @import { FailureKind } from '../protocol.d.ts' */

/** Filter for main-frame requests. */
export const MAIN_FRAMES = /** @type {chrome.webRequest.RequestFilter} */ ({ urls: ['<all_urls>'], types: ['main_frame'] });

/** Longest address in an observation; the rest is cut off. */
export const MAX_URL_LENGTH = 4096;

/**
 * Cuts an address. A plain slice would keep the whole address in memory, so it is copied.
 *
 * @param {string} url
 * @returns {string}
 */
export const cutUrl = (url) => (url.length <= MAX_URL_LENGTH ? url : JSON.parse(JSON.stringify(url.slice(0, MAX_URL_LENGTH))));

/**
 * Returns the value of a header.
 *
 * @param {chrome.webRequest.HttpHeader[] | undefined} headers
 * @param {string} name in lower case
 */
export const header = (headers, name) =>
  headers?.find((candidate) => candidate.name.length === name.length && candidate.name.toLowerCase() === name)?.value;

/**
 * Returns whether a main-frame request is that of a navigation, and not of a prefetch (made by a document) or a prerender (beside the page
 * that is shown).
 *
 * @param {{ tabId: number, documentId?: string, documentLifecycle?: string }} details
 */
export const isNavigation = ({ tabId, documentId, documentLifecycle }) =>
  tabId !== -1 && documentId === undefined && documentLifecycle !== 'prerender';

/**
 * Returns whether a request of any type is the main-frame request of a navigation.
 *
 * @param {{ type: string, tabId: number, documentId?: string, documentLifecycle?: string }} details
 */
export const isOwnRequest = (details) => details.type === 'main_frame' && isNavigation(details);

/**
 * Returns the length of a body in bytes, or undefined if `content-length` is missing or invalid.
 *
 * @param {chrome.webRequest.HttpHeader[] | undefined} headers
 */
export function bodySize(headers) {
  const value = header(headers, 'content-length') ?? '';
  return /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/**
 * Returns whether the page may read a response: it is of the same origin, a document, or allows the page's origin.
 *
 * @param {{ type: string, url: string, initiator?: string, responseHeaders?: chrome.webRequest.HttpHeader[] }} details
 */
export function mayRead({ type, url, initiator, responseHeaders }) {
  if (type === 'main_frame' || type === 'sub_frame' || isOwnOrigin({ url, initiator })) return true;
  const allowed = header(responseHeaders, 'access-control-allow-origin');
  return allowed === '*' || allowed === initiator;
}

/** Returns whether a page requests something of its own origin. @param {{ url: string, initiator?: string }} details */
export const isOwnOrigin = ({ url, initiator }) => initiator === undefined || new URL(url).origin === initiator;

/**
 * Returns how a request ended that has no complete response; undefined for a failure. The popup, the host and all that shows its spans follow this.
 *
 * @param {string} error the browser's name of the error
 * @param {boolean} hasResponse whether the page could read the response. An error without a better name then says that nobody reads on: the page
 *   gave it up, or is gone. Without a response, it says that the page may not read it.
 * @returns {FailureKind | undefined}
 */
export function failureKind(error, hasResponse) {
  if (error === 'net::ERR_ABORTED' || (hasResponse && error === 'net::ERR_FAILED')) return 'cancelled';
  return error.startsWith('net::ERR_BLOCKED_') || error === 'net::ERR_CACHE_MISS' ? 'blocked' : undefined;
}

/** Returns whether an address is one of the browser's own pages or `about:blank`. @param {string} url */
export const isBrowsersOwn = (url) => /^(about|chrome|chrome-[a-z]+|devtools):/.test(url);
