/**
 * Measures web pages on request: {@link ./measure-page.js} then runs in each of them, which costs every page some milliseconds.
 */

import { attempt } from '../attempt.js';
import { observePages, runInPages } from './content-scripts.js';

/** Limits for the values of a page. A full batch of measured pages still fits into a message to the host. */
const MAX_VALUES = 64;
const VALUE_NAME = /^[a-zA-Z]{1,40}$/;

/** @type {chrome.scripting.RegisteredContentScript} */
const MEASURE_PAGE = { id: 'measure-page', matches: ['<all_urls>'], js: ['observe/measure-page.js'], runAt: 'document_start', persistAcrossSessions: false };

/**
 * Returns the named numbers among untrusted values.
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
 * Turns measurements into observations.
 *
 * @param {Parameters<typeof observePages>[1]} observers
 */
export function watchWebVitals(observers) {
  observePages('page-measured', observers, ({ vitals, timing }, { time, spanId }) => ({
    what: 'page-measured',
    time,
    spanId,
    vitals: numbersIn(vitals),
    timing: numbersIn(timing),
  }));
}
