import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { DEFAULT_PROPAGATION, EVERYTHING, Propagation } from '../../extension/context/propagation.js';
import { isSpanId } from '../../extension/context/traceparent.js';
import { PARENT, SESSION, TRACE, URL_, having, navigation, observeRequests, request, response } from './support/requests.js';

const SENT = 'webRequest.onSendHeaders';

let { browser, starts, observed, requests, session } = observeRequests();

beforeEach(() => void ({ browser, starts, observed, requests, session } = observeRequests()));

/** @param {string} value */
const traceparent = (value) => [{ name: 'Traceparent', value }];

test('listens for all requests and blocks none', () => {
  requests.listenByRules(EVERYTHING, SESSION, having(TRACE));
  assert.deepEqual(browser.blocking(), []);
  assert.equal(browser.registered.size, 5);
  const names = [...browser.registered.keys()].filter((name) => name !== 'webRequest.onHeadersReceived');
  for (const name of names) assert.deepEqual(browser.filters(name), [EVERYTHING], name);
});

/** @type {[what: string, value: string, parent: string | undefined][]} */
const CARRIED = [
  ['the context of a navigation', `00-${SESSION.traceId}-${PARENT}-01`, PARENT],
  ['the context of the session', `00-${SESSION.traceId}-${SESSION.spanId}-01`, undefined],
];
for (const [what, value, parent] of CARRIED) {
  test(`rules: a request with ${what}`, () => {
    requests.listenByRules(EVERYTHING, SESSION, having(TRACE));
    browser.fire(SENT, request({ requestHeaders: traceparent(value) }));
    const [{ spanId, ...started }] = observed;
    assert.deepEqual(started, {
      what: 'request-started',
      time: 100.5,
      request: '17',
      ...(parent === undefined ? {} : { parent }),
      method: 'GET',
      url: URL_,
      resource: 'script',
    });
    assert.ok(isSpanId(spanId));
    assert.ok(!value.includes(spanId));
  });
}

for (const [what, requestHeaders] of /** @type {[string, object[]][]} */ ([
  ['no header', []],
  ['no context', traceparent('x')],
  ['another trace', traceparent(`00-${'f'.repeat(32)}-${PARENT}-01`)],
])) {
  test(`rules: a request with ${what} is not observed`, () => {
    requests.listenByRules(EVERYTHING, SESSION, having(TRACE));
    browser.fire(SENT, request({ requestHeaders }));
    assert.deepEqual(observed, []);
  });
}

test('rules: a navigation with its context', () => {
  starts.begun(7, 90);
  requests.listenByRules(EVERYTHING, SESSION, having(TRACE));
  browser.fire(SENT, navigation({ requestHeaders: traceparent(`00-${SESSION.traceId}-${PARENT}-01`) }));
  assert.deepEqual([observed[0].parent, observed[0].navigation], [PARENT, { tabId: 7, started: 90 }]);
});

test('listens once, changes to another session, and stops', () => {
  const other = { ...SESSION, traceId: 'e'.repeat(32) };
  const details = request({ requestHeaders: traceparent(`00-${other.traceId}-${PARENT}-01`) });
  requests.stop();
  requests.listenByRules(EVERYTHING, SESSION, having(TRACE));
  requests.listenByRules(EVERYTHING, other, having(other.traceId));
  browser.fire(SENT, details);
  assert.deepEqual(observed.map(({ parent }) => parent), [PARENT]);
  requests.stop();
  requests.stop();
  browser.fire(SENT, details);
  assert.equal(observed.length, 1);
  requests.listenByRules(EVERYTHING, other, having(other.traceId));
  browser.fire(SENT, details);
  assert.equal(observed.length, 2);
});

const ELSEWHERE = 'https://elsewhere.test/';
const ONLY_HERE = { targets: ['^https://example\\.test/'] };

test('a request to an address that is no target is not observed', () => {
  ({ browser, observed, requests } = observeRequests(ONLY_HERE));
  requests.listenByRules(EVERYTHING, SESSION, having(TRACE));
  const requestHeaders = traceparent(`00-${TRACE}-${PARENT}-01`);
  for (const make of [request, navigation]) {
    browser.fire(SENT, make({ url: ELSEWHERE, requestHeaders }));
    browser.fire('webRequest.onErrorOccurred', make({ url: ELSEWHERE, error: 'net::ERR_FAILED' }));
  }
  assert.deepEqual(observed, []);
  browser.fire(SENT, request({ requestHeaders }));
  browser.fire('webRequest.onErrorOccurred', request({ requestId: '18', error: 'net::ERR_FAILED' }));
  assert.deepEqual(observed.map(({ what }) => what), ['request-started', 'request-failed']);
});

test('the current targets of the session apply', () => {
  requests.listenByRules(EVERYTHING, SESSION, having(TRACE));
  const details = request({ url: ELSEWHERE, requestHeaders: traceparent(`00-${TRACE}-${PARENT}-01`) });
  browser.fire(SENT, details);
  session.propagation = new Propagation({ ...DEFAULT_PROPAGATION, ...ONLY_HERE });
  browser.fire(SENT, details);
  assert.equal(observed.length, 1);
});

/** @type {[format: string, headers: Record<string, string>][]} */
const FORMATS = [
  ['b3', { b3: `${TRACE}-${PARENT}-1` }],
  ['b3multi', { 'X-B3-TraceId': TRACE, 'X-B3-SpanId': PARENT, 'X-B3-Sampled': '1' }],
  ['jaeger', { 'uber-trace-id': `${TRACE}:${PARENT}:0:1` }],
];
for (const [format, headers] of FORMATS) {
  test(`rules: a request with ${format} is observed`, () => {
    for (const propagators of /** @type {any[]} */ ([[format], ['tracecontext', 'baggage']])) {
      ({ browser, observed, requests } = observeRequests({ propagators }));
      requests.listenByRules(EVERYTHING, SESSION, having(TRACE));
      browser.fire(SENT, request({ requestHeaders: Object.entries(headers).map(([name, value]) => ({ name, value })) }));
      assert.deepEqual(observed.map(({ parent }) => parent), [PARENT]);
    }
  });
}

test('rules: a request in another trace of the session is observed', () => {
  const other = 'e'.repeat(32);
  requests.listenByRules(EVERYTHING, SESSION, having(TRACE, other));
  browser.fire(SENT, request({ requestHeaders: traceparent(`00-${other}-${PARENT}-01`) }));
  assert.deepEqual(observed.map(({ parent }) => parent), [PARENT]);
});

test('without propagators requests belong to the session span', () => {
  ({ browser, observed, requests } = observeRequests({ propagators: [] }));
  requests.listenByRules(EVERYTHING, SESSION, having(TRACE));
  browser.fire(SENT, request());
  browser.fire(SENT, request({ url: 'https://example.test/2', requestHeaders: [{ name: 'b3', value: '0' }] }));
  assert.deepEqual(observed.map(({ what, parent }) => [what, parent]), [['request-started', undefined], ['request-started', undefined]]);
});

/** @type {[end: string, details: object][]} */
const ENDINGS = [
  ['onCompleted', response()],
  ['onErrorOccurred', { error: 'net::ERR_FAILED' }],
];
for (const [end, details] of ENDINGS) {
  test(`its client's context: ignored until ${end}`, () => {
    requests.listenByRules(EVERYTHING, SESSION, { has: () => true, clients: { leavesAlone: (tabId, { spanId }) => tabId === 7 && spanId === PARENT } });
    const headers = { requestHeaders: traceparent(`00-${TRACE}-${PARENT}-01`) };
    browser.fire(SENT, request(headers));
    browser.fire(`webRequest.${end}`, request(details));
    assert.deepEqual(observed, []);
    browser.fire(SENT, request({ ...headers, tabId: 8 }));
    assert.deepEqual(observed.map(({ parent }) => parent), [PARENT]);
  });
}
