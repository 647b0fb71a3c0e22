/**
 * Measures web pages on request: {@link ./measure-page.js} then runs in each of them, which costs every page some milliseconds.
 */

import { attempt } from '../attempt.js';
import { WORKERS } from '../context/incognito.js';
import { runInPages } from './content-scripts.js';

/** @import { IncognitoTabs } from '../context/incognito.js' */
/** @import { Documents } from './documents.js' */
/** @import { Outbox } from './outbox.js' */

/** Limits for the values of a page. A full batch of measured pages still fits into a message to the host. */
const MAX_VALUES = 64;
const VALUE_NAME = /^[a-zA-Z]{1,40}$/;

/** @type {chrome.scripting.RegisteredContentScript} */
const MEASURE_PAGE = { id: 'measure-page', matches: ['<all_urls>'], js: ['observe/measure-page.js'], runAt: 'document_start', persistAcrossSessions: false };

/**
 * Returns the named numbers among untrusted values: a page's process may be compromised.
 *
 * @param {unknown} values
 * @returns {Record<string, number>}
 */
function numbersIn(values) {
  const valid = Object.entries(values ?? {}).filter(([name, value]) => VALUE_NAME.test(name) && Number.isFinite(value));
  return Object.fromEntries(valid.slice(0, MAX_VALUES));
}

/** Measures every web page that is loaded from now on, until the browser ends. */
export const measureWebVitals = () => attempt('measuring web vitals', () => runInPages([MEASURE_PAGE]), undefined);

/**
 * Turns measurements into observations. Registers the listener at once, so that the browser wakes the worker for it.
 *
 * @param {Pick<Outbox, 'observe'>} outbox
 * @param {Documents} documents
 * @param {IncognitoTabs} incognito
 */
export function watchWebVitals(outbox, documents, incognito) {
  chrome.runtime.onMessage.addListener((message, { id, documentId, tab }) => {
    const spanId = documents.find(documentId)?.spanId;
    const tabId = tab?.id ?? WORKERS;
    if (id !== chrome.runtime.id || message?.k6SpanId !== undefined || spanId === undefined || !incognito.observes(tabId)) return;
    const { vitals, timing } = message ?? {};
    outbox.observe({ what: 'page-measured', time: Date.now(), spanId, vitals: numbersIn(vitals), timing: numbersIn(timing) }, tabId);
  });
}
