import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { watchNavigations } from '../../extension/observe/navigations.js';
import { fakeChrome } from './support/chrome.js';

/** @type {ReturnType<typeof fakeChrome>} */
let browser;
/** @type {ReturnType<typeof fakeChrome>['fire']} */
let fire;
/** @type {unknown[][]} */
let told;
/** @type {(tracker: any) => void} */
let start;

const tracker = new Proxy(
  {},
  {
    get: (_, name) =>
      name === 'then' ? undefined : (/** @type {unknown[]} */ ...args) => told.push([name, ...args]),
  },
);

beforeEach(async () => {
  browser = fakeChrome({ granted: true });
  ({ fire } = browser);
  told = [];
  watchNavigations(new Promise((resolve) => (start = resolve)));
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

const NONE = '0'.repeat(32);
const attachment = [{ name: 'Content-Disposition', value: 'Attachment; filename=a' }];
const location = [{ name: 'Location', value: '/' }];

/** @type {[what: string, event: string, details: object, told: unknown[][]][]} */
const CASES = [
  ['a document', 'onHeadersReceived', {}, [['responded', 7, '1', PAGE]]],
  ['a 204', 'onHeadersReceived', { statusCode: 204 }, [['responded', 7, '1', null]]],
  ['a download', 'onHeadersReceived', { responseHeaders: attachment }, [['responded', 7, '1', null]]],
  ['a redirect', 'onHeadersReceived', { statusCode: 302, responseHeaders: location }, []],
  ['a 304', 'onHeadersReceived', { statusCode: 304 }, [['responded', 7, '1', PAGE]]],
  ['a demand for credentials', 'onHeadersReceived', { statusCode: 401 }, []],
  ['a refusal that stands', 'onResponseStarted', { statusCode: 401 }, [['responded', 7, '1', PAGE]]],
  ['a prefetch', 'onHeadersReceived', { documentId: 'd' }, []],
  ['a prerender', 'onHeadersReceived', { documentLifecycle: 'prerender' }, []],
  ['a request without a tab', 'onHeadersReceived', { tabId: -1 }, []],
  ['a failure', 'onErrorOccurred', {}, [['failed', 7, '1']]],
  ['a request', 'onSendHeaders', { requestHeaders: [], timeStamp: 1234.5 }, [['requested', 7, '1', null, 1234.5]]],
  ['a prefetch', 'onSendHeaders', { requestHeaders: [], documentId: 'd' }, []],
  ['a request that is no main frame', 'onSendHeaders', { requestHeaders: [], type: 'script' }, []],
];
for (const [what, event, details, expected] of CASES) {
  test(`${what} at ${event}`, async () => {
    start(tracker);
    await Promise.resolve();
    fire(`webRequest.${event}`, response(details));
    assert.deepEqual(told, expected);
  });
}

test('none of its listeners has a request wait', () => {
  assert.deepEqual(browser.blocking(), []);
});

test('what happens before the start waits, in its order', async () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const requestHeaders = [{ name: 'Traceparent', value: `00-${traceId}-00f067aa0ba902b7-01` }];
  fire('windows.onCreated', { id: 6 });
  fire('tabs.onCreated', { id: 7, windowId: 6 });
  fire('webRequest.onSendHeaders', { ...response(), requestHeaders });
  fire('webRequest.onHeadersReceived', response());
  assert.deepEqual(told, []);
  start(tracker);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(told, [
    ['opened', [], [6]],
    ['opened', [7], [6]],
    ['requested', 7, '1', { traceId, spanId: '00f067aa0ba902b7', flags: '01' }, 12.5],
    ['responded', 7, '1', PAGE],
  ]);
});

test('only main frames that are shown count', async () => {
  start(tracker);
  await Promise.resolve();
  const shown = { tabId: 7, url: PAGE, parentFrameId: -1, documentLifecycle: 'active', documentId: 'd' };
  fire('webNavigation.onCommitted', { ...shown, parentFrameId: 0 });
  fire('webNavigation.onCommitted', { ...shown, documentLifecycle: 'prerender' });
  fire('webNavigation.onCommitted', shown);
  fire('webNavigation.onErrorOccurred', { ...shown, parentFrameId: 0 });
  fire('webNavigation.onErrorOccurred', { ...shown, documentLifecycle: 'prerender', documentId: NONE });
  assert.deepEqual(told, [['committed', 7, PAGE]]);
});

/** @type {[what: string, documentId: string, error: string, told: unknown[][]][]} */
const ERRORS = [
  ['a navigation that leaves the page as it was', NONE, 'net::ERR_ABORTED', [['abandoned', 7, PAGE, false]]],
  ['an error page', 'd', 'net::ERR_HTTP_RESPONSE_CODE_FAILURE', [['abandoned', 7, PAGE, true]]],
  ['a page that another replaces while it loads', 'd', 'net::ERR_ABORTED', []],
];
for (const [what, documentId, error, expected] of ERRORS) {
  test(`${what} is told apart by its document and its error`, async () => {
    start(tracker);
    await Promise.resolve();
    fire('webNavigation.onErrorOccurred', { tabId: 7, url: PAGE, parentFrameId: -1, documentLifecycle: 'active', documentId, error });
    assert.deepEqual(told, expected);
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
  test(`a response of type ${JSON.stringify(type)} is ${document ? 'a document' : 'a file'}`, async () => {
    start(tracker);
    await Promise.resolve();
    fire('webRequest.onHeadersReceived', response({ responseHeaders: [{ name: 'content-type', value: type }] }));
    assert.deepEqual(told, [['responded', 7, '1', document ? PAGE : null]]);
  });
}

test('a tab that another takes the place of is closed', async () => {
  start(tracker);
  await Promise.resolve();
  fire('tabs.onRemoved', 6);
  fire('tabs.onReplaced', 8, 7);
  assert.deepEqual(told, [['closed', 6], ['closed', 7], ['opened', [8], []]]);
});
