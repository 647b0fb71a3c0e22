import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { History, MAX_IN_ALL, MAX_NAVIGATIONS, MAX_REQUESTS } from '../../extension/pages/history.js';

const TRACE = 'a'.repeat(32);

/** @param {number | string} id */
const span = (id) => String(id).padStart(16, '0');

/** @param {string} request @param {string} parent @param {object} [more] @returns {any} */
const started = (request, parent, more = {}) => ({
  what: 'request-started',
  time: 10,
  request,
  spanId: span(`f${request}`),
  parent,
  method: 'GET',
  url: `https://shop.test/${request}`,
  resource: 'script',
  ...more,
});

/** @param {string} request @param {string} parent @param {number} [tabId] */
const navigates = (request, parent, tabId = 1) =>
  started(request, parent, { resource: 'main_frame', navigation: { tabId, started: 5 } });

/** @param {string} request @param {number} [status] @returns {any} */
const completed = (request, status = 200) => ({
  what: 'request-completed',
  time: 20,
  request,
  response: { status, fromCache: false },
});

function begin() {
  const history = new History();
  history.begin(TRACE);
  return history;
}

test('a navigation has its requests in order, with their results', () => {
  const history = begin();
  for (const observation of [
    navigates('1', span(1)),
    { what: 'request-redirected', time: 12, request: '1', response: { status: 302, fromCache: false } },
    navigates('1', span(1)),
    completed('1', 404),
    { what: 'navigation-committed', time: 21, spanId: span(1), tabId: 1, url: 'https://shop.test/home', started: 5, transition: 'typed' },
    started('2', span(1)),
    { what: 'request-failed', time: 30, request: '2', error: 'net::ERR_ABORTED', kind: 'cancelled', spanId: span(9), method: 'GET', url: '', resource: 'script' },
    started('3', span(1)),
  ]) {
    history.observe(/** @type {any} */ (observation));
  }
  const [navigation, ...others] = history.of(1);
  assert.deepEqual(others, []);
  const { requests = [], ...rest } = navigation ?? {};
  assert.deepEqual(rest, {
    spanId: span(1),
    traceId: TRACE,
    url: 'https://shop.test/home',
    started: 5,
    ended: null,
    status: 404,
    error: null,
    end: null,
    more: 0,
  });
  assert.deepEqual(
    requests.map(({ url, status, error, end, ended }) => [url, status, error, end, ended]),
    [
      ['https://shop.test/1', 302, null, null, 12],
      ['https://shop.test/1', 404, null, null, 20],
      ['https://shop.test/2', null, 'net::ERR_ABORTED', 'cancelled', 30],
      ['https://shop.test/3', null, null, null, null],
    ],
  );
  history.observe({ what: 'document-loaded', time: 40, spanId: span(1) });
  assert.equal(history.of(1)[0]?.ended, 40);
});

test('a navigation has the id of its trace', () => {
  const history = begin();
  const traceId = 'b'.repeat(32);
  history.observe({ what: 'context-issued', time: 1, spanId: span(1), issuedFor: 'navigation', traceId, flags: '01' });
  history.observe(navigates('1', span(1)));
  history.begin('c'.repeat(32));
  history.observe(navigates('2', span(2)));
  assert.deepEqual(
    history.of(1).map(({ traceId: id }) => id),
    ['c'.repeat(32), traceId],
  );
});

test('navigations per tab and requests per navigation are limited', () => {
  const history = begin();
  for (let n = 1; n <= MAX_NAVIGATIONS + 3; n += 1) history.observe(navigates(`${n}`, span(n)));
  const last = MAX_NAVIGATIONS + 3;
  for (let n = 0; n < MAX_REQUESTS + 5; n += 1) history.observe(started(`r${n}`, span(last)));
  const navigations = history.of(1);
  assert.deepEqual(
    navigations.map(({ spanId }) => spanId),
    Array.from({ length: MAX_NAVIGATIONS }, (_, n) => span(last - n)),
  );
  assert.equal(navigations[0]?.requests.length, MAX_REQUESTS);
  assert.equal(navigations[0]?.more, 6);
  // A request of a forgotten navigation is ignored.
  history.observe(started('late', span(1)));
  assert.equal(history.of(1).length, MAX_NAVIGATIONS);
});

test('a navigation ends when another or a new trace replaces it', () => {
  const history = begin();
  /** @param {number} id @param {number} time @param {string} transition @returns {any} */
  const committed = (id, time, transition) => ({
    what: 'navigation-committed', time, spanId: span(id), tabId: 1, url: 'https://shop.test/', started: time, transition,
  });
  const ends = () => history.of(1).map(({ ended }) => ended);
  history.observe(committed(1, 10, 'typed'));
  history.observe(committed(2, 20, 'typed'));
  assert.deepEqual(ends(), [null, 20]);
  history.observe(committed(3, 30, 'new-trace'));
  assert.deepEqual(ends(), [30, 30, 20]);
  history.observe(/** @type {any} */ ({ what: 'document-loaded', time: 35, spanId: span(3) }));
  assert.deepEqual(ends(), [35, 30, 20]);
  history.observe(committed(4, 40, 'already-open'));
  assert.deepEqual(ends()[0], 40);
});

test('a navigation ends when it fails', () => {
  const history = begin();
  history.observe(navigates('1', span(1)));
  history.observe(/** @type {any} */ ({ what: 'navigation-failed', time: 30, spanId: span(1) }));
  history.observe(/** @type {any} */ ({ what: 'navigation-failed', time: 30, spanId: span(2) }));
  assert.deepEqual(history.of(1).map(({ ended }) => ended), [30]);
});

test('a failed navigation has its error, and a later answer its status', () => {
  const history = begin();
  history.observe(navigates('1', span(1)));
  history.observe(/** @type {any} */ ({ what: 'request-failed', time: 30, request: '1', error: 'net::ERR_FAILED' }));
  assert.deepEqual(history.of(1).map(({ status, error }) => [status, error]), [[null, 'net::ERR_FAILED']]);
  history.observe(navigates('2', span(1)));
  history.observe(completed('2', 200));
  assert.deepEqual(history.of(1).map(({ status, error }) => [status, error]), [[200, null]]);
});

test('answers from the cache are known', () => {
  const history = begin();
  history.observe(navigates('1', span(1)));
  history.observe({ ...completed('1'), response: { status: 200, fromCache: true } });
  assert.deepEqual(history.of(1)[0]?.requests.map(({ fromCache }) => fromCache), [true]);
});

test('the trace of another kind of context is not that of a navigation', () => {
  const history = begin();
  history.observe(/** @type {any} */ ({ what: 'context-issued', time: 1, spanId: span(1), issuedFor: 'tab', traceId: 'b'.repeat(32), flags: '01' }));
  history.observe(navigates('1', span(1)));
  assert.equal(history.of(1)[0]?.traceId, TRACE);
});

test('other observations change nothing', () => {
  const history = begin();
  history.observe(navigates('1', span(1)));
  const before = history.of(1);
  history.observe(/** @type {any} */ ({ what: 'document-parsed', time: 30, spanId: span(1) }));
  assert.deepEqual(history.of(1), before);
});

test('a navigation without its request has its address from the commit', () => {
  const history = begin();
  history.observe(/** @type {any} */ ({ what: 'navigation-committed', time: 1, spanId: span(1), tabId: 1, url: 'about:blank', started: 1, transition: 'typed' }));
  assert.deepEqual(history.of(1), []);
  history.observe(/** @type {any} */ ({ what: 'navigation-committed', time: 1, spanId: span(2), tabId: 1, url: 'https://shop.test/x', started: 1, transition: 'typed' }));
  assert.deepEqual(history.of(1).map(({ url }) => url), ['https://shop.test/x']);
});

test('a tab keeps its later navigations when its oldest is forgotten', () => {
  const history = begin();
  history.observe(navigates('a', span(9001), 1));
  history.observe(navigates('b', span(9002), 1));
  const commit = (/** @type {number} */ n) => ({ what: 'navigation-committed', time: 1, spanId: span(n), tabId: 1000 + n, url: 'https://shop.test/', started: 1, transition: 'typed' });
  for (let n = 1; n <= 998; n += 1) history.observe(/** @type {any} */ (commit(n)));
  assert.deepEqual(history.of(1).map(({ spanId }) => spanId), [span(9002), span(9001)], 'a thousand are kept');
  history.observe(/** @type {any} */ (commit(999)));
  assert.deepEqual(history.of(1).map(({ spanId }) => spanId), [span(9002)]);
  history.observe(/** @type {any} */ (commit(1000)));
  assert.deepEqual([history.of(1), history.of(1001).length], [[], 1]);
});

test('a closed tab is forgotten', () => {
  const history = begin();
  history.observe(navigates('1', span(1), 1));
  history.observe(navigates('2', span(2), 2));
  history.observe({ what: 'tab-closed', time: 50, tabId: 1 });
  assert.deepEqual([history.of(1).length, history.of(2).length], [0, 1]);
});

test('the total of requests is limited: the oldest navigations go', () => {
  const history = begin();
  const tabs = MAX_IN_ALL / MAX_REQUESTS + 20;
  for (let tabId = 1; tabId <= tabs; tabId += 1) {
    history.observe(navigates(`${tabId}`, span(tabId), tabId));
    for (let n = 1; n < MAX_REQUESTS; n += 1) history.observe(started(`${tabId}-${n}`, span(tabId)));
  }
  const counts = Array.from({ length: tabs }, (_, n) => history.of(n + 1).flatMap(({ requests }) => requests).length);
  assert.equal(counts.reduce((sum, count) => sum + count), MAX_IN_ALL);
  assert.deepEqual([counts[0], counts[19], counts[20], counts.at(-1)], [0, 0, MAX_REQUESTS, MAX_REQUESTS]);
});

test('changes are reported only while a page watches', () => {
  const history = begin();
  const changed = mock.fn();
  history.watch(changed);
  history.observe(navigates('1', span(1)));
  history.watch(null);
  history.observe(completed('1'));
  assert.equal(changed.mock.callCount(), 1);
});

test('a request takes less than 10 µs', () => {
  const most = 50_000;
  const observations = Array.from({ length: most }, (_, n) => {
    const parent = span(Math.floor(n / 50));
    return n % 50 === 0 ? navigates(`${n}`, parent, Math.floor(n / 500)) : started(`${n}`, parent);
  });
  const ends = observations.map(({ request }) => completed(request));
  // The best of several rounds, because the machine may be busy.
  const rounds = Array.from({ length: 5 }, () => {
    const history = begin();
    const start = performance.now();
    for (let n = 0; n < most; n += 1) {
      history.observe(observations[n]);
      history.observe(ends[n]);
    }
    return ((performance.now() - start) * 1000) / most;
  });
  assert.ok(Math.min(...rounds) < 10, `${rounds.join(', ')} µs`);
});
