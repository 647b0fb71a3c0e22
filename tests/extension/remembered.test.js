// What is remembered of requests, navigations and tabs is forgotten in time: a browser may run for weeks.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { RecentIds } from '../../extension/context/clients.js';
import { EVERYTHING } from '../../extension/context/propagation.js';
import { TabSlots } from '../../extension/headers/tab-slots.js';
import { History } from '../../extension/pages/history.js';
import { PARENT, SPAN, observeRequests, request, response } from './support/requests.js';
import { PAGE, TAB, everywhere } from './support/tabs.js';

const ELSEWHERE = 'https://elsewhere.test/';

/** Observes requests to one target. */
function observing() {
  const parts = observeRequests({ targets: ['^https://example\\.test/'], domains: ['example.test'] });
  parts.requests.listen(EVERYTHING);
  const start = (/** @type {string} */ requestId) => parts.requests.started(request({ requestId }), SPAN, PARENT);
  return { ...parts, start, underWay: () => [...parts.requests.underWay()] };
}

for (const [end, event, details] of /** @type {[string, string, object][]} */ ([
  ['completed', 'onCompleted', {}],
  ['failed', 'onErrorOccurred', { error: 'net::ERR_FAILED' }],
  ['redirected elsewhere', 'onBeforeRedirect', { redirectUrl: ELSEWHERE, statusCode: 302 }],
])) {
  test(`a request that has ${end} is not under way`, () => {
    const { browser, start, underWay } = observing();
    start('1');
    start('2');
    browser.fire(`webRequest.${event}`, response({ requestId: '1', ...details }));
    assert.deepEqual(underWay(), ['2']);
  });

  test(`a request that was ignored and has ${end} is observed when its id comes again`, () => {
    const { browser, requests, observed } = observing();
    requests.ignore('1');
    const fire = () => browser.fire(`webRequest.${event}`, response({ requestId: '1', ...details }));
    fire();
    assert.equal(observed.length, 0);
    fire();
    assert.equal(observed.length, 1);
  });
}

test('a request that is redirected to a target stays under way', () => {
  const { browser, start, underWay } = observing();
  start('1');
  browser.fire('webRequest.onBeforeRedirect', response({ requestId: '1', redirectUrl: 'https://example.test/b', statusCode: 302 }));
  assert.deepEqual(underWay(), ['1']);
});

test('the oldest of many ignored requests are forgotten', () => {
  const { browser, requests, observed } = observing();
  for (let n = 0; n <= 5000; n += 1) requests.ignore(`r${n}`);
  for (const requestId of ['r0', 'r1', 'r5000']) browser.fire('webRequest.onCompleted', response({ requestId }));
  assert.deepEqual(observed.map((observation) => observation.request), ['r0']);
});

test('the oldest of many ids are forgotten', () => {
  const ids = new RecentIds();
  for (let n = 0; n < 5000; n += 1) ids.add(`i${n}`);
  ids.add('i0');
  ids.add('more');
  assert.deepEqual(['i0', 'i1', 'i2', 'more'].map((id) => ids.has(id)), [true, false, true, true]);
});

test('a late event does not bring back one of the last thousand closed tabs', () => {
  const context = { spanId: SPAN, flags: '01' };
  const slots = new TabSlots(everywhere(context, () => context));
  slots.open([TAB, TAB + 1], []);
  for (let n = 0; n < 1000; n += 1) slots.close(TAB + n);
  assert.deepEqual([slots.tab(TAB), slots.tab(TAB + 999)], [undefined, undefined]);
  slots.close(TAB + 1000);
  assert.deepEqual([slots.tab(TAB)?.exists, slots.tab(TAB + 1)], [true, undefined]);
});

test('the oldest of many requests that have not ended are forgotten', () => {
  const history = new History();
  history.begin('a'.repeat(32));
  /** @param {number} n */
  const nav = (n) => String(n % 30).padStart(16, '0');
  const start = (/** @type {number} */ n) => ({
    what: 'request-started', time: 10, request: `r${n}`, spanId: 'f'.repeat(16), parent: nav(n), method: 'GET', url: PAGE, resource: 'script', navigation: { tabId: n % 30, started: 5 },
  });
  for (let n = 0; n <= 5000; n += 1) history.observe(/** @type {any} */ (start(n)));
  for (const n of [0, 1]) history.observe(/** @type {any} */ ({ what: 'request-completed', time: 20, request: `r${n}`, response: { status: 200, fromCache: false } }));
  assert.deepEqual([0, 1].map((tab) => history.of(tab)[0]?.requests[0]?.ended), [null, 20]);
});

test('the oldest of many traces of navigations are forgotten', () => {
  const history = new History();
  history.begin('a'.repeat(32));
  const span = (/** @type {number} */ n) => String(n).padStart(16, '0');
  for (let n = 0; n <= 5000; n += 1) history.observe(/** @type {any} */ ({ what: 'context-issued', issuedFor: 'navigation', spanId: span(n), traceId: 'b'.repeat(32) }));
  for (const n of [0, 1]) history.observe(/** @type {any} */ ({ what: 'navigation-committed', time: 1, spanId: span(n), tabId: n, url: PAGE, started: 1, transition: 'typed' }));
  assert.deepEqual([0, 1].map((tab) => history.of(tab)[0]?.traceId[0]), ['a', 'b']);
});
