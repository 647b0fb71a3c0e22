import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { BrowserContexts } from '../../extension/context/browser-contexts.js';
import { NavigationTracker } from '../../extension/headers/tracker.js';
import { ALIKE } from './support/session.js';
import { ELSEWHERE, PAGE, TAB } from './support/tabs.js';

const ENDED = [{ spanId: 'e'.repeat(16), flags: '01' }];

/**
 * A tracker whose parts record what they are asked.
 *
 * @param {{ update?: boolean, ended?: typeof ENDED, isLightweight?: boolean, isLanding?: boolean, current?: object }} [options]
 */
function begin({ update = false, ended = [], isLightweight = false, isLanding = false, current } = {}) {
  const change = mock.fn((/** @type {any[]} */ ..._args) => ({ update, ended }));
  const tabs = {
    browserContexts: new BrowserContexts(),
    isLanding: () => isLanding,
    current: () => current,
    navigation: (/** @type {number} */ _tabId, /** @type {string} */ requestId) => (requestId === 'known' ? {} : undefined),
    opened: change, closed: change, requested: change, responded: change, failed: change, committed: change, abandoned: change, speculated: change,
  };
  const traces = {
    isTracedPage: (/** @type {string} */ url) => url === PAGE,
    has: (/** @type {string} */ traceId) => traceId === 'ours',
    contextOf: (/** @type {number} */ _tabId, /** @type {object} */ sent) => ({ of: sent }),
    arrive: mock.fn(),
    navigated: mock.fn(),
    shown: mock.fn(),
    contexts: { opened: () => false, located: () => false, closed: mock.fn() },
    clients: { closed: mock.fn(), hasSpan: (/** @type {string} */ spanId) => spanId === 'client' },
  };
  const propagation = { read: () => ({ contexts: ['first', 'second'] }), baggageOf: () => 'baggage', settings: {} };
  const session = { use: mock.fn(), context: { traceId: 'ours', spanId: 'root', flags: '01' }, incognito: ALIKE, propagation };
  const mode = { isLightweight, update: mock.fn(async () => {}), requestLeft: mock.fn() };
  const host = { keepContexts: mock.fn(), problem: mock.fn() };
  const requests = { left: mock.fn() };
  const tracker = new NavigationTracker(/** @type {any} */ ({ session, tabs, traces }), /** @type {any} */ (mode), /** @type {any} */ ({}), host, requests);
  return { requests, tracker, change, traces, session, mode, tabs, host };
}

for (const [what, requestId, url, begun, isLightweight, left] of /** @type {[string, string, string | null, number | null, boolean, boolean][]} */ ([
  ['a navigation that the listener missed', '1', PAGE, 5, false, true],
  ['a navigation that the listener began', 'known', PAGE, 5, false, false],
  ['a navigation that the listener knows', '1', PAGE, null, false, false],
  ['a download', '1', null, 5, false, false],
  ['an address that is not traced', '1', ELSEWHERE, 5, false, false],
  ['lightweight mode', '1', PAGE, 5, true, false],
])) {
  test(`a request without the listener: ${what}`, () => {
    const { tracker, mode, change } = begin({ isLightweight });
    tracker.responded(TAB, requestId, url, begun);
    assert.deepEqual(mode.requestLeft.mock.calls.map(({ arguments: args }) => args), left ? [[5]] : []);
    assert.deepEqual(change.mock.calls.map(({ arguments: args }) => args), [[TAB, requestId, url]]);
  });
}

for (const [what, requestId, sent, isLightweight, applied] of /** @type {[string, string, any, boolean, unknown[]][]} */ ([
  ['a request with a context of ours', '1', { traceId: 'ours', spanId: 's' }, true, [{ of: { traceId: 'ours', spanId: 's' } }]],
  ['a request without a context', '1', null, true, [null]],
  ['a request of another trace', '1', { traceId: 'theirs', spanId: 's' }, true, [null]],
  ['a request with its client’s span', '1', { traceId: 'ours', spanId: 'client' }, true, [null]],
  ['a navigation of the listener', 'known', null, false, []],
  ['a navigation that is known in lightweight mode', 'known', null, true, [null]],
  ['a navigation that the listener missed', '1', null, false, [null]],
])) {
  test(`a request leaves: ${what}`, () => {
    const { tracker, change, session } = begin({ isLightweight });
    tracker.requested(TAB, requestId, sent);
    assert.deepEqual(change.mock.calls.map(({ arguments: args }) => args), applied.map((context) => [TAB, requestId, context]));
    assert.equal(session.use.mock.callCount(), 1);
  });
}

for (const [what, sent, isLightweight, applied] of /** @type {[string, any, boolean, boolean][]} */ ([
  ['in lightweight mode', { traceId: 'ours', spanId: 's' }, true, true],
  ['in detailed mode', { traceId: 'ours', spanId: 's' }, false, false],
  ['without a context', null, true, false],
  ['with a context of another trace', { traceId: 'theirs', spanId: 's' }, true, false],
])) {
  test(`a prefetch or a prerender leaves ${what}`, () => {
    const { tracker, change } = begin({ isLightweight });
    tracker.speculated(TAB, '1', sent);
    assert.deepEqual(change.mock.calls.map(({ arguments: args }) => args), applied ? [[TAB, '1', sent]] : []);
  });
}

test('what a client has put on a navigation is read once', () => {
  const { tracker, traces } = begin();
  const off = { name: 'sec-ch-navtrace', value: 'off' };
  tracker.arrived({ tabId: TAB, requestId: '1', url: PAGE, requestHeaders: [] }, off);
  tracker.arrived({ tabId: TAB, requestId: 'known', url: PAGE, requestHeaders: [] }, off);
  assert.deepEqual(traces.arrive.mock.calls.map(({ arguments: args }) => args), [[TAB, 'first', 'baggage', off]]);
  assert.deepEqual(traces.navigated.mock.calls.map(({ arguments: [{ requestId }] }) => requestId), ['1']);
});

test('the rules are updated only after a change', () => {
  for (const update of [false, true]) {
    const { tracker, mode } = begin({ update });
    tracker.committed(TAB, PAGE);
    tracker.opened([TAB], []);
    assert.equal(mode.update.mock.callCount(), update ? 2 : 0);
  }
});

for (const [what, url, current, expected] of /** @type {[string, string, object | undefined, object][]} */ ([
  ['a navigation of its own trace', PAGE, { spanId: 'n', flags: '00', trace: { traceId: 'tab' } }, { traced: true, traceId: 'tab', sampled: false }],
  ['no navigation that is known', PAGE, undefined, { traced: true, traceId: 'ours', sampled: true }],
  ['an address that is not traced', ELSEWHERE, undefined, { traced: false, traceId: 'ours', sampled: true }],
  ['a page that is steered off', PAGE, { spanId: 'n', flags: '01', steering: { off: true } }, { traced: false, traceId: 'ours', sampled: true }],
])) {
  test(`the context of a document: ${what}`, () => assert.deepEqual(begin({ current }).tracker.contextOf(TAB, url), expected));
}

test('a navigation that has ended was the session’s', () => {
  const { tracker, session } = begin({ ended: ENDED });
  assert.equal(tracker.failed(TAB, '1'), ENDED);
  assert.equal(tracker.abandoned(TAB, PAGE, false), ENDED);
  assert.equal(tracker.closed(TAB), ENDED);
  assert.equal(session.use.mock.callCount(), 3);
  const none = begin();
  none.tracker.failed(TAB, '1');
  assert.equal(none.session.use.mock.callCount(), 0);
});

test('requests are left when the last page of their context closes, and those of workers with the last context', () => {
  const { tracker, requests } = begin();
  const left = () => requests.left.mock.calls.map(({ arguments: [tabIds] }) => [...tabIds]);
  for (const [id, windowId] of /** @type {[number, number][]} */ ([[11, 1], [12, 1], [21, 2], [91, 9]])) {
    tracker.tabOpened(/** @type {any} */ ({ id, windowId, incognito: windowId !== 9 }));
  }
  for (const id of [11, 99, 91]) tracker.closed(id);
  assert.deepEqual(left(), []);
  tracker.closed(12);
  assert.deepEqual(left(), [[11, 12]]);
  tracker.closed(21);
  assert.deepEqual(left().slice(1), [[-1, 21]]);
});

test('a closed tab has no client', () => {
  const { tracker, traces } = begin();
  tracker.closed(TAB);
  assert.deepEqual(traces.clients.closed.mock.calls.map(({ arguments: args }) => args), [[TAB]]);
});

/** @param {number} id @param {number} windowId */
const opened = (id, windowId) => /** @type {chrome.tabs.Tab} */ ({ id, windowId, incognito: true });

test('the host is asked about each context that opens beside others, or closes', () => {
  const { tracker, host, mode } = begin();
  /** @param {number} calls */
  const asked = (calls) => assert.deepEqual(host.keepContexts.mock.calls.map(({ arguments: [number] }) => number), Array(calls).fill(2));
  tracker.tabOpened(opened(2, 1));
  assert.equal(mode.update.mock.callCount(), 0, 'one context alone costs nothing');
  asked(0);
  tracker.tabOpened(opened(4, 3));
  asked(1);
  assert.equal(mode.update.mock.callCount(), 1);
  tracker.contextsKept({ type: 'overlap', opened: 2, kept: true, closed: false });
  assert.equal(mode.update.mock.callCount(), 2);
  tracker.closed(2);
  asked(2);
});

test('rules of a tab go that turns out to be in a context whose requests are reported', () => {
  for (const isLightweight of [false, true]) {
    const { tracker, mode, tabs } = begin({ isLightweight });
    tracker.tabOpened(opened(2, 1));
    tracker.tabOpened(opened(4, 3));
    tracker.contextsKept({ type: 'overlap', opened: 2, kept: true, closed: false });
    tabs.browserContexts.ruled(new Map([[5, []], [6, []]]));
    const before = mode.update.mock.callCount();
    tracker.tabOpened(opened(5, 3));
    assert.equal(mode.update.mock.callCount(), before + (isLightweight ? 0 : 1));
    tracker.tabOpened(opened(TAB, 3));
    assert.equal(mode.update.mock.callCount(), before + (isLightweight ? 0 : 1), 'it had none');
  }
});

for (const [what, kept, url, isLanding, told] of /** @type {[string, boolean, string, boolean, number][]} */ ([
  ['a page without a request', false, PAGE, false, 1],
  ['a page of a context that is kept', true, PAGE, false, 0],
  ['a page whose request was seen', false, PAGE, true, 0],
  ['a page that is not traced', false, ELSEWHERE, false, 0],
])) {
  test(`the user is told of requests that are not reported: ${what}`, () => {
    const { tracker, host } = begin({ isLanding });
    tracker.tabOpened(opened(2, 1));
    tracker.tabOpened(opened(TAB, 3));
    tracker.contextsKept({ type: 'overlap', opened: 2, kept, closed: false });
    tracker.committed(TAB, url);
    assert.equal(host.problem.mock.callCount(), told);
  });
}
