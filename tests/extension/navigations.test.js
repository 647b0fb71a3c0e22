import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { MAX_URL_LENGTH } from '../../extension/observe/details.js';
import { Documents } from '../../extension/observe/documents.js';
import { NavigationStarts, watchNavigations } from '../../extension/observe/navigations.js';
import { fakeChrome } from './support/chrome.js';
import { propagating } from './support/session.js';

/** @type {ReturnType<typeof fakeChrome>} */
let browser;
/** @type {ReturnType<typeof fakeChrome>['fire']} */
let fire;
/** @type {ReturnType<typeof watchNavigations>} */
let switches;
/** @type {unknown[][]} calls of the tracker */
let calls;
/** @type {(tracker: any) => void} */
let start;
/** @type {any[]} */
let observed;
/** @type {Documents} */
let documents;
/** @type {NavigationStarts} */
let starts;
/** @type {{ spanId: string, flags: string }[]} the result of the tracker's methods */
let results;

/** A tab in an Incognito window. */
const UNOBSERVED = 9;

/** An address that is not a target. */
const ELSEWHERE = 'https://elsewhere.test/';

/** The tracker's methods that are not recorded. @type {Record<string, Function>} */
const ANSWERS = {
  isTarget: (/** @type {string} */ url) => url !== ELSEWHERE,
  observes: (/** @type {number} */ tabId) => tabId !== UNOBSERVED,
  continued: (/** @type {number} */ _tabId, /** @type {string} */ _url, /** @type {any} */ context) => context,
  carriedBy: (/** @type {any} */ headers) => propagating().extract(headers),
};

const tracker = new Proxy({}, {
  get: (_, name) => {
    const record = (/** @type {unknown[]} */ ...args) => {
      calls.push([name, ...args]);
      return results;
    };
    return name === 'then' ? undefined : (ANSWERS[String(name)] ?? record);
  },
});

beforeEach(async () => {
  mock.timers.reset();
  browser = fakeChrome({ granted: true });
  ({ fire } = browser);
  calls = [];
  observed = [];
  results = [];
  documents = new Documents();
  starts = new NavigationStarts();
  const outbox = { observe: (/** @type {any} */ observation) => void observed.push(observation) };
  switches = watchNavigations(new Promise((resolve) => (start = resolve)), { outbox, documents, starts });
});

const PAGE = 'https://example.test/';

/** @param {object} [details] */
const response = (details) => ({
  tabId: 7,
  url: PAGE,
  requestId: '1',
  type: 'main_frame',
  timeStamp: 12.5,
  statusCode: 200,
  responseHeaders: [],
  documentLifecycle: 'active',
  ...details,
});

/** What the browser says of a request that leaves. @param {object} details */
const leaving = (details) =>
  Object.fromEntries(Object.entries(response({ requestHeaders: [], ...details })).filter(([name]) => name !== 'responseHeaders'));

const NONE = '0'.repeat(32);
const attachment = [{ name: 'Content-Disposition', value: 'Attachment; filename=a' }];
const control = [{ name: 'Sec-CH-NavTrace', value: 'off' }];
const location = [{ name: 'Location', value: '/' }];

/** @type {[what: string, event: string, details: object, calls: unknown[][]][]} */
const CASES = [
  ['a document', 'onHeadersReceived', {}, [['responded', 7, '1', PAGE, null]]],
  ['a 204', 'onHeadersReceived', { statusCode: 204 }, [['responded', 7, '1', null, null]]],
  ['a download', 'onHeadersReceived', { responseHeaders: attachment }, [['responded', 7, '1', null, null]]],
  ['a redirect', 'onHeadersReceived', { statusCode: 302, responseHeaders: location }, []],
  ['a 304', 'onHeadersReceived', { statusCode: 304 }, [['responded', 7, '1', PAGE, null]]],
  ['a demand for credentials', 'onHeadersReceived', { statusCode: 401 }, []],
  ['a demand of a proxy for credentials', 'onHeadersReceived', { statusCode: 407 }, []],
  ['a refusal that stands', 'onResponseStarted', { statusCode: 401 }, [['responded', 7, '1', PAGE, null]]],
  ['a prefetch', 'onHeadersReceived', { documentId: 'd' }, []],
  ['a prerender', 'onHeadersReceived', { documentLifecycle: 'prerender' }, []],
  ['a request without a tab', 'onHeadersReceived', { tabId: -1 }, []],
  ['a failure', 'onErrorOccurred', {}, [['failed', 7, '1']]],
  ['a request', 'onSendHeaders', { requestHeaders: [] }, [['requested', 7, '1', null]]],
  ['a prefetch', 'onSendHeaders', { requestHeaders: [], documentId: 'd' }, [['speculated', 7, '1', null]]],
  ['a prerender', 'onSendHeaders', { requestHeaders: [], documentLifecycle: 'prerender' }, [['speculated', 7, '1', null]]],
  ['a request without a tab', 'onSendHeaders', { requestHeaders: [], tabId: -1 }, []],
  ['a request to an address that is no target', 'onSendHeaders', { requestHeaders: [], url: ELSEWHERE }, []],
  ['a document that is no target', 'onHeadersReceived', { url: ELSEWHERE }, [['responded', 7, '1', ELSEWHERE, null]]],
  ['a request before it leaves', 'onBeforeSendHeaders', { requestHeaders: [] }, [['arrived', leaving({}), undefined]]],
  ['a steering header', 'onBeforeSendHeaders', { requestHeaders: control, url: ELSEWHERE }, [['arrived', leaving({ requestHeaders: control, url: ELSEWHERE }), control[0]]]],
  ['a prefetch', 'onBeforeSendHeaders', { requestHeaders: control, documentId: 'd' }, []],
  ['a prerender', 'onBeforeSendHeaders', { requestHeaders: control, documentLifecycle: 'prerender' }, []],
  ['a request without a tab', 'onBeforeSendHeaders', { requestHeaders: control, tabId: -1 }, []],
  ['a request that is no main frame', 'onBeforeSendHeaders', { requestHeaders: control, type: 'script' }, []],
  ['a request that is no main frame', 'onSendHeaders', { requestHeaders: [], type: 'script' }, []],
];
for (const [what, event, details, expected] of CASES) {
  test(`${what} at ${event}`, async () => {
    start(tracker);
    await Promise.resolve();
    fire(`webRequest.${event}`, response(details));
    assert.deepEqual(calls, expected);
  });
}

test('a response tells when its navigation began, if unused', async () => {
  await answering();
  fire('webNavigation.onBeforeNavigate', page({ timeStamp: 90 }));
  for (const event of ['onHeadersReceived', 'onResponseStarted']) fire(`webRequest.${event}`, response());
  starts.take(7, 100);
  fire('webRequest.onResponseStarted', response());
  assert.deepEqual(calls, [90, 90, null].map((begun) => ['responded', 7, '1', PAGE, begun]));
});

test('detailed mode needs only the responses of navigations', async () => {
  await answering();
  const three = ['onBeforeSendHeaders', 'onSendHeaders', 'onHeadersReceived'].map((name) => `webRequest.${name}`);
  const heard = () => three.map((name) => browser.filters(name).length);
  const all = () => {
    calls.length = 0;
    for (const name of [...three, 'webRequest.onResponseStarted', 'webRequest.onErrorOccurred']) fire(name, { ...response(), requestHeaders: [] });
    return calls.map(([name]) => name);
  };
  for (let n = 0; n < 2; n += 1) {
    assert.deepEqual(heard(), [1, 1, 1]);
    assert.deepEqual(all(), ['arrived', 'requested', 'responded', 'responded', 'failed']);
    switches.leaveToInjector({ readsHeaders: false });
    switches.leaveToInjector({ readsHeaders: false });
    assert.deepEqual(heard(), [0, 0, 0]);
    assert.deepEqual(all(), ['responded', 'failed']);
    switches.leaveToInjector({ readsHeaders: true });
    assert.deepEqual(heard(), [1, 0, 0]);
    switches.followAll();
    switches.followAll();
  }
});

test('no listener is blocking', () => {
  assert.deepEqual(browser.blocking(), []);
});

test('events before the start are handled later, in order', async () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const requestHeaders = [{ name: 'Traceparent', value: `00-${traceId}-00f067aa0ba902b7-01` }];
  fire('windows.onCreated', { id: 6 });
  fire('tabs.onCreated', { id: 7, windowId: 6 });
  fire('webRequest.onSendHeaders', { ...response(), requestHeaders });
  fire('webRequest.onHeadersReceived', response());
  assert.deepEqual(calls, []);
  start(tracker);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(calls, [
    ['opened', [], [6]],
    ['tabOpened', { id: 7, windowId: 6 }],
    ['opened', [7], [6]],
    ['requested', 7, '1', { traceId, spanId: '00f067aa0ba902b7', flags: '01', tracestate: '', baggage: '' }],
    ['responded', 7, '1', PAGE, null],
  ]);
});

test('only main frames that are shown are tracked', async () => {
  start(tracker);
  await Promise.resolve();
  const shown = { tabId: 7, url: PAGE, parentFrameId: -1, documentLifecycle: 'active', documentId: 'd' };
  fire('webNavigation.onCommitted', { ...shown, parentFrameId: 0 });
  fire('webNavigation.onCommitted', { ...shown, documentLifecycle: 'prerender' });
  fire('webNavigation.onCommitted', shown);
  fire('webNavigation.onErrorOccurred', { ...shown, parentFrameId: 0 });
  fire('webNavigation.onErrorOccurred', { ...shown, documentLifecycle: 'prerender', documentId: NONE });
  assert.deepEqual(calls, [['committed', 7, PAGE]]);
});

/** @type {[what: string, documentId: string, error: string, calls: unknown[][]][]} */
const ERRORS = [
  ['a navigation without a document', NONE, 'net::ERR_ABORTED', [['abandoned', 7, PAGE, false]]],
  ['an error page', 'd', 'net::ERR_HTTP_RESPONSE_CODE_FAILURE', [['abandoned', 7, PAGE, true]]],
  ['a replaced navigation', 'd', 'net::ERR_ABORTED', []],
];
for (const [what, documentId, error, expected] of ERRORS) {
  test(`${what}: distinguished by id and error`, async () => {
    start(tracker);
    await Promise.resolve();
    fire('webNavigation.onErrorOccurred', { tabId: 7, url: PAGE, parentFrameId: -1, documentLifecycle: 'active', documentId, error });
    assert.deepEqual(calls, expected);
  });
}

for (const [type, document] of Object.entries({
  'application/octet-stream': false,
  'Application/Zip; a=b': false,
  'application/x-tar': false,
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': false,
  'application/vnd.api+json': true,
  'application/x-javascript': true,
  'application/xhtml+xml': true,
  'application/pdf': true,
  'text/x-anything': true,
  '': true,
})) {
  test(`${document ? 'document' : 'file'}: ${type.slice(0, 45)}`, async () => {
    start(tracker);
    await Promise.resolve();
    fire('webRequest.onHeadersReceived', response({ responseHeaders: [{ name: 'content-type', value: type }] }));
    assert.deepEqual(calls, [['responded', 7, '1', document ? PAGE : null, null]]);
  });
}

test('a replaced tab is closed', async () => {
  start(tracker);
  await Promise.resolve();
  fire('tabs.onRemoved', 6);
  fire('tabs.onReplaced', 8, 7);
  assert.deepEqual(calls, [['closed', 6], ['closed', 7], ['opened', [8], []]]);
});

const A = { spanId: 'a'.repeat(16), flags: '01' };
const B = { spanId: 'b'.repeat(16), flags: '00' };

/** @param {object} [details] */
const page = (details) => ({
  tabId: 7,
  url: PAGE,
  parentFrameId: -1,
  documentLifecycle: 'active',
  documentId: 'd',
  timeStamp: 100.5,
  transitionType: 'link',
  ...details,
});

/** Makes the tracker ready and return these contexts. @param {{ spanId: string, flags: string }[]} contexts */
async function answering(...contexts) {
  results = contexts;
  start(tracker);
  await Promise.resolve();
}

test('a committed navigation is observed and its document known', async () => {
  await answering(A);
  fire('webNavigation.onBeforeNavigate', page({ documentId: undefined, timeStamp: 90 }));
  fire('webNavigation.onCommitted', page());
  const committed = { what: 'navigation-committed', time: 100.5, spanId: A.spanId, tabId: 7, url: PAGE, started: 90, transition: 'link' };
  assert.deepEqual(observed, [committed]);
  assert.deepEqual(documents.find('d'), A);
});

test('a navigation without a known start began at its commit', async () => {
  await answering(A);
  fire('webNavigation.onBeforeNavigate', page({ timeStamp: 1, parentFrameId: 0 }));
  fire('webNavigation.onBeforeNavigate', page({ timeStamp: 2, documentLifecycle: 'prerender' }));
  fire('webNavigation.onBeforeNavigate', page({ timeStamp: 3, tabId: 8 }));
  fire('webNavigation.onCommitted', page());
  assert.equal(observed[0].started, 100.5);
});

test('navigation starts are known before the tracker is ready', () => {
  for (const tabId of [7, 8]) fire('webNavigation.onBeforeNavigate', page({ tabId, timeStamp: 90 }));
  fire('tabs.onRemoved', 8);
  assert.deepEqual([starts.take(7, 100), starts.take(8, 100)], [90, 100]);
});

test('a commit that is no navigation is ignored', async () => {
  await answering();
  fire('webNavigation.onBeforeNavigate', page({ timeStamp: 90 }));
  fire('webNavigation.onCommitted', page({ url: 'about:blank' }));
  fire('webNavigation.onDOMContentLoaded', page());
  assert.deepEqual(observed, []);
  assert.equal(documents.find('d'), undefined);
});

test('the address of a committed document is cut', async () => {
  await answering(A);
  fire('webNavigation.onCommitted', page({ url: `data:text/html,${'x'.repeat(10_000)}` }));
  assert.equal(observed[0].url.length, MAX_URL_LENGTH);
});

test('parsing and loading are observed for main frames only', async () => {
  await answering(A);
  fire('webNavigation.onCommitted', page());
  observed.length = 0;
  for (const event of ['onDOMContentLoaded', 'onCompleted']) {
    fire(`webNavigation.${event}`, page({ parentFrameId: 0 }));
    fire(`webNavigation.${event}`, page({ documentLifecycle: 'prerender' }));
    fire(`webNavigation.${event}`, page({ documentId: 'unknown' }));
    fire(`webNavigation.${event}`, page({ timeStamp: 200.25 }));
  }
  assert.deepEqual(observed, [
    { what: 'document-parsed', time: 200.25, spanId: A.spanId },
    { what: 'document-loaded', time: 200.25, spanId: A.spanId },
  ]);
});

test('a document in a frame belongs to the navigation of its page', async () => {
  await answering(A);
  fire('webNavigation.onCommitted', page());
  fire('webNavigation.onCommitted', page({ documentId: 'frame', parentFrameId: 0, parentDocumentId: 'd' }));
  fire('webNavigation.onCommitted', page({ documentId: 'nested', parentFrameId: 3, parentDocumentId: 'frame' }));
  fire('webNavigation.onCommitted', page({ documentId: 'lost', parentFrameId: 3, parentDocumentId: 'unknown' }));
  assert.deepEqual(['frame', 'nested', 'lost'].map((id) => documents.find(id)), [A, A, undefined]);
  assert.equal(observed.length, 1);
});

test('observations before the start keep their order', async () => {
  fire('webNavigation.onCommitted', page());
  fire('webNavigation.onCommitted', page({ documentId: 'frame', parentFrameId: 0, parentDocumentId: 'd' }));
  fire('webNavigation.onDOMContentLoaded', page());
  fire('webNavigation.onCompleted', page());
  assert.deepEqual(observed, []);
  await answering(A);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(observed.map(({ what }) => what), ['navigation-committed', 'document-parsed', 'document-loaded']);
  assert.deepEqual(documents.find('frame'), A);
});

/** @type {[what: string, event: string, details: object, end?: string][]} */
const ENDS = [
  ['a 204', 'webRequest.onHeadersReceived', { statusCode: 204 }, 'no-document'],
  ['a late download', 'webRequest.onResponseStarted', { responseHeaders: attachment }, 'no-document'],
  ['a response of no target', 'webRequest.onHeadersReceived', {}, 'elsewhere'],
  ['a failure', 'webRequest.onErrorOccurred', {}],
  ['an error page', 'webNavigation.onErrorOccurred', page({ timeStamp: 12.5, error: 'net::ERR_FAILED' })],
];
for (const [what, event, details, end] of ENDS) {
  test(`${what} ends a navigation at the time of the event`, async () => {
    await answering(A);
    fire(event, response(details));
    assert.deepEqual(observed, [{ what: 'navigation-failed', time: 12.5, spanId: A.spanId, end }]);
  });
}

test('a closed tab is observed after its navigations', async () => {
  mock.timers.enable({ apis: ['Date'], now: 500 });
  await answering(A, B);
  fire('tabs.onRemoved', 7);
  results = [];
  fire('tabs.onReplaced', 9, 8);
  assert.deepEqual(observed, [
    { what: 'navigation-failed', time: 500, spanId: A.spanId, end: undefined },
    { what: 'navigation-failed', time: 500, spanId: B.spanId, end: undefined },
    { what: 'tab-closed', time: 500, tabId: 7 },
    { what: 'tab-closed', time: 500, tabId: 8 },
  ]);
});

test('a steering header before the start is handled in order', async () => {
  for (const url of [PAGE, ELSEWHERE]) {
    fire('webRequest.onBeforeSendHeaders', { ...response({ url }), requestHeaders: control });
    fire('webRequest.onSendHeaders', { ...response({ url }), requestHeaders: [] });
    fire('webRequest.onHeadersReceived', response({ url }));
  }
  assert.equal(calls.length, 0);
  start(tracker);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(calls.map(([name, first, second, third]) => [name, name === 'arrived' ? second : third, /** @type {any} */ (first)?.url]), [
    ['arrived', control[0], PAGE],
    ['requested', null, undefined],
    ['responded', PAGE, undefined],
    ['arrived', control[0], ELSEWHERE],
    ['responded', ELSEWHERE, undefined],
  ]);
});

test('a document that is no target is not observed', async () => {
  await answering();
  fire('webNavigation.onBeforeNavigate', page({ url: ELSEWHERE }));
  fire('webNavigation.onCommitted', page({ url: ELSEWHERE }));
  fire('webNavigation.onDOMContentLoaded', page({ url: ELSEWHERE }));
  fire('webNavigation.onCompleted', page({ url: ELSEWHERE }));
  assert.deepEqual(calls, [['committed', 7, ELSEWHERE]]);
  assert.deepEqual(observed, []);
  assert.equal(documents.find('d'), undefined);
});
