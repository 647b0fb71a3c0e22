import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { inForceBy } from '../../extension/headers/rules.js';
import { formatTraceparent, parseTraceparent } from '../../extension/context/traceparent.js';
import { fakeChrome, settled } from './support/chrome.js';

const TAB = 100;
const PAGE = 'https://example.test/';
const NAMED = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '00' };

const EVENTS = [
  'tabs.onCreated',
  'tabs.onRemoved',
  'tabs.onReplaced',
  'webNavigation.onCommitted',
  'webNavigation.onErrorOccurred',
  'webRequest.onErrorOccurred',
  'webRequest.onHeadersReceived',
  'webRequest.onResponseStarted',
  'webRequest.onSendHeaders',
  'windows.onCreated',
];

/** The events whose listeners requests wait for. */
const BLOCKING = ['webRequest.onBeforeSendHeaders', 'webRequest.onHeadersReceived'];

let workers = 0;

beforeEach(() => {
  mock.reset();
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
});

/**
 * Starts the worker in the browser that is in place.
 *
 * @param {string | null} [state] how far the browser has come with it: `activated` when a worker ran before this one;
 *   null when it does not say
 */
async function importWorker(state = 'parsed') {
  workers += 1;
  Object.assign(globalThis, { self: state === null ? {} : { serviceWorker: { state } } });
  await import(String(new URL(`../../extension/service-worker.js?${workers}`, import.meta.url)));
}

/** Waits for some rule updates. */
async function idle() {
  for (let n = 0; n < 5; n += 1) await settled();
}

/** A browser whose worker has armed the host's session. @param {{ granted?: boolean, mode?: string }} [options] */
async function armed({ granted = false, mode = 'auto' } = {}) {
  const browser = fakeChrome({ tabs: [TAB], windows: [TAB - 1], granted });
  await importWorker();
  await settled();
  browser.ports[0]?.receive({ v: 1, type: 'session', host: '0.1.0', mode, session: NAMED, contexts: [] });
  await idle();
  const inForce = () => inForceBy([...browser.rules.values()])?.contexts;
  return { ...browser, inForce };
}

/** @param {import('./support/chrome.js').Header[]} headers */
const contextIn = (headers) => parseTraceparent(headers.find(({ name }) => name === 'traceparent')?.value);

/** @type {[what: string, state: string | null, blocking: string[]][]} */
const WORKERS = [
  ['a fresh worker', 'parsed', []],
  ['a worker that is not told whether it is fresh', null, []],
  ['a restarted worker', 'activated', BLOCKING],
];
for (const [what, workerState, expected] of WORKERS) {
  test(`${what} connects the host first, and has its listeners before anything has answered`, async () => {
    const browser = fakeChrome({ granted: true });
    /** @type {string[]} */
    let listening = [];
    /** @type {string[]} */
    let blocking = [];
    // The first thing that an answer lets run comes after all that ran at once.
    const { getSessionRules } = chrome.declarativeNetRequest;
    Object.assign(chrome.declarativeNetRequest, {
      getSessionRules: () => {
        queueMicrotask(() => ([listening, blocking] = [browser.listening(), browser.blocking()]));
        return getSessionRules();
      },
    });
    await importWorker(workerState);
    assert.equal(browser.calls[0], 'connectNative');
    assert.deepEqual(listening, [...new Set([...EVENTS, ...expected])].sort());
    assert.deepEqual(blocking, expected);
  });
}

for (const granted of [true, false]) {
  test(`a fresh worker ${granted ? 'with the grant has' : 'without the grant never has'} requests wait`, async () => {
    const { blocking } = await armed({ granted });
    assert.deepEqual(blocking(), granted ? BLOCKING : []);
  });
}

test('a restarted worker that nothing is granted to lets requests go', async () => {
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

test('a navigation moves the context that its request carried to its document', async () => {
  const { fire, inForce, ports } = await armed();
  const sent = inForce()?.spare;
  assert.ok(sent);
  const request = { tabId: TAB + 1000, requestId: '1', type: 'main_frame', url: PAGE, documentLifecycle: 'active' };
  const value = formatTraceparent({ traceId: NAMED.traceId, ...sent });
  fire('webRequest.onSendHeaders', { ...request, requestHeaders: [{ name: 'traceparent', value }] });
  fire('webRequest.onHeadersReceived', { ...request, statusCode: 200, responseHeaders: [] });
  fire('webNavigation.onCommitted', { ...request, parentFrameId: -1, documentId: 'd' });
  await idle();
  assert.deepEqual(inForce()?.tabs.get(TAB + 1000)?.current, sent);
  assert.deepEqual(ports[0]?.sent.at(-1), { v: 1, type: 'navigation', tabId: TAB + 1000, spanId: sent.spanId, outcome: 'committed' });
});

test('a download that only its headers tell leaves the page its context', async () => {
  const { fire, inForce, ports } = await armed();
  const before = inForce()?.tabs.get(TAB)?.current;
  const request = { tabId: TAB, requestId: '1', type: 'main_frame', url: PAGE, documentLifecycle: 'active' };
  fire('webRequest.onSendHeaders', { ...request, requestHeaders: [] });
  const responseHeaders = [{ name: 'Content-Type', value: 'application/zip' }];
  fire('webRequest.onResponseStarted', { ...request, statusCode: 200, responseHeaders });
  await idle();
  assert.deepEqual(inForce()?.tabs.get(TAB)?.current, before);
  assert.notDeepEqual(inForce()?.tabs.get(TAB)?.next, before);
  assert.equal(ports[0]?.sent.at(-1).outcome, 'failed');
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

test('in detailed mode a navigation has one name in its response and its report', async () => {
  const { fire, leave, ports, updates } = await armed({ granted: true });
  ports[0]?.receive({ v: 1, type: 'contexts', contexts: [{ spanId: 'c'.repeat(16), flags: '01' }] });
  const request = { tabId: TAB, requestId: '1', type: 'main_frame', url: PAGE, documentLifecycle: 'active' };
  const hops = [contextIn(leave(request)), contextIn(leave(request))];
  assert.ok(hops.every((hop) => hop?.traceId === NAMED.traceId && hop.flags === '01'));
  assert.notEqual(hops[0]?.spanId, hops[1]?.spanId);
  const received = { ...request, statusCode: 200, responseHeaders: [] };
  const { responseHeaders } = fire('webRequest.onHeadersReceived', received);
  const value = `traceparent;desc="00-${NAMED.traceId}-${'c'.repeat(16)}-01"`;
  assert.deepEqual(responseHeaders, [{ name: 'Server-Timing', value }]);
  fire('webRequest.onResponseStarted', { ...request, statusCode: 200, responseHeaders });
  fire('webNavigation.onCommitted', { ...request, parentFrameId: -1, documentId: 'd' });
  const sub = contextIn(leave({ tabId: TAB, requestId: '2', documentId: 'd' }));
  assert.deepEqual([sub?.traceId, sub?.flags], [NAMED.traceId, '01']);
  await idle();
  const reports = ports[0]?.sent.filter(({ type }) => type === 'navigation');
  assert.deepEqual(reports, [{ v: 1, type: 'navigation', tabId: TAB, spanId: 'c'.repeat(16), outcome: 'committed' }]);
  assert.equal(updates.length, 1);
});

test('a host that wants another mode than the one before is followed', async () => {
  const { ports, blocking, leave } = await armed({ granted: true, mode: 'lightweight' });
  assert.deepEqual(blocking(), []);
  ports[0]?.receive({ v: 1, type: 'session', host: '0.1.0', mode: 'detailed', session: NAMED, contexts: [] });
  await idle();
  assert.deepEqual(blocking(), BLOCKING);
  assert.equal(contextIn(leave({ tabId: TAB }))?.traceId, NAMED.traceId);
  const modes = ports[0]?.sent.filter(({ type }) => type === 'armed').map(({ mode }) => mode);
  assert.deepEqual(modes, ['lightweight', 'detailed']);
});
