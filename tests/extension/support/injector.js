/**
 * An injector at work, and requests for it.
 */

import assert from 'node:assert/strict';
import { mock } from 'node:test';

import { fallbackSession } from '../../../extension/context/session.js';
import { Traces } from '../../../extension/context/traces.js';
import { Injector } from '../../../extension/headers/injector.js';
import { Tabs } from '../../../extension/headers/tabs.js';
import { Documents } from '../../../extension/observe/documents.js';
import { fakeChrome } from './chrome.js';
import { fakeOutbox, fakeSession } from './session.js';
import { parseTraceparent } from './traceparent.js';

/** @import { PropagationSettings } from '../../../extension/context/propagation.js' */
/** @import { Header } from './chrome.js' */

export const TAB = 100;
export const PAGE = 'https://example.test/';
export const SESSION = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '00' };

export const INJECT = 'webRequest.onBeforeSendHeaders';
export const EXPOSE = 'webRequest.onHeadersReceived';

/** @param {object} [details] */
export const request = (details) => ({
  requestId: '1',
  tabId: TAB,
  type: 'script',
  method: 'GET',
  url: PAGE,
  documentId: 'd',
  documentLifecycle: 'active',
  timeStamp: 1,
  requestHeaders: [],
  ...details,
});

/** @param {object} [details] */
export const navigation = (details) => request({ type: 'main_frame', documentId: undefined, ...details });

/** @param {object} [details] */
export const response = (details) =>
  navigation({ statusCode: 200, responseHeaders: [{ name: 'Content-Type', value: 'text/html' }], ...details });

/** @param {Header[]} headers @param {string} wanted */
export const all = (headers, wanted) => headers.filter(({ name }) => name.toLowerCase() === wanted);

/**
 * Reads the one header that a request may have.
 *
 * @param {Header[]} headers
 */
export function contextIn(headers) {
  const values = all(headers, 'traceparent').map(({ value }) => value);
  assert.equal(values.length, 1, `${values.length} headers`);
  const context = parseTraceparent(values[0]);
  assert.ok(context, `${values[0]} is a traceparent`);
  return context;
}

/** @param {typeof SESSION} context @param {Partial<PropagationSettings>} [settings] */
export const using = (context, settings) => fakeSession(settings, { context, flags: '01' });

/** An injector that knows no documents, and what it tells of requests. */
export function made() {
  const documents = new Documents();
  const started = mock.fn((/** @type {any} */ _details, /** @type {any[]} */ ..._told) => {});
  const ignore = mock.fn((/** @type {string} */ _requestId) => {});
  const injector = new Injector(fallbackSession(), documents, { started, ignore });
  /** What was told last: the request's own span id, its parent, its trace, and what the page says of it. */
  const told = () => started.mock.calls.at(-1)?.arguments.slice(1);
  return { injector, documents, told, started, ignore };
}

/**
 * An injector at work for a session with one tab. Its navigations carry flags that the session does not.
 *
 * @param {Partial<PropagationSettings>} [settings]
 */
export function working(settings) {
  const browser = fakeChrome({ granted: true });
  const { injector, ...observers } = made();
  const session = using(SESSION, settings);
  const outbox = fakeOutbox();
  const traces = new Traces(session, outbox, session.problem);
  const tabs = new Tabs(session, traces);
  tabs.opened([TAB], [TAB - 1]);
  injector.start({ session, tabs, traces });
  const begin = mock.method(tabs, 'begin');
  /** @param {object} details @returns {Header[]} */
  const inject = (details) => browser.fire(INJECT, details).requestHeaders;
  /** @param {object} details @returns {Header[]} what scripts are told */
  const named = (details) => all(browser.fire(EXPOSE, details).responseHeaders ?? [], 'server-timing');
  return { ...browser, ...observers, ...outbox, session, traces, injector, tabs, begin, inject, named };
}

/** @param {{ spanId: string, flags: string }} context */
export const serverTiming = ({ spanId, flags }) => ({
  name: 'Server-Timing',
  value: `traceparent;desc="00-${SESSION.traceId}-${spanId}-${flags}"`,
});

/** An injector whose tab shows one document and has the response of the next. */
export function between() {
  const worker = working();
  const [shown, coming] = [{ spanId: 'c'.repeat(16), flags: '03' }, { spanId: 'd'.repeat(16), flags: '01' }];
  worker.tabs.requested(TAB, '0', shown);
  worker.tabs.responded(TAB, '0', PAGE);
  worker.tabs.committed(TAB, PAGE);
  worker.documents.committed('shown', shown);
  worker.tabs.requested(TAB, '1', coming);
  worker.tabs.responded(TAB, '1', PAGE);
  return { ...worker, shown, coming };
}

/** Where nothing is traced when only the shop is. */
export const ELSEWHERE = 'https://elsewhere.test/';
export const TARGETS = { targets: ['^https://example\\.test/'] };
export const FOREIGN = { traceId: 'f'.repeat(32), spanId: 'f'.repeat(16) };
export const CLIENT = { traceId: '9'.repeat(32), spanId: '9'.repeat(16) };

/** @param {{ traceId: string, spanId: string }} context @param {string} [flags] */
export const traceparent = ({ traceId, spanId }, flags = '01') => `00-${traceId}-${spanId}-${flags}`;

/** @param {Record<string, string>} headers */
export const list = (headers) => Object.entries(headers).map(([name, value]) => ({ name, value }));

/** @param {Header[]} headers @returns {Record<string, string | undefined>} */
export const table = (headers) => Object.fromEntries(headers.map(({ name, value }) => [name, value]));

/**
 * Has a request leave that a listener may leave as it is.
 *
 * @param {ReturnType<typeof working>} worker
 * @param {any} details
 * @returns {Record<string, string | undefined>}
 */
export const left = ({ fire }, details) => table(fire(INJECT, details).requestHeaders ?? details.requestHeaders);

/**
 * An injector whose tab shows a page.
 *
 * @param {Partial<PropagationSettings>} [settings]
 * @param {Record<string, string>} [headers] what its navigation's request has
 * @param {string} [url]
 */
export function showing(settings, headers = {}, url = PAGE) {
  const worker = working(settings);
  const carried = left(worker, navigation({ requestId: '0', url, requestHeaders: list(headers) }));
  worker.tabs.responded(TAB, '0', url);
  const [context] = worker.tabs.committed(TAB, url).ended;
  if (context !== undefined) worker.documents.committed('d', context);
  return { ...worker, carried, context };
}
