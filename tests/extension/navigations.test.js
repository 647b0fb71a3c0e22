import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { watchNavigations } from '../../extension/observe/navigations.js';

/** @type {Record<string, (details: any) => void>} */
let listeners;
/** @type {unknown[][]} */
let told;
/** @type {(tracker: any) => void} */
let start;

const tracker = new Proxy({}, { get: (_, name) => (name === 'then' ? undefined : (/** @type {unknown[]} */ ...args) => told.push([name, ...args])) });

beforeEach(async () => {
  listeners = {};
  told = [];
  /** @param {string} area */
  const events = (area) =>
    new Proxy({}, {
      get: (_, name) => ({ addListener: (/** @type {(details: any) => void} */ listener) => (listeners[`${area}.${String(name)}`] = listener) }),
    });
  const areas = ['webRequest', 'webNavigation', 'tabs', 'windows'].map((area) => [area, events(area)]);
  Object.assign(globalThis, { chrome: Object.fromEntries(areas) });
  watchNavigations(new Promise((resolve) => (start = resolve)));
});

/** @param {string} name @param {object} details */
const fire = (name, details) => listeners[name]?.(details);

/** @param {object} [details] */
const response = (details) => ({ tabId: 7, requestId: '1', statusCode: 200, responseHeaders: [], documentLifecycle: 'active', ...details });

const location = [{ name: 'Location', value: '/' }];

/** @type {[what: string, event: string, details: object, told: unknown[][]][]} */
const CASES = [
  ['a document', 'onHeadersReceived', {}, [['responded', 7, '1', true]]],
  ['a 204', 'onHeadersReceived', { statusCode: 204 }, [['responded', 7, '1', false]]],
  ['a download', 'onHeadersReceived', { responseHeaders: [{ name: 'Content-Disposition', value: 'Attachment; filename=a' }] }, [['responded', 7, '1', false]]],
  ['a redirect', 'onHeadersReceived', { statusCode: 302, responseHeaders: location }, []],
  ['a 304', 'onHeadersReceived', { statusCode: 304 }, [['responded', 7, '1', true]]],
  ['a demand for credentials', 'onHeadersReceived', { statusCode: 401 }, []],
  ['a refusal that stands', 'onResponseStarted', { statusCode: 401 }, [['responded', 7, '1', true]]],
  ['a prefetch', 'onHeadersReceived', { documentId: 'd' }, []],
  ['a prerender', 'onHeadersReceived', { documentLifecycle: 'prerender' }, []],
  ['a request without a tab', 'onHeadersReceived', { tabId: -1 }, []],
  ['a failure', 'onErrorOccurred', {}, [['failed', 7, '1']]],
];
for (const [what, event, details, expected] of CASES) {
  test(`${what} at ${event}`, async () => {
    start(tracker);
    await Promise.resolve();
    fire(`webRequest.${event}`, response(details));
    assert.deepEqual(told, expected);
  });
}

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
    ['requested', 7, '1', { traceId, spanId: '00f067aa0ba902b7', flags: '01' }],
    ['responded', 7, '1', true],
  ]);
});

test('only main frames that are shown count', async () => {
  start(tracker);
  await Promise.resolve();
  const shown = { tabId: 7, url: 'https://example.test/', parentFrameId: -1, documentLifecycle: 'active', documentId: 'd' };
  fire('webNavigation.onCommitted', { ...shown, parentFrameId: 0 });
  fire('webNavigation.onCommitted', { ...shown, documentLifecycle: 'prerender' });
  fire('webNavigation.onCommitted', shown);
  fire('webNavigation.onErrorOccurred', shown);
  fire('webNavigation.onErrorOccurred', { ...shown, documentLifecycle: 'prerender', documentId: '0'.repeat(32) });
  fire('webNavigation.onErrorOccurred', { ...shown, documentId: '0'.repeat(32) });
  assert.deepEqual(told, [['committed', 7, shown.url], ['abandoned', 7]]);
});
