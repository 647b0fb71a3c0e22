/**
 * The parts that put headers on requests, at work in a fake browser.
 */

import assert from 'node:assert/strict';
import { mock } from 'node:test';

import { DEFAULT_PROPAGATION, EVERYTHING } from '../../../extension/context/propagation.js';
import { steeringHeader } from '../../../extension/context/steering.js';
import { Injector } from '../../../extension/headers/injector.js';
import { readRecord, recordRule } from '../../../extension/headers/record.js';
import { startHeaders } from '../../../extension/headers/start.js';
import { Documents } from '../../../extension/observe/documents.js';
import { BATCH_DELAY } from '../../../extension/observe/outbox.js';
import { Requests } from '../../../extension/observe/requests.js';
import { NavigationStarts, watchNavigations } from '../../../extension/observe/navigations.js';
import { fakeChrome, observationsOf, settled } from './chrome.js';
import { parseTraceparent } from './traceparent.js';
import { connectHost } from './worker.js';

/** @import { NavigationTracker } from '../../../extension/headers/tracker.js' */

export const TAB = 100;
export const PAGE = 'https://example.test/';
export const NAMED = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '01' };

/** A browser with one tab. */
export const OPEN = { tabs: [TAB], windows: [TAB - 1] };

/** The record's part about a session without choices. */
export const AS_STARTED = { paused: false, chosen: { ratio: null, targets: null, resources: null }, started: 0, hosts: [], hadIncognito: false };

/** The rule of detailed mode. */
export const AS_RECORDED = recordRule({ mode: 'detailed', session: NAMED, propagation: DEFAULT_PROPAGATION, contexts: null, kept: AS_STARTED });

export const BLOCKING = ['webRequest.onBeforeSendHeaders', 'webRequest.onHeadersReceived'];

/** @param {string} [mode] @param {object} [session] @param {Partial<typeof DEFAULT_PROPAGATION>} [settings] */
export const answer = (mode = 'auto', session = NAMED, settings = {}) => ({
  v: 1,
  type: 'session',
  host: '0.1.0',
  mode,
  exports: true,
  webVitals: false,
  propagation: { ...DEFAULT_PROPAGATION, ...settings },
  session,
  contexts: [],
  traces: [],
});

/** Waits for rule updates. */
export async function idle() {
  for (let n = 0; n < 5; n += 1) await settled();
}

/**
 * @param {ReturnType<typeof fakeChrome>} browser
 * @param {{ restarted?: boolean }} [options]
 */
export function start(browser, { restarted = false } = {}) {
  let started = false;
  const { fallback, session, host, outbox } = connectHost({ renewed: () => void ready.then(({ mode }) => mode.renew()) });
  const starts = new NavigationStarts();
  const requests = new Requests(outbox, starts, session);
  const documents = new Documents();
  const injector = new Injector(fallback, documents, requests);
  if (restarted) {
    injector.listen();
    requests.listen(EVERYTHING);
    requests.sampled();
  }
  // The tests call the tracker themselves.
  const navigations = watchNavigations(new Promise(() => {}), { outbox, documents, starts });
  const ready = startHeaders(session, host, { injector, navigations }, { outbox, documents, requests });
  void ready.then(() => (started = true));
  const port = browser.ports.at(-1);
  assert.ok(port);
  /** The record without the user's choices. */
  const inForce = () => {
    const before = readRecord([...browser.rules.values()]);
    return before && { session: before.session, mode: before.mode, propagation: before.propagation, contexts: before.contexts };
  };
  const contexts = () => inForce()?.contexts;
  /** What the host that is there now was told, besides that the stock runs low and what was observed. @returns {string[]} */
  const said = () =>
    (browser.ports.at(-1)?.sent ?? [])
      .filter(({ type }) => type !== 'replenish' && type !== 'observed')
      .map(({ type, mode }) => (type === 'armed' ? `armed ${mode}` : type));
  return { ready, session, injector, port, inForce, contexts, said, started: () => started };
}

/** @param {Parameters<typeof fakeChrome>[0] & { mode?: string }} [options] */
export async function running({ mode = 'auto', ...options } = {}) {
  const browser = fakeChrome({ ...OPEN, ...options });
  const worker = start(browser);
  await settled();
  worker.port.receive(answer(mode));
  await idle();
  return { ...browser, ...worker, browser, navigations: (await worker.ready).navigations };
}

/**
 * Replaces the host by another one, which wants a mode.
 *
 * @param {ReturnType<typeof fakeChrome>} browser
 * @param {string} mode
 */
export function anotherHost({ ports }, mode) {
  ports.at(-1)?.disconnect();
  mock.timers.tick(10_000);
  const port = ports.at(-1);
  assert.ok(port);
  port.receive(answer(mode));
  return port;
}

/** Makes rule updates from now on wait. @param {ReturnType<typeof fakeChrome>} browser */
export function hold(browser) {
  /** @type {(value?: unknown) => void} */
  let release = () => {};
  browser.state.held = new Promise((resolve) => (release = resolve));
  return () => {
    browser.state.held = null;
    release();
  };
}

/**
 * Checks what requests with and without a tab carry.
 *
 * @param {ReturnType<typeof fakeChrome>} browser
 * @param {string} traceId the trace that each must carry
 */
export function assertCarried(browser, traceId = NAMED.traceId) {
  for (const tabId of [TAB, -1]) {
    const headers = browser.leave({ tabId, documentId: 'd' });
    const carried = headers.filter(({ name }) => name.toLowerCase() === 'traceparent');
    assert.deepEqual(carried.map(({ value }) => parseTraceparent(value)?.traceId), [traceId]);
  }
}

/** Has requests leave at every step until nothing more is due. @param {ReturnType<typeof fakeChrome>} browser */
export async function assertNoGap(browser) {
  for (let n = 0; n < 12; n += 1) {
    assertCarried(browser);
    await Promise.resolve();
    assertCarried(browser);
    await settled();
  }
}

/**
 * Returns whether the listeners of `observe/navigations.js` hear of main-frame requests.
 *
 * @param {ReturnType<typeof fakeChrome>} browser
 * @param {string} [event]
 */
const hearsMainFrames = ({ registered }, event = 'onSendHeaders') =>
  (registered.get(`webRequest.${event}`) ?? []).some(({ filter, extra }) => filter?.types?.length === 1 && !extra.includes('blocking'));

/**
 * Runs a navigation, with the browser's events about it.
 *
 * @param {{ browser: ReturnType<typeof fakeChrome>, navigations: NavigationTracker }} worker
 * @param {string} requestId
 * @param {number} [tabId]
 */
export function navigate({ browser, navigations }, requestId, tabId = TAB) {
  const details = { requestId, tabId, type: 'main_frame', url: PAGE, documentLifecycle: 'active' };
  const isHeard = hearsMainFrames(browser);
  const sent = navigations.carriedBy(browser.leave(details));
  if (isHeard) navigations.requested(tabId, requestId, sent);
  const named = browser.fire('webRequest.onHeadersReceived', { ...details, statusCode: 200, responseHeaders: [] });
  navigations.responded(tabId, requestId, PAGE, null);
  const committed = navigations.committed(tabId, PAGE).map(({ spanId }) => spanId);
  return { named: /** @type {string | undefined} */ (named?.responseHeaders?.[0]?.value), committed };
}

/**
 * Sends a request of a tab.
 *
 * @param {ReturnType<typeof fakeChrome>} browser
 * @param {string} requestId
 */
export const leaveOne = (browser, requestId) =>
  parseTraceparent(browser.leave({ requestId, tabId: TAB }).find(({ name }) => name === 'traceparent')?.value);

/** @param {ReturnType<typeof fakeChrome>} browser @returns {any[]} the requests that started, as the current host knows them */
export function observedStarts(browser) {
  mock.timers.tick(BATCH_DELAY);
  return observationsOf(browser.ports.at(-1)).filter(({ what }) => what === 'request-started');
}

export const ELSEWHERE = 'https://elsewhere.test/';
export const TARGETS = { targets: ['^https://example\\.test/'] };
export const CLIENT = { traceId: '9'.repeat(32), spanId: '9'.repeat(16) };
export const THEIRS = { traceparent: `00-${CLIENT.traceId}-${CLIENT.spanId}-01`, tracestate: 'x=1' };

/**
 * Starts a worker in a browser with one tab, and a host with these settings.
 *
 * @param {Partial<typeof DEFAULT_PROPAGATION>} settings
 * @param {Parameters<typeof fakeChrome>[0] & { mode?: string, restarted?: boolean, flags?: string }} [options] `flags` of the session
 */
export async function carrying(settings, { mode = 'auto', restarted = false, flags = '01', ...options } = {}) {
  const browser = fakeChrome({ ...OPEN, ...options });
  const worker = start(browser, { restarted });
  await settled();
  worker.port.receive(answer(mode, { ...NAMED, flags }, settings));
  await idle();
  return { ...worker, browser, navigations: (await worker.ready).navigations };
}

/** @param {Record<string, string>} headers */
export const list = (headers) => Object.entries(headers).map(([name, value]) => ({ name, value }));

/**
 * Sends a request that has headers already.
 *
 * @param {{ browser: ReturnType<typeof fakeChrome> }} worker
 * @param {object} details
 * @param {Record<string, string>} [headers]
 * @returns {Record<string, string | undefined>} the headers in the end
 */
export const carriedBy = ({ browser }, details, headers = {}) =>
  Object.fromEntries(browser.leave({ tabId: TAB, documentId: 'd', ...details, requestHeaders: list(headers) }).map(({ name, value }) => [name, value]));

/**
 * Runs a client's navigation up to its document.
 *
 * @param {{ browser: ReturnType<typeof fakeChrome>, navigations: NavigationTracker }} worker
 * @param {string} requestId
 * @param {Record<string, string>} [headers]
 * @param {string} [url]
 */
export async function visit({ browser, navigations }, requestId, headers = {}, url = PAGE) {
  const details = { requestId, tabId: TAB, type: 'main_frame', url, documentLifecycle: 'active' };
  const requestHeaders = list(headers);
  const isHeard = hearsMainFrames(browser);
  if (hearsMainFrames(browser, 'onBeforeSendHeaders')) navigations.arrived({ ...details, requestHeaders }, steeringHeader(requestHeaders));
  const left = browser.leave({ ...details, requestHeaders });
  if (isHeard && navigations.isTarget(url)) navigations.requested(TAB, requestId, navigations.carriedBy(left));
  const ended = navigations.responded(TAB, requestId, url, null);
  const committed = navigations.committed(TAB, url);
  await idle();
  return { carried: /** @type {Record<string, string | undefined>} */ (Object.fromEntries(left.map(({ name, value }) => [name, value]))), committed, ended };
}

/** @param {Record<string, string | undefined>} headers */
export const traceOf = ({ traceparent }) => parseTraceparent(traceparent)?.traceId;
/** @param {Record<string, string | undefined>} headers */
export const spanOf = ({ traceparent }) => parseTraceparent(traceparent)?.spanId;
