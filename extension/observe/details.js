/**
 * Reads what the browser's `webRequest` events say of a request.
 */

/** Main frames only: a listener for every request would cost every request. */
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
