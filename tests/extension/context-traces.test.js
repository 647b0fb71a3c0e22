import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BrowserContexts } from '../../extension/context/browser-contexts.js';
import { WORKERS } from '../../extension/context/incognito.js';
import { Traces } from '../../extension/context/traces.js';
import { SESSION, fakeOutbox, fakeSession, spanId as S, traceId as T } from './support/session.js';

/** @import { PropagationSettings } from '../../extension/context/propagation.js' */

const ROOT = { traceId: SESSION.traceId, spanId: SESSION.spanId };

/** @param {number} n */
const trace = (n, more = {}) => ({ traceId: T(n), spanId: S(n), flags: '01', tracestate: '', ...more });

/** @param {Partial<PropagationSettings>} [settings] */
function browser(settings) {
  const session = fakeSession({ scope: 'context', ...settings });
  const outbox = fakeOutbox();
  const browserContexts = new BrowserContexts();
  const traces = new Traces(session, outbox, session.events, browserContexts);
  const { contexts } = traces;
  /** @type {Set<number>} */
  const windows = new Set();
  /** Opens a tab, in a window that the host says to be of a context of its own. @param {number} id @param {number} windowId @param {object} [more] */
  const open = (id, windowId, more) => {
    browserContexts.opened({ id, windowId, incognito: true, ...more });
    const isInOther = contexts.opened(id);
    windows.add(windowId);
    return contexts.located(Array.from(windows, (window) => [window])) || isInOther;
  };
  /** @param {number} id */
  const close = (id) => {
    const ended = browserContexts.closed(id);
    if (ended !== null) contexts.closed(ended);
  };
  /** The observations since the last call, without their times. */
  const told = () => outbox.observed.splice(0).map(({ time: _time, ...observation }) => observation);
  return { session, browserContexts, traces, contexts, open, close, told };
}

/** @param {string} issuedFor @param {number} n @param {object} more */
const issued = (issuedFor, n, more) => ({ what: 'context-issued', issuedFor, spanId: S(n), traceId: T(n), flags: '01', ...more });

test("the first context has the session's trace, and says nothing of it", () => {
  const { traces, contexts, open, close, told } = browser();
  assert.equal(open(1, 1, { incognito: false }), false);
  assert.equal(open(3, 2), false);
  assert.equal(open(4, 2), false, 'another page');
  assert.equal(open(6, 5, { openerTabId: 3 }), false, 'a popup in a window of its own');
  assert.deepEqual([1, 3, 4, 6, 7, WORKERS, null].map((tabId) => contexts.of(tabId)), Array(7).fill(null));
  assert.equal(traces.rootOf(WORKERS), SESSION);
  assert.deepEqual([contexts.kept, told()], [null, []]);
  for (const tabId of [3, 4, 6]) close(tabId);
  assert.deepEqual(told(), [{ what: 'context-closed', spanId: SESSION.spanId }]);
});

test('a later context has a trace of its own, and the session too', () => {
  const { contexts, open, close, told } = browser();
  open(2, 1);
  assert.equal(open(4, 3), true, 'tabs to come were in the first one');
  assert.deepEqual(told(), [issued('session', 1, {}), issued('context', 2, { links: [{ traceId: T(1), spanId: S(1) }] })]);
  assert.deepEqual([2, 4, 9].map((tabId) => contexts.of(tabId)), [null, trace(2), trace(2)]);
  assert.deepEqual(contexts.of(WORKERS), trace(1), 'two are open');
  assert.equal(open(5, 1), true, 'a page of the first one');
  close(4);
  assert.equal(contexts.of(WORKERS), null, 'the first one alone is open');
  close(2);
  close(5);
  assert.deepEqual(contexts.of(WORKERS), trace(1));
  assert.deepEqual(told(), [{ what: 'context-closed', spanId: S(2) }, { what: 'context-closed', spanId: SESSION.spanId }]);
  open(7, 6);
  assert.deepEqual([contexts.of(7), contexts.of(WORKERS)], [trace(3), trace(3)]);
});

test("the browser's own context takes part once it is used", () => {
  const unused = browser();
  unused.open(1, 1, { incognito: false });
  unused.open(3, 2);
  unused.contexts.use(1);
  assert.deepEqual([unused.contexts.of(1), unused.contexts.of(3)], [trace(2), null]);

  const first = browser();
  first.open(1, 1, { incognito: false });
  first.contexts.use(1);
  first.open(2, 1, { incognito: false });
  first.open(4, 3);
  assert.deepEqual([1, 2, 4].map((tabId) => first.contexts.of(tabId)), [null, null, trace(2)]);

  const later = browser();
  later.open(2, 1);
  assert.equal(later.open(3, 9, { incognito: false }), true, 'a new page of it');
  assert.deepEqual(later.contexts.of(3), trace(2));
});

test('in the trace of another process all contexts have spans', () => {
  const { contexts, open, told } = browser({ joined: true, tracestate: 'a=1' });
  open(2, 1);
  open(4, 3);
  const [session, context] = told();
  for (const span of [session, context]) {
    assert.deepEqual([span.traceId, span.tracestate, span.parent], [SESSION.traceId, 'a=1', undefined]);
  }
  assert.deepEqual(context.links, [{ traceId: SESSION.traceId, spanId: session.spanId }]);
  const spans = [SESSION.spanId, session.spanId, context.spanId];
  assert.equal(new Set(spans).size, 3);
  assert.deepEqual([contexts.of(4)?.spanId, contexts.of(4)?.traceId], [context.spanId, SESSION.traceId]);
});

/** @param {number} n */
const running = (n) => ({ traceId: T(n), spanId: S(n + 1), flags: '01', tracestate: 'a=1' });

test('contexts that open while a test runs are in its trace', () => {
  const { session, contexts, open, close, told } = browser();
  session.test = running(70);
  contexts.testChanged();
  const [prepared] = told();
  assert.deepEqual([prepared.issuedFor, prepared.traceId, prepared.parent, prepared.links], ['context', T(70), S(71), [ROOT]]);
  assert.equal(contexts.of(9)?.traceId, T(70), 'tabs to come');
  assert.equal(open(2, 1), false, 'as tabs to come were');
  assert.deepEqual(contexts.of(2), trace(70, { spanId: prepared.spanId, tracestate: 'a=1' }));
  assert.deepEqual([contexts.kept?.isTaken, told()], [false, []]);
  assert.equal(open(4, 3), true);
  const [second] = told();
  assert.deepEqual([second.traceId, second.parent], [T(70), S(71)]);
  assert.equal(new Set([S(71), prepared.spanId, second.spanId]).size, 3, 'a span for each context');
  close(2);
  close(4);
  told();
  session.test = null;
  contexts.testChanged();
  assert.equal(contexts.of(9), null);
  open(6, 5);
  assert.deepEqual(told().map(({ spanId, links }) => [spanId, links]), [[S(1), [ROOT]]]);
  assert.deepEqual(contexts.of(WORKERS), trace(1), "the session's own trace stays its own");
});

test('a context that has opened before its test was known moves to the trace of the test, unless it has navigated', () => {
  const { session, contexts, open, told } = browser();
  session.test = running(70);
  contexts.testChanged();
  open(2, 1);
  contexts.use(2);
  open(4, 3);
  session.test = running(80);
  told();
  contexts.testChanged();
  assert.deepEqual([2, 4, 9].map((tabId) => contexts.of(tabId)?.traceId), [T(70), T(80), T(80)]);
  const [moved, prepared] = told();
  assert.deepEqual([moved.parent, prepared.parent, contexts.of(4)?.spanId], [S(81), S(81), moved.spanId]);
  assert.notEqual(moved.spanId, prepared.spanId);
  // A page of the other context is in the trace of that one.
  open(5, 1);
  assert.equal(contexts.of(5)?.traceId, T(70));
});

test('other scopes know no tests', () => {
  const { session, contexts, open, told } = browser({ scope: 'session' });
  session.test = running(70);
  contexts.testChanged();
  open(2, 1);
  contexts.use(2);
  assert.deepEqual([contexts.of(2), contexts.of(null), told()], [null, null, []]);
});

test('another worker continues with the same traces', () => {
  const before = browser();
  before.open(2, 1);
  before.open(4, 3);
  before.open(6, 5, { openerTabId: 4 });
  const kept = JSON.parse(JSON.stringify(before.contexts.kept));
  const after = browser();
  for (const [id, windowId] of [[2, 1], [4, 3], [6, 5]]) after.browserContexts.opened({ id, windowId: windowId ?? 0, incognito: true }, true);
  after.contexts.restore(kept);
  for (const id of [2, 4, 6]) after.contexts.opened(id);
  assert.deepEqual([2, 4, 6, WORKERS].map((tabId) => after.contexts.of(tabId)), [null, trace(2), trace(2), trace(1)]);
  assert.deepEqual(after.told(), []);
  after.close(4);
  assert.deepEqual(after.told(), [], 'the popup is still open');
  after.close(6);
  assert.deepEqual(after.told(), [{ what: 'context-closed', spanId: S(2) }]);
});

/** Returns a browser with these tabs in the state that another worker left. @param {ReturnType<typeof browser>} before @param {{ id: number, windowId: number, incognito: boolean }[]} tabs */
function restarted(before, tabs) {
  const after = browser();
  for (const tab of tabs) after.browserContexts.opened(tab, true);
  after.contexts.restore(JSON.parse(JSON.stringify(before.contexts.kept)));
  for (const { id } of tabs) after.contexts.opened(id);
  return after;
}

test("another worker knows that the browser's own context has the session's trace", () => {
  const before = browser();
  before.open(2, 1, { incognito: false });
  before.contexts.use(2);
  const after = restarted(before, [{ id: 2, windowId: 1, incognito: false }]);
  after.open(4, 3);
  assert.deepEqual([2, 4].map((tabId) => after.contexts.of(tabId)), [null, trace(2)]);
});

test('windows that share a trace do so for another worker', () => {
  const before = browser();
  before.open(2, 1);
  const tabs = [2, 4, 6].map((id) => ({ id, windowId: id - 1, incognito: true }));
  for (const tab of tabs.slice(1)) {
    before.browserContexts.opened(tab);
    before.contexts.opened(tab.id);
  }
  before.contexts.located([[1], [3, 5]]);
  const shared = before.contexts.of(4);
  const after = restarted(before, tabs);
  after.close(2);
  assert.deepEqual(after.told(), [{ what: 'context-closed', spanId: SESSION.spanId }]);
  after.close(6);
  assert.deepEqual([after.told(), after.contexts.of(4), after.contexts.of(WORKERS)], [[], shared, shared]);
  after.close(4);
  assert.deepEqual(after.told(), [{ what: 'context-closed', spanId: shared?.spanId }]);
});

test('another worker knows that the first context has closed', () => {
  const before = browser();
  before.open(2, 1);
  before.close(2);
  const after = browser();
  after.contexts.restore(before.contexts.kept);
  after.open(4, 3);
  assert.deepEqual(after.contexts.of(4), trace(2));
});

test('in another session contexts begin anew', () => {
  const { traces, contexts, open } = browser();
  open(2, 1);
  open(4, 3);
  traces.reset();
  assert.deepEqual([2, 4].map((tabId) => contexts.of(tabId)), [null, null]);
  contexts.use(4);
  contexts.use(2);
  assert.deepEqual([2, 4].map((tabId) => contexts.of(tabId)), [trace(4), null]);
});

test('navigations are in the trace of their context, below its span', () => {
  const { traces, open, told } = browser();
  open(2, 1);
  assert.deepEqual(traces.issue(2), { spanId: S(1), flags: '01' });
  open(4, 3);
  told();
  const context = traces.issue(4);
  assert.deepEqual(context, { spanId: S(4), flags: '01', trace: trace(3) });
  assert.deepEqual(told(), [{ ...issued('navigation', 4, { parent: S(3) }), traceId: T(3) }]);
  assert.deepEqual([4, 2, 9].map((tabId) => traces.isMisplaced(tabId, context)), [false, true, false]);
  assert.deepEqual(traces.rootOf(4), { spanId: S(3), flags: '01', trace: trace(3) });
  assert.ok(traces.has(T(3)));
});

test('in other scopes contexts have no part', () => {
  for (const scope of /** @type {const} */ (['session', 'tab', 'navigation'])) {
    const { contexts, open, told } = browser({ scope });
    open(2, 1);
    assert.equal(open(4, 3), false);
    assert.deepEqual([contexts.of(4), contexts.kept, told()], [null, null, []], scope);
  }
});

test('a window beside a context is a context of its own, unless the host knows that it is not', () => {
  const { browserContexts, contexts } = browser();
  for (const id of [2, 4, 6]) {
    browserContexts.opened({ id, windowId: id - 1, incognito: true });
    assert.equal(contexts.opened(id), id !== 2);
  }
  const before = contexts.of(6);
  assert.equal(new Set([2, 4, 6].map((tabId) => contexts.of(tabId))).size, 3);
  assert.equal(contexts.located([[1], [3], [5]]), false);
  assert.equal(contexts.of(6), before);
  browserContexts.opened({ id: 8, windowId: 7, incognito: true });
  contexts.opened(8);
  assert.equal(contexts.located([[1], [3], [5, 7]]), true, 'a page of the last one');
  assert.equal(contexts.of(8), before);
});

test("where each page has a window, one beside a context is in that context's trace until the host knows", () => {
  const { browserContexts, contexts, told } = browser({ windowPerPage: true });
  /** @param {number} id @param {number} windowId */
  const open = (id, windowId) => {
    browserContexts.opened({ id, windowId, incognito: true });
    return contexts.opened(id);
  };
  open(2, 1);
  assert.equal(open(4, 3), false);
  assert.deepEqual([contexts.of(4), contexts.kept?.session], [null, null]);
  assert.equal(contexts.located([]), false, 'nothing is known of it');
  assert.equal(contexts.located([[3, 1]]), false, 'a page of the same context');
  open(6, 5);
  open(8, 7);
  assert.deepEqual(told(), []);
  assert.equal(contexts.located([[1, 3], [7, 5]]), true, 'both are of another one');
  assert.deepEqual([2, 4, 6, 8].map((tabId) => contexts.of(tabId)), [null, null, trace(2), trace(2)]);
  assert.equal(contexts.located([[1], [3], [5], [7]]), false, 'it is decided once');
  for (const tabId of [2, 4, 8]) browserContexts.closed(tabId);
  assert.equal(told().length, 2);
});
