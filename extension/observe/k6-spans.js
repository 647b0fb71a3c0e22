/**
 * Finds the spans of k6, if it exports spans of its own: k6 gives each page the id of one, by which the host joins k6's traces with ours.
 */

import { attempt } from '../attempt.js';
import { WORKERS } from '../context/incognito.js';
import { isSpanId } from '../context/traceparent.js';
import { runInPages } from './content-scripts.js';

/** @import { IncognitoTabs } from '../context/incognito.js' */
/** @import { Documents } from './documents.js' */
/** @import { Outbox } from './outbox.js' */

/** @type {Omit<chrome.scripting.RegisteredContentScript, 'id' | 'js'>} */
const EARLY = { matches: ['<all_urls>'], runAt: 'document_start', persistAcrossSessions: false };

/** @type {chrome.scripting.RegisteredContentScript[]} */
const SCRIPTS = [
  { ...EARLY, id: 'k6-relay', js: ['observe/k6-relay.js'] },
  { ...EARLY, id: 'k6-page', js: ['observe/k6-page.js'], world: 'MAIN' },
];

/** Reads the id in every page that is loaded from now on, until the browser ends. */
export const readK6Spans = () => attempt("reading k6's span ids", () => runInPages(SCRIPTS), undefined);

/**
 * Turns the ids of pages into observations. Registers the listener at once, so that the browser wakes the worker for it.
 *
 * @param {Pick<Outbox, 'observe'>} outbox
 * @param {Documents} documents
 * @param {IncognitoTabs} incognito
 */
export function watchK6Spans(outbox, documents, incognito) {
  chrome.runtime.onMessage.addListener((message, { id, documentId, tab, frameId }) => {
    const k6SpanId = message?.k6SpanId;
    const spanId = documents.find(documentId)?.spanId;
    const tabId = tab?.id ?? WORKERS;
    if (id !== chrome.runtime.id || frameId !== 0 || !isSpanId(k6SpanId) || spanId === undefined || !incognito.observes(tabId)) return;
    outbox.observe({ what: 'k6-span', time: Date.now(), spanId, k6SpanId }, tabId);
  });
}
