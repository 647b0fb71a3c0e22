import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { DEFAULT_PROPAGATION, Propagation } from '../../extension/context/propagation.js';
import { isSpanId } from '../../extension/context/traceparent.js';
import { LONGEST_URL } from '../../extension/observe/details.js';
import { Requests } from '../../extension/observe/requests.js';
import { NavigationStarts } from '../../extension/observe/navigations.js';
import { fakeChrome } from './support/chrome.js';

const SESSION = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '01' };
const SPAN = 'c'.repeat(16);
const PARENT = 'd'.repeat(16);
const TRACE = SESSION.traceId;
const URL_ = 'https://example.test/';

const SENT = 'webRequest.onSendHeaders';

/** @type {ReturnType<typeof fakeChrome>} */
let browser;
/** @type {NavigationStarts} */
let starts;
/** @type {Requests} */
let requests;
/** @type {any[]} */
let observed;

beforeEach(() => {
  browser = fakeChrome({ granted: true });
  starts = new NavigationStarts();
  observed = [];
  requests = observing(new Propagation());
});

/** @param {Propagation} propagation */
const observing = (propagation) =>
  new Requests({ observe: (observation) => void observed.push(JSON.parse(JSON.stringify(observation))) }, starts, { propagation });

/** The session's traces, with these ids. @param {string[]} traceIds */
const having = (...traceIds) => ({ has: (/** @type {string} */ traceId) => traceIds.includes(traceId), clients: { leavesAlone: () => false } });

/** @param {object} [details] @returns {any} */
const request = (details) => ({
  requestId: '17',
  tabId: 7,
  type: 'script',
  method: 'GET',
  url: URL_,
  documentId: 'd',
  documentLifecycle: 'active',
  timeStamp: 100.5,
  requestHeaders: [],
  ...details,
});

/** @param {object} [details] */
const navigation = (details) => request({ type: 'main_frame', documentId: undefined, ...details });

/** @param {object} [details] */
const response = (details) =>
  request({ statusCode: 200, statusLine: 'HTTP/1.1 200 OK', fromCache: false, ip: '127.0.0.1', responseHeaders: [], ...details });

/** @param {string} value */
const lengthOf = (value) => [{ name: 'Content-Length', value }];

/** @param {string} value */
const traceparent = (value) => [{ name: 'Traceparent', value }];

test('listens for all requests and blocks none', () => {
  requests.listen(SESSION, having(TRACE));
  assert.deepEqual(browser.blocking(), []);
  for (const [name, list] of browser.registered) {
    const expected = name === 'webRequest.onResponseStarted' ? [] : [null];
    assert.deepEqual(list.map(({ types }) => types), expected, name);
  }
});

test('starts of responses are observed only in detailed mode', () => {
  const listening = () => browser.registered.get('webRequest.onResponseStarted')?.length;
  assert.equal(listening(), 1);
  requests.listen(SESSION, having(TRACE));
  requests.listen(SESSION, having(TRACE));
  assert.equal(listening(), 0);
  requests.stop();
  requests.stop();
  assert.equal(listening(), 1);
});

test('only onCompleted asks for response headers', () => {
  const asking = [...browser.registered].filter(([, list]) => list.some(({ extra }) => extra.length > 0));
  assert.deepEqual(asking.map(([name]) => name), ['webRequest.onCompleted']);
});

const answer = { status: 200, fromCache: false, address: '127.0.0.1', protocol: 'HTTP/1.1' };
const ended = { time: 100.5, request: '17' };

/** @type {[what: string, event: string, details: object, observation: object][]} */
const ENDS = [
  ['a response', 'onResponseStarted', {}, { what: 'response-started', ...ended }],
  [
    'a redirect',
    'onBeforeRedirect',
    { statusCode: 302, statusLine: 'HTTP/1.1 302 Found' },
    { what: 'request-redirected', ...ended, response: { ...answer, status: 302 } },
  ],
  [
    'a redirect with a body',
    'onBeforeRedirect',
    { statusCode: 302, responseHeaders: lengthOf('12') },
    { what: 'request-redirected', ...ended, response: { ...answer, status: 302 } },
  ],
  [
    'the end',
    'onCompleted',
    { responseHeaders: lengthOf('5120') },
    { what: 'request-completed', ...ended, response: { ...answer, size: 5120 } },
  ],
  [
    'a cache hit',
    'onCompleted',
    { fromCache: true, ip: undefined },
    { what: 'request-completed', ...ended, response: { status: 200, fromCache: true, protocol: 'HTTP/1.1' } },
  ],
  [
    'a file',
    'onCompleted',
    { statusCode: -1, statusLine: '', ip: undefined },
    { what: 'request-completed', ...ended, response: { status: 0, fromCache: false } },
  ],
  [
    'no status line',
    'onCompleted',
    { statusLine: undefined },
    { what: 'request-completed', ...ended, response: { status: 200, fromCache: false, address: '127.0.0.1' } },
  ],
  [
    'a status above 999',
    'onCompleted',
    { statusCode: 99_999 },
    { what: 'request-completed', ...ended, response: { ...answer, status: 999 } },
  ],
];
for (const [what, event, details, observation] of ENDS) {
  test(`${what} at ${event}`, () => {
    browser.fire(`webRequest.${event}`, response(details));
    assert.deepEqual(observed, [observation]);
  });
}

test('a failed request has a span id of its own', () => {
  const details = request({ error: 'net::ERR_CONNECTION_REFUSED', method: 'POST', type: 'ping', fromCache: false });
  browser.fire('webRequest.onErrorOccurred', details);
  browser.fire('webRequest.onErrorOccurred', details);
  const [{ spanId, ...failed }, other] = observed;
  assert.deepEqual(failed, {
    what: 'request-failed',
    ...ended,
    error: 'net::ERR_CONNECTION_REFUSED',
    method: 'POST',
    url: URL_,
    resource: 'ping',
  });
  assert.ok(isSpanId(spanId));
  assert.notEqual(spanId, other.spanId);
});

for (const [value, size] of /** @type {[string, number | undefined][]} */ ([
  ['0', 0],
  ['5120', 5120],
  ['999999999999999', 999_999_999_999_999],
  ['9'.repeat(30), undefined],
  ['', undefined],
  ['-1', undefined],
  ['1.5', undefined],
  ['1e3', undefined],
  ['0x10', undefined],
  ['5, 5', undefined],
])) {
  test(`a length ${JSON.stringify(value)} is ${size === undefined ? 'invalid' : 'valid'}`, () => {
    browser.fire('webRequest.onCompleted', response({ responseHeaders: lengthOf(value) }));
    assert.equal(observed[0].response.size, size);
  });
}

test('the start of a request is observed', () => {
  requests.started(request(), SPAN, PARENT);
  const started = { what: 'request-started', ...ended, spanId: SPAN, method: 'GET', url: URL_, resource: 'script' };
  assert.deepEqual(observed, [{ ...started, parent: PARENT }]);
  requests.started(request(), SPAN);
  assert.deepEqual(observed[1], started);
  requests.started(request(), SPAN, undefined, SESSION.traceId);
  assert.deepEqual(observed[2], { ...started, traceId: SESSION.traceId });
});

for (const [method, size] of /** @type {[string, number | undefined][]} */ ([
  ['POST', 12],
  ['PUT', 12],
  ['GET', undefined],
  ['HEAD', undefined],
])) {
  test(`the length of the body of a ${method}`, () => {
    requests.started(request({ method, requestHeaders: lengthOf('12') }), SPAN, PARENT);
    requests.started(request({ method, requestHeaders: undefined }), SPAN, PARENT);
    assert.deepEqual(observed.map((observation) => observation.size), [size, undefined]);
  });
}

test('long addresses and methods are cut', () => {
  const long = { url: URL_ + 'x'.repeat(10_000), method: 'M'.repeat(10_000) };
  requests.started(request(long), SPAN, PARENT);
  browser.fire('webRequest.onErrorOccurred', request({ ...long, error: 'net::ERR_FAILED' }));
  for (const { url, method } of observed) {
    assert.equal(url, long.url.slice(0, LONGEST_URL));
    assert.equal(method.length, 64);
  }
});

test('a navigation begins before its request, hops excepted', () => {
  starts.begun(7, 90.5);
  requests.started(navigation(), SPAN, PARENT);
  requests.started(navigation({ timeStamp: 110 }), SPAN, PARENT);
  assert.deepEqual(observed.map((observation) => observation.navigation), [{ tabId: 7, started: 90.5 }, { tabId: 7, started: 110 }]);
});

test('a navigation never begins after its request', () => {
  starts.begun(7, 101);
  requests.started(navigation(), SPAN, PARENT);
  assert.deepEqual(observed[0].navigation, { tabId: 7, started: 100.5 });
});

/** @type {[what: string, details: object, parent?: string][]} */
const NO_NAVIGATIONS = [
  ['a script', request(), PARENT],
  ['a frame', navigation({ type: 'sub_frame' }), PARENT],
  ['a prefetch', navigation({ documentId: 'd' }), PARENT],
  ['a prerender', navigation({ documentLifecycle: 'prerender' }), PARENT],
  ['a request without a tab', navigation({ tabId: -1 }), PARENT],
  ['a navigation without a span id', navigation()],
];
for (const [what, details, parent] of NO_NAVIGATIONS) {
  test(`${what} leaves the navigation start`, () => {
    starts.begun(7, 90);
    requests.started(request(details), SPAN, parent);
    assert.equal(observed[0].navigation, undefined);
    assert.equal(starts.take(7, 100), 90);
  });
}

/** @type {[what: string, value: string, parent: string | undefined][]} */
const CARRIED = [
  ['the context of a navigation', `00-${SESSION.traceId}-${PARENT}-01`, PARENT],
  ['the context of the session', `00-${SESSION.traceId}-${SESSION.spanId}-01`, undefined],
];
for (const [what, value, parent] of CARRIED) {
  test(`rules: a request with ${what}`, () => {
    requests.listen(SESSION, having(TRACE));
    browser.fire(SENT, request({ requestHeaders: traceparent(value) }));
    const [{ spanId, ...started }] = observed;
    assert.deepEqual(started, {
      what: 'request-started',
      ...ended,
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
    requests.listen(SESSION, having(TRACE));
    browser.fire(SENT, request({ requestHeaders }));
    assert.deepEqual(observed, []);
  });
}

test('rules: a navigation with its context', () => {
  starts.begun(7, 90);
  requests.listen(SESSION, having(TRACE));
  browser.fire(SENT, navigation({ requestHeaders: traceparent(`00-${SESSION.traceId}-${PARENT}-01`) }));
  assert.deepEqual([observed[0].parent, observed[0].navigation], [PARENT, { tabId: 7, started: 90 }]);
});

test('listens once, changes to another session, and stops', () => {
  const other = { ...SESSION, traceId: 'e'.repeat(32) };
  const details = request({ requestHeaders: traceparent(`00-${other.traceId}-${PARENT}-01`) });
  requests.stop();
  requests.listen(SESSION, having(TRACE));
  requests.listen(other, having(other.traceId));
  browser.fire(SENT, details);
  assert.deepEqual(observed.map(({ parent }) => parent), [PARENT]);
  requests.stop();
  requests.stop();
  browser.fire(SENT, details);
  assert.equal(observed.length, 1);
  requests.listen(other, having(other.traceId));
  browser.fire(SENT, details);
  assert.equal(observed.length, 2);
});

const ELSEWHERE = 'https://elsewhere.test/';
const ONLY_HERE = { ...DEFAULT_PROPAGATION, targets: ['^https://example\\.test/'] };

test('a request to an address that is no target is not observed', () => {
  browser = fakeChrome({ granted: true });
  requests = observing(new Propagation(ONLY_HERE));
  requests.listen(SESSION, having(TRACE));
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
  browser = fakeChrome({ granted: true });
  const carrier = { propagation: new Propagation() };
  requests = new Requests({ observe: (observation) => void observed.push(observation) }, starts, carrier);
  requests.listen(SESSION, having(TRACE));
  const details = request({ url: ELSEWHERE, requestHeaders: traceparent(`00-${TRACE}-${PARENT}-01`) });
  browser.fire(SENT, details);
  carrier.propagation = new Propagation(ONLY_HERE);
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
      browser = fakeChrome({ granted: true });
      observed = [];
      requests = observing(new Propagation({ ...DEFAULT_PROPAGATION, propagators }));
      requests.listen(SESSION, having(TRACE));
      browser.fire(SENT, request({ requestHeaders: Object.entries(headers).map(([name, value]) => ({ name, value })) }));
      assert.deepEqual(observed.map(({ parent }) => parent), [PARENT]);
    }
  });
}

test('rules: a request in another trace of the session is observed', () => {
  const other = 'e'.repeat(32);
  requests.listen(SESSION, having(TRACE, other));
  browser.fire(SENT, request({ requestHeaders: traceparent(`00-${other}-${PARENT}-01`) }));
  assert.deepEqual(observed.map(({ parent }) => parent), [PARENT]);
});

test('without propagators requests belong to the session span', () => {
  browser = fakeChrome({ granted: true });
  requests = observing(new Propagation({ ...DEFAULT_PROPAGATION, propagators: [] }));
  requests.listen(SESSION, having(TRACE));
  browser.fire(SENT, request());
  browser.fire(SENT, request({ url: 'https://example.test/2', requestHeaders: [{ name: 'b3', value: '0' }] }));
  assert.deepEqual(observed.map(({ what, parent }) => [what, parent]), [['request-started', undefined], ['request-started', undefined]]);
});

test('spans of the page\'s own instrumentation are observed', () => {
  requests.started(request(), SPAN, PARENT, undefined, { caller: 'e'.repeat(16) });
  requests.started(request(), SPAN, PARENT, undefined, { link: { traceId: TRACE, spanId: PARENT } });
  assert.deepEqual(observed.map(({ caller, link }) => [caller, link]), [
    ['e'.repeat(16), undefined],
    [undefined, { traceId: TRACE, spanId: PARENT }],
  ]);
});

/** @type {[end: string, details: object][]} */
const ENDINGS = [
  ['onCompleted', response()],
  ['onErrorOccurred', { error: 'net::ERR_FAILED' }],
];
for (const [end, details] of ENDINGS) {
  test(`an ignored request is not observed until ${end}`, () => {
    requests.ignore('17');
    browser.fire(`webRequest.${end}`, request(details));
    assert.deepEqual(observed, []);
    browser.fire(`webRequest.${end}`, request(details));
    assert.equal(observed.length, 1);
  });

  test(`its client's context: ignored until ${end}`, () => {
    requests.listen(SESSION, { has: () => true, clients: { leavesAlone: (tabId, { spanId }) => tabId === 7 && spanId === PARENT } });
    const headers = { requestHeaders: traceparent(`00-${TRACE}-${PARENT}-01`) };
    browser.fire(SENT, request(headers));
    browser.fire(`webRequest.${end}`, request(details));
    assert.deepEqual(observed, []);
    browser.fire(SENT, request({ ...headers, tabId: 8 }));
    assert.deepEqual(observed.map(({ parent }) => parent), [PARENT]);
  });
}

test('a hop that starts after an ignored one is observed', () => {
  requests.ignore('17');
  requests.started(request(), SPAN, PARENT);
  browser.fire('webRequest.onCompleted', response());
  assert.deepEqual(observed.map(({ what }) => what), ['request-started', 'request-completed']);
});
