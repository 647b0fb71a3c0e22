import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { isSpanId } from '../../extension/context/traceparent.js';
import { MAX_URL_LENGTH } from '../../extension/observe/details.js';
import { EVERYTHING } from '../../extension/context/propagation.js';
import { PARENT, SESSION, SPAN, TRACE, URL_, navigation, observeRequests, request, response } from './support/requests.js';

let { browser, starts, observed, requests } = observeRequests();

beforeEach(() => {
  ({ browser, starts, observed, requests } = observeRequests());
  requests.listen(EVERYTHING);
});

/** @param {string} value */
const lengthOf = (value) => [{ name: 'Content-Length', value }];

test('the ends of requests are observed without their headers', () => {
  const ends = ['webRequest.onBeforeRedirect', 'webRequest.onCompleted', 'webRequest.onErrorOccurred'];
  assert.deepEqual(browser.listening(), [...ends, 'webRequest.onHeadersReceived']);
  for (const name of ends) assert.deepEqual(browser.registered.get(name)?.map(({ extra }) => extra), [[]]);
});

test('the heads of responses are read where they matter, and block nothing', () => {
  assert.deepEqual(browser.registered.get('webRequest.onHeadersReceived')?.map(({ extra }) => extra), [['responseHeaders']]);
  assert.deepEqual(browser.filters('webRequest.onHeadersReceived'), [{ ...EVERYTHING, types: ['main_frame', 'sub_frame', 'xmlhttprequest', 'websocket'] }]);
  requests.listen({ urls: ['https://shop.test/*'], types: ['main_frame', 'image', 'websocket'] });
  assert.deepEqual(browser.filters('webRequest.onHeadersReceived'), [{ urls: ['https://shop.test/*'], types: ['main_frame', 'websocket'] }]);
});

for (const status of [401, 407]) {
  test(`a challenge with ${status} is observed, with a span id of its own`, () => {
    const details = response({ type: 'xmlhttprequest', statusCode: status, statusLine: `HTTP/1.1 ${status} No`, fromCache: undefined, ip: undefined });
    browser.fire('webRequest.onHeadersReceived', details);
    assert.deepEqual(observed, [], 'its start was not observed');
    requests.started(request({ type: 'xmlhttprequest' }), SPAN, PARENT);
    browser.fire('webRequest.onHeadersReceived', { ...details, statusCode: 200 });
    browser.fire('webRequest.onHeadersReceived', details);
    const { spanId, ...challenged } = /** @type {any} */ (observed[1]);
    assert.deepEqual(challenged, { what: 'request-challenged', ...ended, response: { status, fromCache: false, protocol: 'HTTP/1.1' } });
    assert.ok(isSpanId(spanId) && spanId !== SPAN);
    assert.equal(observed.length, 2);
  });
}

const answer = { status: 200, fromCache: false, address: '127.0.0.1', protocol: 'HTTP/1.1' };
const ended = { time: 100.5, request: '17' };

/** @type {[what: string, event: string, details: object, observation: object][]} */
const ENDS = [
  [
    'a redirect',
    'onBeforeRedirect',
    { statusCode: 302, statusLine: 'HTTP/1.1 302 Found' },
    { what: 'request-redirected', ...ended, response: { ...answer, status: 302 } },
  ],
  [
    'the end',
    'onCompleted',
    {},
    { what: 'request-completed', ...ended, response: answer },
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

test('requests under way are left with the tabs of their context', () => {
  for (const [requestId, tabId] of [['1', 7], ['2', 8], ['3', 7], ['4', -1]]) requests.started(request({ requestId, tabId }), SPAN, PARENT);
  browser.fire('webRequest.onCompleted', response({ requestId: '3' }));
  observed.length = 0;
  requests.left(new Set([7, -1]));
  assert.deepEqual(observed.map(({ what, request: id }) => [what, id]), [['request-left', '1'], ['request-left', '4']]);
  browser.fire('webRequest.onCompleted', response({ requestId: '1' }));
  assert.equal(observed.at(-1).what, 'request-completed', 'it goes on');
});

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

const OWN = 'https://example.test';
const OTHER = 'https://other.test';
/** @param {string} value */
const allows = (value) => ({ responseHeaders: [{ name: 'Access-Control-Allow-Origin', value }] });

/** @type {[what: string, error: string, head: object | null, details: object, kind: string | undefined][]} */
const KINDS = [
  ['a refused connection', 'net::ERR_CONNECTION_REFUSED', null, {}, undefined],
  ['a broken body', 'net::ERR_CONNECTION_RESET', {}, { initiator: OWN }, undefined],
  ['one that the page gave up', 'net::ERR_ABORTED', null, {}, 'cancelled'],
  ['a body that the page gave up', 'net::ERR_FAILED', {}, { initiator: OWN }, 'cancelled'],
  ['a body of another origin that the page gave up', 'net::ERR_FAILED', allows(OTHER), { initiator: OTHER }, 'cancelled'],
  ['a public body that the page gave up', 'net::ERR_FAILED', allows('*'), { initiator: OTHER }, 'cancelled'],
  ['a response that the page may not read', 'net::ERR_FAILED', {}, { initiator: OTHER }, undefined],
  ['a response for yet another origin', 'net::ERR_FAILED', allows(OWN), { initiator: OTHER }, undefined],
  ['no response', 'net::ERR_FAILED', null, { initiator: OWN }, undefined],
  ['a frame that is left', 'net::ERR_FAILED', {}, { type: 'sub_frame', initiator: OTHER }, 'cancelled'],
  ['an image that is left', 'net::ERR_FAILED', null, { type: 'image', initiator: OWN }, 'cancelled'],
  ['an image that the page may not read', 'net::ERR_FAILED', null, { type: 'image', initiator: OTHER }, undefined],
  ['a video that is left', 'net::ERR_FAILED', null, { type: 'media', initiator: OTHER }, 'cancelled'],
  ['one that an extension blocks', 'net::ERR_BLOCKED_BY_CLIENT', null, {}, 'blocked'],
  ['one that a policy blocks', 'net::ERR_BLOCKED_BY_ORB', {}, {}, 'blocked'],
  ['one that is not in the cache', 'net::ERR_CACHE_MISS', null, {}, 'blocked'],
];
for (const [what, error, head, more, kind] of KINDS) {
  test(`${what} is ${kind ?? 'a failure'}`, () => {
    const details = { type: 'xmlhttprequest', ...more };
    requests.findPages(() => assert.fail('it has left'));
    requests.started(request(details), SPAN, PARENT);
    if (head !== null) browser.fire('webRequest.onHeadersReceived', response({ ...details, ...head }));
    browser.fire('webRequest.onErrorOccurred', request({ ...details, error }));
    assert.deepEqual([observed[1].kind, observed[1].parent], [kind, undefined]);
  });
}

test('what never left is below its page, if that is traced', () => {
  /** @type {any} */
  let page = { spanId: PARENT, flags: '01' };
  requests.findPages(({ documentId }) => (documentId === 'd' ? page : undefined));
  const fail = (/** @type {object} */ more) => {
    browser.fire('webRequest.onErrorOccurred', request({ error: 'net::ERR_FAILED', ...more }));
    return observed.splice(0).map(({ parent }) => parent);
  };
  assert.deepEqual(fail({}), [PARENT]);
  assert.deepEqual(fail({ documentId: 'unknown' }), [undefined]);
  // The tab's document is that before the navigation.
  assert.deepEqual(fail({ type: 'main_frame', documentId: undefined }), [undefined]);
  page = { ...page, flags: '00' };
  assert.deepEqual(fail({}), []);
  page = { ...page, flags: '01', steering: { off: true } };
  assert.deepEqual(fail({}), []);
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
    requests.started(request({ method: 'POST', requestHeaders: lengthOf(value) }), SPAN, PARENT);
    assert.equal(observed[0].size, size);
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
    assert.equal(url, long.url.slice(0, MAX_URL_LENGTH));
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
}

test('a request whose later hop is ignored is not under way', () => {
  requests.started(request(), SPAN, PARENT);
  requests.ignore('17');
  assert.deepEqual([...requests.underWay()], []);
  browser.fire('webRequest.onCompleted', response());
  assert.deepEqual(observed.map(({ what }) => what), ['request-started']);
});

test('a hop that starts after an ignored one is observed', () => {
  requests.ignore('17');
  requests.started(request(), SPAN, PARENT);
  browser.fire('webRequest.onCompleted', response());
  assert.deepEqual(observed.map(({ what }) => what), ['request-started', 'request-completed']);
});
