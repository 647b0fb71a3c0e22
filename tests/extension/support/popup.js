/**
 * A worker with a popup that watches a tab.
 */

import { mock } from 'node:test';

import { VIEW_INTERVAL } from '../../../extension/pages/serve.js';
import { BATCH_DELAY } from '../../../extension/observe/outbox.js';
import { DEFAULT_PROPAGATION } from '../../../extension/context/propagation.js';
import { fakeChrome, settled } from './chrome.js';
import { parseTraceparent } from './traceparent.js';

export const TAB = 100;
export const PAGE = 'https://example.test/';
export const NAMED = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '01' };
export const NEXT = { traceId: 'e'.repeat(32), spanId: 'e'.repeat(16), flags: '01' };
export const SENDER = { id: 'aalhdoofknlgjgclnnkjbegphicaohme', url: 'chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/popup/popup.html' };
export const CONFIGURED = {
  link: null,
  endpoint: 'http://localhost:4318/v1/traces',
  ratio: 1,
  parentBased: true,
  targets: ['https://example.test/*'],
  exclude: [],
  resources: ['all'],
};
export const AS_CONFIGURED = { ratio: null, targets: null, resources: null };

/** @param {object} [session] @param {object} [settings] @returns {any} */
export const answer = (session = NAMED, settings = {}) => ({
  v: 1,
  type: 'session',
  host: '0.1.0',
  mode: 'auto',
  exports: true,
  webVitals: false,
  propagation: { ...DEFAULT_PROPAGATION, ...settings },
  session,
  contexts: [],
  traces: [NEXT],
  configured: CONFIGURED,
});

/** Waits for rule updates. */
export async function idle() {
  for (let n = 0; n < 8; n += 1) await settled();
}

let workers = 0;

/** @param {string} state */
export async function importWorker(state) {
  workers += 1;
  Object.assign(globalThis, { self: { serviceWorker: { state } } });
  await import(String(new URL(`../../../extension/service-worker.js?popup-${workers}`, import.meta.url)));
  await settled();
}

/**
 * Connects a page.
 *
 * @param {ReturnType<typeof fakeChrome>} browser
 * @param {{ name?: string, sender?: object }} [options]
 */
export function connect(browser, { name = 'popup', sender = SENDER } = {}) {
  /** @type {any[]} */
  const said = [];
  /** @type {((message: unknown) => void)[]} */
  const listeners = [];
  /** @type {(() => void)[]} */
  const ends = [];
  const disconnect = mock.fn();
  const port = {
    name,
    sender,
    disconnect,
    postMessage: (/** @type {unknown} */ message) => void said.push(structuredClone(message)),
    onMessage: { addListener: (/** @type {any} */ listener) => void listeners.push(listener) },
    onDisconnect: { addListener: (/** @type {any} */ listener) => void ends.push(listener) },
  };
  // Passes the port itself, not a copy.
  for (const { listener } of browser.registered.get('runtime.onConnect') ?? []) listener(port);
  /** @param {unknown} message */
  const ask = async (message) => {
    for (const listener of listeners) listener(message);
    await idle();
    mock.timers.tick(VIEW_INTERVAL);
    await idle();
  };
  const close = () => ends.forEach((end) => end());
  return { ask, said, disconnect, close, view: () => said.findLast(({ type }) => type === 'view') };
}

/** A browser with an armed session, and a popup that watches its tab. @param {boolean} granted */
export async function begin(granted) {
  const browser = fakeChrome({ tabs: [TAB], windows: [TAB - 1], granted });
  browser.state.urls.set(TAB, PAGE);
  await importWorker('parsed');
  browser.ports[0]?.receive(answer());
  await idle();
  const popup = connect(browser);
  await popup.ask({ type: 'watch', tabId: TAB });
  return { browser, popup, host: () => browser.ports.at(-1) };
}

/** What a request carries. @param {ReturnType<typeof fakeChrome>} browser @param {object} [details] */
export const carried = (browser, details) => parseTraceparent(browser.leave({ tabId: TAB, ...details }).find(({ name }) => name === 'traceparent')?.value);

/** Loads a page. @param {ReturnType<typeof fakeChrome>} browser @param {string} requestId */
export async function load(browser, requestId) {
  const details = { tabId: TAB, requestId, type: 'main_frame', method: 'GET', url: PAGE, timeStamp: Date.now(), documentLifecycle: 'active' };
  const context = carried(browser, details);
  const response = { ...details, statusCode: 200, statusLine: 'HTTP/1.1 200 OK', fromCache: false, responseHeaders: [] };
  browser.fire('webRequest.onHeadersReceived', response);
  browser.fire('webRequest.onResponseStarted', response);
  browser.fire('webRequest.onCompleted', response);
  await idle();
  browser.fire('webNavigation.onCommitted', {
    tabId: TAB, url: PAGE, parentFrameId: -1, documentLifecycle: 'active', documentId: `d${requestId}`, timeStamp: Date.now(), transitionType: 'typed',
  });
  await idle();
  return context;
}

/** Returns what a host has received. @param {any} port @returns {any[]} the batches */
export function batches(port) {
  mock.timers.tick(BATCH_DELAY);
  return port.sent.filter((/** @type {any} */ { type }) => type === 'observed');
}
