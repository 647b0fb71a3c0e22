/**
 * Reads what the browser's `webRequest` events say of a request.
 */

/** Every request. A blocking listener costs each of them. */
export const EVERYTHING = { urls: ['<all_urls>'] };

/** Main frames only. */
export const MAIN_FRAMES = /** @type {chrome.webRequest.RequestFilter} */ ({ urls: ['<all_urls>'], types: ['main_frame'] });

/**
 * Finds a header by its lower-case name.
 *
 * @param {chrome.webRequest.HttpHeader[] | undefined} headers
 * @param {string} name
 */
export const header = (headers, name) => headers?.find((candidate) => candidate.name.toLowerCase() === name)?.value;

/**
 * Tells whether a main-frame request is a navigation's own. A speculative one is not: a prefetch, which a document makes, or a prerender,
 * which runs beside the page that is shown.
 *
 * @param {{ tabId: number, documentId?: string, documentLifecycle?: string }} details
 */
export const isNavigation = ({ tabId, documentId, documentLifecycle }) =>
  tabId !== -1 && documentId === undefined && documentLifecycle !== 'prerender';

/**
 * Tells whether a request, of whatever type, is the main-frame request of a navigation.
 *
 * @param {{ type: string, tabId: number, documentId?: string, documentLifecycle?: string }} details
 */
export const isOwnRequest = (details) => details.type === 'main_frame' && isNavigation(details);

/**
 * Reads the length of a body; undefined where it is not said, or by what is no length.
 *
 * @param {chrome.webRequest.HttpHeader[] | undefined} headers
 */
export function bodySize(headers) {
  const value = header(headers, 'content-length') ?? '';
  return /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

/**
 * Tells whether an address is one of the browser's own pages, or the empty one.
 *
 * @param {string} url
 */
export const isBrowsersOwn = (url) => /^(about|chrome|chrome-[a-z]+|devtools):/.test(url);

/** The longest address that is told of: the rest is cut off. */
export const LONGEST_URL = 4096;

/** @param {string} url */
export const cutUrl = (url) => url.slice(0, LONGEST_URL);
