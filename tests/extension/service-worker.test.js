import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { contextsFrom } from '../../extension/headers/rules.js';
import { formatTraceparent } from '../../extension/context/traceparent.js';
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

let workers = 0;

beforeEach(() => {
  mock.reset();
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
});

/** Starts the worker in the browser that is in place. */
async function importWorker() {
  workers += 1;
  await import(String(new URL(`../../extension/service-worker.js?${workers}`, import.meta.url)));
}

/** A browser whose worker has armed the host's session. */
async function armed() {
  const browser = fakeChrome({ tabs: [TAB], windows: [TAB - 1] });
  await importWorker();
  await settled();
  browser.ports[0]?.receive({ v: 1, type: 'session', host: '0.1.0', session: NAMED, contexts: [] });
  for (let n = 0; n < 5; n += 1) await settled();
  const inForce = () => contextsFrom([...browser.rules.values()]);
  return { ...browser, inForce };
}

test('the host is connected first, and every listener is there before anything has answered', async () => {
  const browser = fakeChrome();
  /** @type {string[]} */
  let listening = [];
  // The first thing that an answer lets run comes after all that ran at once.
  const { getSessionRules } = chrome.declarativeNetRequest;
  Object.assign(chrome.declarativeNetRequest, {
    getSessionRules: () => {
      queueMicrotask(() => (listening = Object.keys(browser.listeners).sort()));
      return getSessionRules();
    },
  });
  await importWorker();
  assert.equal(browser.calls[0], 'connectNative');
  assert.deepEqual(listening, EVENTS);
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
  const request = { tabId: TAB + 1000, requestId: '1', url: PAGE, documentLifecycle: 'active' };
  const value = formatTraceparent({ traceId: NAMED.traceId, ...sent });
  fire('webRequest.onSendHeaders', { ...request, requestHeaders: [{ name: 'traceparent', value }] });
  fire('webRequest.onHeadersReceived', { ...request, statusCode: 200, responseHeaders: [] });
  fire('webNavigation.onCommitted', { ...request, parentFrameId: -1, documentId: 'd' });
  for (let n = 0; n < 5; n += 1) await settled();
  assert.deepEqual(inForce()?.tabs.get(TAB + 1000)?.current, sent);
  assert.deepEqual(ports[0]?.sent.at(-1), { v: 1, type: 'navigation', tabId: TAB + 1000, spanId: sent.spanId, outcome: 'committed' });
});

test('a download that only its headers tell leaves the page its context', async () => {
  const { fire, inForce, ports } = await armed();
  const before = inForce()?.tabs.get(TAB)?.current;
  const request = { tabId: TAB, requestId: '1', url: PAGE, documentLifecycle: 'active' };
  fire('webRequest.onSendHeaders', { ...request, requestHeaders: [] });
  fire('webRequest.onResponseStarted', { ...request, statusCode: 200, responseHeaders: [{ name: 'Content-Type', value: 'application/zip' }] });
  for (let n = 0; n < 5; n += 1) await settled();
  assert.deepEqual(inForce()?.tabs.get(TAB)?.current, before);
  assert.notDeepEqual(inForce()?.tabs.get(TAB)?.next, before);
  assert.equal(ports[0]?.sent.at(-1).outcome, 'failed');
});

test('a closed tab has no rules after the next update', async () => {
  const { fire, inForce } = await armed();
  assert.ok(inForce()?.tabs.has(TAB));
  fire('tabs.onRemoved', TAB);
  fire('tabs.onCreated', { id: TAB + 20, windowId: TAB - 1 });
  for (let n = 0; n < 5; n += 1) await settled();
  assert.equal(inForce()?.tabs.has(TAB), false);
  assert.ok(inForce()?.tabs.has(TAB + 20));
});
