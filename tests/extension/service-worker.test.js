import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { DEFAULT_PROPAGATION } from '../../extension/context/propagation.js';
import { readRecord } from '../../extension/headers/record.js';
import { formatTraceparent } from '../../extension/context/traceparent.js';
import { BATCH_DELAY } from '../../extension/observe/outbox.js';
import { fakeChrome, observationsOf, settled } from './support/chrome.js';
import { parseTraceparent } from './support/traceparent.js';

const TAB = 100;
const PAGE = 'https://example.test/';
const NAMED = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '01' };

const EVENTS = [
  'runtime.onConnect',
  'runtime.onMessage',
  'tabs.onCreated',
  'tabs.onRemoved',
  'tabs.onReplaced',
  'webNavigation.onBeforeNavigate',
  'webNavigation.onCommitted',
  'webNavigation.onCompleted',
  'webNavigation.onDOMContentLoaded',
  'webNavigation.onErrorOccurred',
  'webRequest.onBeforeSendHeaders',
  'webRequest.onErrorOccurred',
  'webRequest.onHeadersReceived',
  'webRequest.onResponseStarted',
  'webRequest.onSendHeaders',
  'windows.onCreated',
];

/** The request of a navigation, as in the browser's events. */
const REQUEST = {
  tabId: TAB,
  requestId: '1',
  type: 'main_frame',
  method: 'GET',
  url: PAGE,
  documentLifecycle: 'active',
  timeStamp: 1,
};

/** The events about the ends of requests, which need no listener before something is observed. */
const ENDS = ['webRequest.onBeforeRedirect', 'webRequest.onCompleted'];

/** The events whose listeners block requests. */
const BLOCKING = ['webRequest.onBeforeSendHeaders', 'webRequest.onHeadersReceived'];

/** @param {string} mode */
const answer = (mode) => ({
  v: 1,
  type: 'session',
  host: '0.1.0',
  mode,
  exports: true,
  propagation: DEFAULT_PROPAGATION,
  session: NAMED,
  contexts: [],
  traces: [],
});

let workers = 0;

beforeEach(() => {
  mock.reset();
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
});

/**
 * Starts the worker in the fake browser.
 *
 * @param {string | null} [state] how far the browser has come with it: `activated` when a worker ran before this one;
 *   null when it does not say
 */
async function importWorker(state = 'parsed') {
  workers += 1;
  Object.assign(globalThis, { self: state === null ? {} : { serviceWorker: { state } } });
  await import(String(new URL(`../../extension/service-worker.js?${workers}`, import.meta.url)));
}

/** @param {{ ports: import('./support/chrome.js').FakePort[] }} browser @returns {any[]} what the host was told of */
function observedBy({ ports }) {
  mock.timers.tick(BATCH_DELAY);
  return observationsOf(ports[0]);
}

/** Waits for rule updates. */
async function idle() {
  for (let n = 0; n < 5; n += 1) await settled();
}

/** A browser whose worker has armed the host's session. @param {{ granted?: boolean, asks?: boolean, mode?: string }} [options] */
async function armed({ granted = false, asks = granted, mode = 'auto' } = {}) {
  const browser = fakeChrome({ tabs: [TAB], windows: [TAB - 1], granted, asks });
  await importWorker();
  await settled();
  browser.ports[0]?.receive(answer(mode));
  await idle();
  const inForce = () => readRecord([...browser.rules.values()])?.contexts;
  return { ...browser, inForce };
}

/** @param {import('./support/chrome.js').Header[]} headers */
const contextIn = (headers) => parseTraceparent(headers.find(({ name }) => name === 'traceparent')?.value);

/** @type {[what: string, state: string | null, blocking: string[], ends: string[]][]} */
const WORKERS = [
  ['a fresh worker', 'parsed', [], []],
  ['a worker of unknown state', null, [], []],
  ['a restarted worker', 'activated', BLOCKING, ENDS],
];
for (const [what, workerState, expected, ends] of WORKERS) {
  test(`${what} connects, then registers listeners`, async () => {
    const browser = fakeChrome({ granted: true });
    /** @type {string[]} */
    let listening = [];
    /** @type {string[]} */
    let blocking = [];
    // Microtasks run after everything synchronous.
    const { getSessionRules } = chrome.declarativeNetRequest;
    Object.assign(chrome.declarativeNetRequest, {
      getSessionRules: () => {
        queueMicrotask(() => ([listening, blocking] = [browser.listening(), browser.blocking()]));
        return getSessionRules();
      },
    });
    await importWorker(workerState);
    assert.equal(browser.calls[0], 'connectNative');
    assert.deepEqual(listening, [...EVENTS, ...ends].sort());
    assert.deepEqual(blocking, expected);
  });
}

for (const granted of [true, false]) {
  test(`requests wait for a fresh worker only with the grant: ${granted}`, async () => {
    const { blocking } = await armed({ granted });
    assert.deepEqual(blocking(), granted ? BLOCKING : []);
  });
}

test('a restarted worker without the grant lets requests go', async () => {
  const { blocking } = fakeChrome();
  await importWorker('activated');
  assert.deepEqual(blocking(), BLOCKING);
  mock.timers.tick(1000);
  await idle();
  mock.timers.tick(1000);
  await idle();
  assert.deepEqual(blocking(), []);
});

test('the worker keeps itself alive', async () => {
  const { calls } = await armed();
  const beats = () => calls.filter((name) => name === 'getPlatformInfo').length;
  mock.timers.tick(60_000);
  assert.equal(beats(), 3);
});

test("a navigation moves its request's context to its document", async () => {
  const browser = await armed();
  const { fire, inForce } = browser;
  const sent = inForce()?.spare;
  assert.ok(sent);
  const request = { ...REQUEST, tabId: TAB + 1000 };
  const value = formatTraceparent({ traceId: NAMED.traceId, ...sent });
  fire('webRequest.onSendHeaders', { ...request, requestHeaders: [{ name: 'traceparent', value }] });
  fire('webRequest.onHeadersReceived', { ...request, statusCode: 200, responseHeaders: [] });
  fire('webNavigation.onCommitted', { ...request, parentFrameId: -1, documentId: 'd', transitionType: 'link' });
  await idle();
  assert.deepEqual(inForce()?.tabs.get(TAB + 1000)?.current, sent);
  const [started, committed] = observedBy(browser);
  assert.deepEqual([started.what, started.parent], ['request-started', sent.spanId]);
  assert.deepEqual([committed.what, committed.spanId, committed.tabId], ['navigation-committed', sent.spanId, TAB + 1000]);
});

test('a page that was open has a navigation, and its next one is another', async () => {
  const browser = fakeChrome({ tabs: [TAB], windows: [TAB - 1], granted: true });
  const page = { parentFrameId: -1, documentId: 'open', documentLifecycle: 'active', url: PAGE };
  browser.state.frames.set(TAB, [page, { ...page, parentFrameId: 0, documentId: 'frame', parentDocumentId: 'open' }]);
  await importWorker();
  await settled();
  browser.ports[0]?.receive(answer('auto'));
  await idle();
  browser.fire('webNavigation.onCompleted', { ...page, tabId: TAB, timeStamp: 2 });
  for (const documentId of ['open', 'frame']) browser.leave({ tabId: TAB, requestId: documentId, documentId });
  browser.leave({ ...REQUEST, documentId: undefined });
  const [{ what, spanId, tabId, url, transition }, loaded, ...requests] = observedBy(browser);
  assert.deepEqual({ what, tabId, url, transition }, { what: 'navigation-committed', tabId: TAB, url: PAGE, transition: 'already-open' });
  assert.deepEqual([loaded.what, loaded.spanId], ['document-loaded', spanId]);
  assert.deepEqual(requests.map(({ parent }) => parent === spanId), [true, true, false]);
});

test('a download known by its headers leaves the page its context', async () => {
  const browser = await armed();
  const { fire, inForce } = browser;
  const before = inForce()?.tabs.get(TAB)?.current;
  fire('webRequest.onSendHeaders', { ...REQUEST, requestHeaders: [] });
  const responseHeaders = [{ name: 'Content-Type', value: 'application/zip' }];
  fire('webRequest.onResponseStarted', { ...REQUEST, statusCode: 200, responseHeaders });
  await idle();
  assert.deepEqual(inForce()?.tabs.get(TAB)?.current, before);
  assert.notDeepEqual(inForce()?.tabs.get(TAB)?.next, before);
  assert.equal(observedBy(browser).at(-1).what, 'navigation-failed');
});

test('a closed tab has no rules after the next update', async () => {
  const { fire, inForce } = await armed();
  assert.ok(inForce()?.tabs.has(TAB));
  fire('tabs.onRemoved', TAB);
  fire('tabs.onCreated', { id: TAB + 20, windowId: TAB - 1 });
  await idle();
  assert.equal(inForce()?.tabs.has(TAB), false);
  assert.ok(inForce()?.tabs.has(TAB + 20));
});

test('in detailed mode a navigation has one name everywhere', async () => {
  const browser = await armed({ granted: true });
  const { fire, leave, ports, updates } = browser;
  ports[0]?.receive({ v: 1, type: 'contexts', contexts: [{ spanId: 'c'.repeat(16), flags: '03' }], traces: [] });
  const hops = [contextIn(leave(REQUEST)), contextIn(leave(REQUEST))];
  assert.ok(hops.every((hop) => hop?.traceId === NAMED.traceId && hop.flags === '03'));
  assert.notEqual(hops[0]?.spanId, hops[1]?.spanId);
  const received = { ...REQUEST, statusCode: 200, responseHeaders: [] };
  const { responseHeaders } = fire('webRequest.onHeadersReceived', received);
  const value = `traceparent;desc="00-${NAMED.traceId}-${'c'.repeat(16)}-03"`;
  assert.deepEqual(responseHeaders, [{ name: 'Server-Timing', value }]);
  fire('webRequest.onResponseStarted', { ...REQUEST, statusCode: 200, responseHeaders });
  const page = { ...REQUEST, parentFrameId: -1, documentId: 'd', transitionType: 'link' };
  fire('webNavigation.onCommitted', page);
  fire('webNavigation.onDOMContentLoaded', page);
  fire('webNavigation.onCompleted', page);
  const sub = contextIn(leave({ tabId: TAB, requestId: '2', documentId: 'd' }));
  assert.deepEqual([sub?.traceId, sub?.flags], [NAMED.traceId, '03']);
  await idle();
  const told = observedBy(browser).map(({ what, spanId, parent }) => [what, parent ?? spanId]);
  const name = 'c'.repeat(16);
  assert.deepEqual(told, [
    // The flags differ from the session's.
    ['context-issued', NAMED.spanId],
    ['request-started', name],
    ['request-started', name],
    ['navigation-committed', name],
    ['document-parsed', name],
    ['document-loaded', name],
    ['request-started', name],
  ]);
  assert.equal(updates.length, 1);
});

test('a browser that never asks the listener is noticed', async () => {
  const { fire, leave, blocking, listening, ports } = await armed({ granted: true, asks: false });
  mock.timers.tick(10);
  assert.deepEqual(blocking(), BLOCKING);
  assert.ok(!listening().includes('webRequest.onSendHeaders'));
  fire('webNavigation.onBeforeNavigate', { tabId: TAB, url: PAGE, parentFrameId: -1, documentLifecycle: 'active', timeStamp: Date.now() });
  assert.equal(contextIn(leave(REQUEST)), null);
  fire('webRequest.onResponseStarted', { ...REQUEST, statusCode: 200, responseHeaders: [] });
  await idle();
  assert.deepEqual(ports[0]?.sent.filter(({ type }) => type === 'armed').map(({ mode }) => mode), ['detailed', 'lightweight']);
  assert.deepEqual(blocking(), []);
  assert.ok(listening().includes('webRequest.onSendHeaders'));
  assert.equal(contextIn(leave(REQUEST))?.traceId, NAMED.traceId);
});

test('a host that wants another mode is followed', async () => {
  const { ports, blocking, leave } = await armed({ granted: true, mode: 'lightweight' });
  assert.deepEqual(blocking(), []);
  ports[0]?.receive(answer('detailed'));
  await idle();
  assert.deepEqual(blocking(), BLOCKING);
  assert.equal(contextIn(leave({ tabId: TAB }))?.traceId, NAMED.traceId);
  const modes = ports[0]?.sent.filter(({ type }) => type === 'armed').map(({ mode }) => mode);
  assert.deepEqual(modes, ['lightweight', 'detailed']);
});

test('a restarted worker observes at once and reports later', async () => {
  const { rules } = await armed({ granted: true });
  const browser = fakeChrome({ tabs: [TAB], windows: [TAB - 1], granted: true, rules: [...rules.values()] });
  await importWorker('activated');
  const carried = contextIn(browser.leave({ tabId: TAB, requestId: '1' }));
  const details = { requestId: '1', timeStamp: 2, method: 'GET', url: PAGE, type: 'script' };
  browser.fire('webRequest.onErrorOccurred', { ...details, error: 'net::ERR_FAILED' });
  await idle();
  assert.deepEqual(observedBy(browser), []);
  browser.ports[0]?.receive(answer('auto'));
  const [started, failed] = observedBy(browser);
  assert.deepEqual([started.spanId, started.traceId, started.parent], [carried?.spanId, carried?.traceId, undefined]);
  assert.deepEqual([failed.what, failed.request], ['request-failed', '1']);
});

for (const granted of [false, true]) {
  test(`a script chooses and steers a trace, ${granted ? 'detailed' : 'lightweight'}`, async () => {
    const browser = await armed({ granted });
    const theirs = { traceId: '9'.repeat(32), spanId: '9'.repeat(16), flags: '01' };
    /** @param {string} requestId @param {Record<string, string>} [said] */
    const visit = async (requestId, said = {}) => {
      const details = { ...REQUEST, requestId };
      const headers = { Traceparent: formatTraceparent(theirs), ...said };
      const carried = browser.leave({ ...details, requestHeaders: Object.entries(headers).map(([name, value]) => ({ name, value })) });
      browser.fire('webRequest.onHeadersReceived', { ...details, statusCode: 200, responseHeaders: [] });
      browser.fire('webRequest.onResponseStarted', { ...details, statusCode: 200, responseHeaders: [] });
      browser.fire('webNavigation.onCommitted', { ...details, parentFrameId: -1, documentId: requestId, transitionType: 'link' });
      await idle();
      return carried;
    };
    const first = await visit('1');
    assert.equal(contextIn(first)?.traceId, granted ? theirs.traceId : NAMED.traceId);
    assert.equal(contextIn(await visit('2'))?.traceId, theirs.traceId);
    if (!granted) await visit('3', { 'Sec-CH-NavTrace': 'propagator=b3' });
    const steered = await visit('4', { 'Sec-CH-NavTrace': 'propagator=b3' });
    assert.deepEqual(steered.map(({ name }) => name), ['b3']);
    assert.ok(steered[0]?.value?.startsWith(theirs.traceId));
    const sub = browser.leave({ tabId: TAB, requestId: '5', documentId: '4' });
    assert.deepEqual(sub.map(({ name }) => name), ['b3']);
    const told = observedBy(browser);
    const issued = told.filter(({ what, issuedFor }) => what === 'context-issued' && issuedFor === 'client');
    assert.deepEqual(issued.map(({ traceId, spanId }) => [traceId, spanId]), [[theirs.traceId, theirs.spanId]]);
    const commits = told.filter(({ what }) => what === 'navigation-committed');
    assert.equal(new Set(commits.map(({ spanId }) => spanId)).size, granted ? 3 : 4);
    const started = told.filter(({ what }) => what === 'request-started');
    assert.deepEqual(started.map(({ parent }) => parent), [...commits.map(({ spanId }) => spanId), commits.at(-1).spanId]);
    for (const { caller, link } of started) assert.deepEqual([caller, link], [undefined, undefined]);
  });
}
