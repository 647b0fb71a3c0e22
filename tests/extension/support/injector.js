/**
 * An injector at work, and requests for it.
 */

import assert from 'node:assert/strict';
import { mock } from 'node:test';

import { BrowserContexts } from '../../../extension/context/browser-contexts.js';
import { fallbackSession } from '../../../extension/context/session.js';
import { STEERING_HEADERS } from '../../../extension/context/steering.js';
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
/** Its flags have a bit that those of no navigation have. */
export const SESSION = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '05' };

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
 * Reads the traceparent header of a request, which must have exactly one.
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

/** Makes an injector without documents, and records its observations. */
export function made() {
  const documents = new Documents();
  const started = mock.fn((/** @type {any} */ _details, /** @type {any[]} */ ..._told) => {});
  const ignore = mock.fn((/** @type {string} */ _requestId) => {});
  const injector = new Injector(fallbackSession(), documents, { started, ignore });
  /** The latest observation: the request's own span id, its parent, its trace, and its origin in the page. */
  const told = () => started.mock.calls.at(-1)?.arguments.slice(1);
  return { injector, documents, told, started, ignore };
}

/**
 * Starts an injector for a session with one tab. The flags of its navigations differ from the session's.
 *
 * @param {Partial<PropagationSettings>} [settings]
 */
export function working(settings) {
  const browser = fakeChrome({ granted: true });
  const { injector, ...observers } = made();
  const session = using(SESSION, settings);
  const outbox = fakeOutbox();
  const traces = new Traces(session, outbox, session.events, new BrowserContexts());
  const tabs = new Tabs(session, traces);
  tabs.opened([TAB], [TAB - 1]);
  injector.start({ session, tabs, traces });
  const begin = mock.method(tabs, 'begin');
  /** @param {object} details @returns {Header[]} */
  const inject = (details) => browser.fire(INJECT, details).requestHeaders;
  /** @param {object} details @returns {Header[]} the Server-Timing headers */
  const named = (details) => all(browser.fire(EXPOSE, details).responseHeaders ?? [], 'server-timing');
  return { ...browser, ...observers, ...outbox, session, traces, injector, tabs, begin, inject, named };
}

/** @param {{ spanId: string, flags: string }} context */
export const serverTiming = ({ spanId, flags }) => ({
  name: 'Server-Timing',
  value: `traceparent;desc="00-${SESSION.traceId}-${spanId}-${flags}"`,
});

/** Starts an injector whose tab shows one document and has the response of the next. */
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

/** An address that is no target. */
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
 * Sends a request, and returns its headers whether or not the listener changed them. A rule removes the steering header.
 *
 * @param {ReturnType<typeof working>} worker
 * @param {any} details
 * @returns {Record<string, string | undefined>}
 */
export const left = ({ fire }, details) =>
  table((fire(INJECT, details).requestHeaders ?? details.requestHeaders).filter((/** @type {Header} */ { name }) => !STEERING_HEADERS.includes(name.toLowerCase())));

/**
 * Starts an injector whose tab shows a page.
 *
 * @param {Partial<PropagationSettings>} [settings]
 * @param {Record<string, string>} [headers] headers of its navigation's request
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
