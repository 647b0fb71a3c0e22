/**
 * Requests as the browser's events describe them, and the observation of them.
 */

import { IncognitoTabs } from '../../../extension/context/incognito.js';
import { DEFAULT_PROPAGATION, Propagation } from '../../../extension/context/propagation.js';
import { NavigationStarts } from '../../../extension/observe/navigations.js';
import { Requests } from '../../../extension/observe/requests.js';
import { fakeChrome } from './chrome.js';

export const TRACE = 'a'.repeat(32);
export const SESSION = { traceId: TRACE, spanId: 'b'.repeat(16), flags: '01' };
export const SPAN = 'c'.repeat(16);
export const PARENT = 'd'.repeat(16);
export const URL_ = 'https://example.test/';

/**
 * Observes requests in a new browser.
 *
 * @param {Partial<Propagation['settings']>} [settings]
 * @param {{ exports?: boolean, sampled?: boolean }} [options]
 */
export function observeRequests(settings, { exports = true, sampled = true } = {}) {
  const browser = fakeChrome({ granted: true });
  const starts = new NavigationStarts();
  /** @type {any[]} */
  const observed = [];
  const outbox = { observe: (/** @type {any} */ observation) => void observed.push(JSON.parse(JSON.stringify(observation))) };
  const session = { propagation: new Propagation({ ...DEFAULT_PROPAGATION, ...settings }), incognito: new IncognitoTabs(() => settings?.incognito), exports };
  const requests = new Requests(outbox, starts, session);
  if (sampled) requests.sampled();
  return { browser, starts, observed, session, requests };
}

/** The session's traces, with these ids. @param {string[]} traceIds */
export const having = (...traceIds) => ({ has: (/** @type {string} */ traceId) => traceIds.includes(traceId), clients: { leavesAlone: () => false } });

/** @param {object} [details] @returns {any} */
export const request = (details) => ({
  requestId: '17',
  tabId: 7,
  type: 'script',
  method: 'GET',
  url: URL_,
  documentId: 'd',
  documentLifecycle: 'active',
  timeStamp: 100.5,
  requestHeaders: [],
  ...details,
});

/** @param {object} [details] */
export const navigation = (details) => request({ type: 'main_frame', documentId: undefined, ...details });

/** @param {object} [details] */
export const response = (details) =>
  request({ statusCode: 200, statusLine: 'HTTP/1.1 200 OK', fromCache: false, ip: '127.0.0.1', responseHeaders: [], ...details });
