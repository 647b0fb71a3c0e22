import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { IncognitoTabs, WORKERS } from '../../extension/context/incognito.js';
import { DEFAULT_PROPAGATION } from '../../extension/context/propagation.js';
import { recordRule } from '../../extension/headers/record.js';
import { BATCH_DELAY } from '../../extension/observe/outbox.js';
import { fakeChrome, observationsOf, settled } from './support/chrome.js';
import { AS_STARTED, NAMED, OPEN, PAGE, TAB, answer, carriedBy, idle, traceOf } from './support/headers.js';
import { resetMocks } from './support/worker.js';

beforeEach(() => {
  resetMocks();
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
});

/** Tabs that open, the second in an Incognito window. */
const REGULAR = TAB + 2;
const INCOGNITO = TAB + 4;

test('tabs in Incognito windows are known, also after they have closed', () => {
  for (const setting of /** @type {const} */ (['shared', 'headers', 'export', undefined])) {
    const isIncognito = setting === 'headers' || setting === 'export';
    const tabs = new IncognitoTabs(() => setting);
    tabs.opened({ id: 1, incognito: false });
    tabs.opened({ incognito: true });
    assert.deepEqual([tabs.excludesWorkers, tabs.observes(WORKERS)], [isIncognito, setting !== 'headers']);
    assert.deepEqual([1, INCOGNITO, null].map((id) => tabs.mayBeIncognito(id)), [false, isIncognito, isIncognito]);
    assert.equal(tabs.observes(INCOGNITO), setting !== 'headers', 'nothing is known of it yet');
    tabs.opened({ id: INCOGNITO, incognito: true });
    // Also after they have closed: workers and pages that have gone may still make requests.
    for (let turn = 0; turn < 2; turn += 1) {
      assert.deepEqual([tabs.isIncognito(1), tabs.isIncognito(INCOGNITO), tabs.isIncognito(null)], [false, isIncognito, false], setting);
      assert.deepEqual([1, INCOGNITO, WORKERS].map((id) => tabs.observes(id)), [true, setting !== 'headers', setting !== 'headers'], setting);
      assert.equal(tabs.excludesWorkers, isIncognito);
      tabs.closed(INCOGNITO);
      tabs.closed(1);
    }
    assert.equal(tabs.mayBeIncognito(1), false, 'late events may tell of a closed tab');
  }
});

test('before the first Incognito window all tabs are taken for regular ones', () => {
  const tabs = new IncognitoTabs(() => 'headers');
  for (const tab of [{ id: 1, incognito: false }, { id: 2, incognito: false }]) {
    assert.deepEqual([tab.id, INCOGNITO, null].map((id) => tabs.mayBeIncognito(id)), [false, false, false]);
    tabs.opened(tab);
    assert.equal(tabs.observes(INCOGNITO), true);
  }
});

let workers = 0;

/**
 * Starts the whole worker in the user's own browser with a regular tab, and opens an Incognito one.
 *
 * @param {{ granted: boolean, incognito: 'headers' | 'export', scope: 'session' | 'tab' | 'navigation', baggage?: string }} options
 */
async function browsing({ granted, ...settings }) {
  const browser = fakeChrome({ ...OPEN, granted });
  workers += 1;
  Object.assign(globalThis, { self: { serviceWorker: { state: 'parsed' } } });
  await import(String(new URL(`../../extension/service-worker.js?incognito-${workers}`, import.meta.url)));
  await settled();
  const [port] = browser.ports;
  port?.receive(answer('auto', undefined, settings));
  await idle();
  browser.fire('tabs.onCreated', { id: REGULAR, windowId: REGULAR - 1, incognito: false });
  browser.fire('tabs.onCreated', { id: INCOGNITO, windowId: INCOGNITO - 1, incognito: true });
  await idle();
  let visits = 0;
  /** Returns the traces of a navigation and of a request of its page. @param {number} tabId @param {string} url */
  const visit = async (tabId, url) => {
    visits += 1;
    const details = { requestId: `n${visits}`, tabId, type: 'main_frame', method: 'GET', url, documentLifecycle: 'active', timeStamp: 1 };
    const page = { tabId, url, parentFrameId: -1, documentLifecycle: 'active', documentId: `d${visits}`, timeStamp: 2, transitionType: 'link' };
    const document = carriedBy({ browser }, { ...details, documentId: undefined });
    browser.fire('webRequest.onHeadersReceived', { ...details, statusCode: 200, responseHeaders: [] });
    await idle();
    browser.fire('webRequest.onResponseStarted', { ...details, statusCode: 200, responseHeaders: [] });
    browser.fire('webNavigation.onCommitted', page);
    browser.fire('webNavigation.onCompleted', page);
    browser.fire('webRequest.onCompleted', { ...details, statusCode: 200, statusLine: 'HTTP/1.1 200' });
    await idle();
    const asset = { requestId: `r${visits}`, tabId, documentId: page.documentId, type: 'script', method: 'GET', url: `${url}asset`, timeStamp: 3 };
    const loaded = carriedBy({ browser }, asset);
    browser.fire('webRequest.onErrorOccurred', { ...asset, error: 'net::ERR_FAILED' });
    browser.fire('webRequest.onErrorOccurred', { ...asset, requestId: `b${visits}`, error: 'net::ERR_BLOCKED_BY_CLIENT' });
    await idle();
    return [traceOf(document), traceOf(loaded)];
  };
  /** Returns what the host was told, as text. */
  const told = () => {
    mock.timers.tick(BATCH_DELAY);
    return JSON.stringify(observationsOf(port));
  };
  return { browser, visit, told };
}

const HIDDEN_PAGE = 'https://secret.test/';

for (const granted of [true, false]) {
  for (const scope of /** @type {const} */ (['session', 'tab', 'navigation'])) {
    for (const incognito of /** @type {const} */ (['headers', 'export'])) {
      test(`${granted ? 'detailed' : 'lightweight'}, scope ${scope}, ${incognito}: Incognito windows are apart`, async () => {
        const { browser, visit, told } = await browsing({ granted, scope, incognito });
        const regular = [...(await visit(REGULAR, PAGE)), ...(await visit(REGULAR, PAGE))];
        const secret = [...(await visit(INCOGNITO, HIDDEN_PAGE)), ...(await visit(INCOGNITO, HIDDEN_PAGE))];
        assert.ok([...regular, ...secret].every((trace) => trace !== undefined));
        assert.equal(new Set(regular).size, scope === 'navigation' ? 2 : 1);
        assert.equal(new Set(secret).size, 2, 'a trace for each navigation');
        assert.ok(secret.every((trace) => !regular.includes(trace)));

        assert.equal(workerCarries(browser), undefined, 'a worker may be for either');
        const text = told();
        assert.ok(text.includes(PAGE));
        assert.equal(text.includes(HIDDEN_PAGE), incognito === 'export');
        for (const trace of secret) assert.equal(text.includes(String(trace)), incognito === 'export');
        browser.fire('tabs.onRemoved', INCOGNITO);
        await idle();
        assert.equal(told().includes(`"tabId":${INCOGNITO}`), incognito === 'export');
        assert.equal(workerCarries(browser), undefined, 'it may go on when its page has gone');

        // The worker may end, and the next one sees no Incognito window.
        const { carried, observed } = await restarted({ incognito, granted, left: [...browser.rules.values()] });
        assert.deepEqual(carried, [undefined, undefined]);
        const ofWorkers = observed.filter((about) => 'request' in about && String(about.request).endsWith(String(WORKERS)));
        assert.equal(ofWorkers.length > 0, incognito === 'export');
      });
    }
  }
}

for (const granted of [true, false]) {
  test(`${granted ? 'detailed' : 'lightweight'}: Incognito windows get no baggage and add no host to it`, async () => {
    const { browser, visit } = await browsing({ granted, scope: 'session', incognito: 'headers', baggage: 'user=alice' });
    await visit(REGULAR, PAGE);
    await visit(INCOGNITO, HIDDEN_PAGE);
    const asked = (/** @type {number} */ tabId, /** @type {string} */ documentId, /** @type {string} */ url) =>
      carriedBy({ browser }, { requestId: `${documentId} ${url}`, tabId, documentId, type: 'script', method: 'GET', url });
    assert.equal(asked(REGULAR, 'd1', PAGE).baggage, 'user=alice');
    const apart = [asked(INCOGNITO, 'd2', HIDDEN_PAGE), asked(INCOGNITO, 'd2', PAGE), asked(REGULAR, 'd1', HIDDEN_PAGE)];
    assert.deepEqual(apart.map(({ traceparent, baggage }) => [traceparent !== undefined, baggage]), Array(3).fill([true, undefined]));
  });
}

/** Returns the context that a request of a worker carries. @param {ReturnType<typeof fakeChrome>} browser */
const workerCarries = (browser) =>
  carriedBy({ browser }, { requestId: 'w', tabId: WORKERS, documentId: undefined, type: 'xmlhttprequest', method: 'GET', url: PAGE }).traceparent;

/** Who makes requests, and to where: a regular tab, an Incognito one, and a worker. */
const EARLY = /** @type {const} */ ([[TAB, PAGE], [INCOGNITO, HIDDEN_PAGE], [WORKERS, 'https://worker.test/']]);

/**
 * Starts a worker that is not the profile's first, in a browser with a regular tab and an Incognito one. Requests leave and fail before anything is
 * known.
 *
 * @param {{ incognito: 'headers' | 'export' | 'shared', granted?: boolean, hasRecord?: boolean, isLate?: boolean, opensLater?: boolean, left?: chrome.declarativeNetRequest.Rule[] }} options
 *   `hasRecord` for a worker that follows another one in the same browser, `isLate` for a host that answers after the
 *   worker has given up waiting, `opensLater` for an Incognito tab that opens after the tabs were listed, `left` for the
 *   rules of a worker that saw the Incognito tab close
 */
async function restarted({ incognito, granted = true, hasRecord = false, isLate = false, opensLater = false, left }) {
  const propagation = { ...DEFAULT_PROPAGATION, incognito };
  const record = recordRule({ mode: granted ? 'detailed' : 'lightweight', session: NAMED, propagation, contexts: null, kept: AS_STARTED });
  const browser = fakeChrome({ ...OPEN, rules: left ?? (hasRecord ? [record] : []), granted });
  const secretTab = { id: INCOGNITO, windowId: INCOGNITO - 1, incognito: true };
  const isOpen = !opensLater && left === undefined;
  let listTabs = () => {};
  const listing = new Promise((resolve) => (listTabs = () => resolve([{ id: TAB, incognito: false }, ...(isOpen ? [secretTab] : [])])));
  Object.assign(chrome.tabs, { query: () => listing });
  workers += 1;
  Object.assign(globalThis, { self: { serviceWorker: { state: 'activated' } } });
  await import(String(new URL(`../../extension/service-worker.js?incognito-${workers}`, import.meta.url)));
  const [port] = browser.ports;
  for (const [tabId, url] of EARLY) {
    const request = { requestId: `r${tabId}`, tabId, type: 'xmlhttprequest', method: 'GET', url, timeStamp: 1 };
    carriedBy({ browser }, { ...request, documentId: undefined });
    browser.fire('webRequest.onErrorOccurred', { ...request, requestId: `f${tabId}`, url: `${url}failed`, error: 'net::ERR_BLOCKED_BY_CLIENT' });
  }
  mock.timers.tick(BATCH_DELAY);
  await settled();
  const beforeTabs = left && workerCarries(browser);
  listTabs();
  await settled();
  if (opensLater) browser.fire('tabs.onCreated', secretTab);
  if (isLate) mock.timers.tick(1000);
  await idle();
  port?.receive(answer('auto', undefined, { incognito }));
  await idle();
  for (const [tabId, url] of EARLY) {
    const request = { requestId: `r${tabId}`, tabId, type: 'xmlhttprequest', method: 'GET', url, timeStamp: 2 };
    browser.fire('webRequest.onCompleted', { ...request, statusCode: 200, statusLine: 'HTTP/1.1 200', ip: '192.0.2.1' });
  }
  mock.timers.tick(BATCH_DELAY);
  await idle();
  return { observed: observationsOf(port), carried: left && [beforeTabs, workerCarries(browser)] };
}

for (const incognito of /** @type {const} */ (['headers', 'export', 'shared'])) {
  for (const options of [{}, { hasRecord: true }, { granted: false }, { isLate: true }, { opensLater: true }, { isLate: true, opensLater: true }]) {
    test(`before the tabs and the setting ${incognito} are known, nothing is sent: ${Object.keys(options).join(', ')}`, async () => {
      const { observed } = await restarted({ incognito, ...options });
      const tabs = EARLY.map(([tabId]) => tabId).filter((tabId) => incognito !== 'headers' || tabId === TAB);
      const early = observed.filter(({ what }) => what === 'request-started' || what === 'request-failed');
      assert.deepEqual(early.map(({ request }) => request), tabs.flatMap((tabId) => ('granted' in options ? [`f${tabId}`] : [`r${tabId}`, `f${tabId}`])), 'in order');
      const ended = observed.filter(({ what }) => what === 'request-completed');
      assert.deepEqual(ended.map(({ request }) => request), tabs.map((tabId) => `r${tabId}`));
    });
  }
}
