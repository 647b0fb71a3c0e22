/**
 * Finds the spans of k6, if it exports spans of its own: k6 gives each page the id of one, by which the host joins k6's traces with ours.
 */

import { attempt } from '../attempt.js';
import { isSpanId } from '../context/traceparent.js';
import { observePages, runInPages } from './content-scripts.js';

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
 * Turns the ids of pages into observations.
 *
 * @param {Parameters<typeof observePages>[1]} observers
 */
export function watchK6Spans(observers) {
  observePages('k6-span', observers, ({ k6SpanId }, { isTop, ...page }) =>
    isTop && isSpanId(k6SpanId) ? { what: 'k6-span', ...page, k6SpanId } : undefined);
}
