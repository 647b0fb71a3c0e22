import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { EVERYTHING } from '../../extension/context/propagation.js';
import { PARENT, SESSION, SPAN, TRACE, URL_, having, observeRequests, request, response } from './support/requests.js';
import { propagating } from './support/session.js';

const SENT = 'webRequest.onSendHeaders';
const COMPLETED = 'webRequest.onCompleted';
const REDIRECTED = 'webRequest.onBeforeRedirect';
const RECEIVED = 'webRequest.onHeadersReceived';
const ENDS = [REDIRECTED, COMPLETED, 'webRequest.onErrorOccurred', RECEIVED];
const ELSEWHERE = 'https://elsewhere.test/';
const HERE = { domains: ['example.test'], targets: ['^https://example\\.test/'] };
const { filter: OF_HERE } = propagating(HERE);

/** The requests whose response heads are read. @param {{ urls: string[] }} filter */
const headsOf = (filter) => ({ ...filter, types: ['main_frame', 'sub_frame', 'xmlhttprequest', 'websocket'] });
const { filter: CALLS } = propagating({ resources: ['main_frame', 'xmlhttprequest'] });

let { browser, observed, requests, session } = observeRequests();

/** Starts over. @param {Parameters<typeof observeRequests>} options */
const begin = (...options) => void ({ browser, observed, requests, session } = observeRequests(...options));

beforeEach(() => begin());

/** @param {string} flags */
const carrying = (flags) => ({ requestHeaders: [{ name: 'traceparent', value: `00-${TRACE}-${PARENT}-${flags}` }] });

/** The two ways to listen. @type {[mode: string, listen: (filter: any) => void, listening: string[]][]} */
const MODES = [
  ['detailed', (filter) => requests.listen(filter), ENDS],
  ['lightweight', (filter) => requests.listenByRules(filter, SESSION, having(TRACE)), [...ENDS, SENT]],
];
for (const [mode, listen, listening] of MODES) {
  test(`${mode}: no listener before something is sampled`, () => {
    begin({}, { sampled: false });
    listen(EVERYTHING);
    assert.deepEqual(browser.listening(), []);
    requests.sampled();
    requests.sampled();
    assert.deepEqual(browser.listening(), listening);
    for (const name of listening) assert.equal(browser.filters(name).length, 1);
  });

  test(`${mode}: what is sampled before headers is observed`, () => {
    begin({}, { sampled: false });
    requests.sampled();
    assert.deepEqual(browser.listening(), [], 'no request gets headers yet');
    listen(EVERYTHING);
    assert.deepEqual(browser.listening(), listening);
  });

  test(`${mode}: no listener while spans are not exported`, () => {
    begin({}, { exports: false });
    listen(EVERYTHING);
    requests.started(request(), SPAN, PARENT);
    assert.deepEqual([browser.listening(), observed], [[], []]);
    session.exports = true;
    listen(EVERYTHING);
    assert.deepEqual(browser.listening(), listening);
    session.exports = false;
    listen(EVERYTHING);
    assert.deepEqual(browser.listening(), []);
  });

  test(`${mode}: after a stop only those under way are observed`, () => {
    listen(EVERYTHING);
    for (const requestId of ['1', '2']) requests.started(request({ requestId }), SPAN, PARENT);
    requests.stop();
    assert.deepEqual(browser.listening(), ENDS);
    browser.fire(SENT, request({ requestId: '3', ...carrying('01') }));
    browser.fire(COMPLETED, response({ requestId: '1' }));
    assert.deepEqual(browser.listening(), ENDS);
    browser.fire('webRequest.onErrorOccurred', request({ requestId: '2', error: 'net::ERR_FAILED' }));
    assert.deepEqual(browser.listening(), []);
    assert.deepEqual(observed.slice(2).map(({ what, request: id }) => [what, id]), [['request-completed', '1'], ['request-failed', '2']]);
    listen(EVERYTHING);
    assert.deepEqual(browser.listening(), listening);
  });

  test(`${mode}: a stop with nothing under way is immediate`, () => {
    listen(EVERYTHING);
    requests.started(request(), SPAN, PARENT);
    browser.fire(COMPLETED, response());
    requests.stop();
    requests.stop();
    assert.deepEqual(browser.listening(), []);
  });

  test(`${mode}: the filter is registered, and changes`, () => {
    begin(HERE);
    listen(OF_HERE);
    const before = new Map(browser.registered);
    listen({ ...OF_HERE });
    assert.deepEqual(browser.registered, before, 'the same filter needs no change');
    for (const name of listening) assert.deepEqual(browser.filters(name), [name === RECEIVED ? headsOf(OF_HERE) : OF_HERE]);
    browser.fire(COMPLETED, response({ url: ELSEWHERE }));
    browser.fire(COMPLETED, response({ type: 'image' }));
    assert.equal(observed.length, 1);
    listen(CALLS);
    for (const name of listening) assert.deepEqual(browser.filters(name), [CALLS]);
    browser.fire(COMPLETED, response({ type: 'image' }));
    browser.fire(COMPLETED, response({ type: 'xmlhttprequest' }));
    assert.equal(observed.length, 2);
  });

  test(`${mode}: a request that a new filter leaves out is over`, () => {
    listen(EVERYTHING);
    requests.started(request({ type: 'image' }), SPAN, PARENT);
    listen(CALLS);
    requests.stop();
    assert.deepEqual([browser.listening(), [...requests.underWay()]], [[], []]);
  });

  test(`${mode}: a request that is redirected elsewhere is over`, () => {
    begin(HERE);
    listen(OF_HERE);
    for (const redirectUrl of [`${URL_}next`, ELSEWHERE]) {
      requests.started(request(), SPAN, PARENT);
      browser.fire(REDIRECTED, response({ statusCode: 302, redirectUrl }));
      assert.equal([...requests.underWay()].length, redirectUrl === ELSEWHERE ? 0 : 1);
    }
    browser.fire(COMPLETED, response({ url: ELSEWHERE }));
    assert.deepEqual(observed.map(({ what }) => what), ['request-started', 'request-redirected', 'request-started', 'request-redirected']);
    requests.stop();
    assert.deepEqual(browser.listening(), []);
  });

  test(`${mode}: an ignored request is ignored over redirects`, () => {
    begin(HERE);
    listen(EVERYTHING);
    requests.ignore('17');
    browser.fire(REDIRECTED, response({ redirectUrl: `${URL_}next` }));
    browser.fire(REDIRECTED, response({ redirectUrl: ELSEWHERE }));
    assert.deepEqual(observed, []);
    browser.fire('webRequest.onErrorOccurred', request({ error: 'net::ERR_FAILED' }));
    assert.deepEqual(observed.map(({ what }) => what), ['request-failed'], 'it is forgotten');
  });
}

test('rules: a request that is not sampled is not observed', () => {
  requests.listenByRules(EVERYTHING, SESSION, having(TRACE));
  for (const flags of ['00', '02']) {
    browser.fire(SENT, request(carrying(flags)));
    browser.fire(REDIRECTED, response({ redirectUrl: URL_ }));
    browser.fire(SENT, request(carrying(flags)));
    browser.fire(COMPLETED, response());
  }
  assert.deepEqual(observed, []);
  browser.fire(SENT, request(carrying('03')));
  assert.equal(observed.length, 1);
});
