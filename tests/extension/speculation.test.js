import assert from 'node:assert/strict';
import { test } from 'node:test';

import { EVERYTHING } from '../../extension/context/propagation.js';
import { SESSION, TRACE, having, navigation, observeRequests, request } from './support/requests.js';
import { PAGE, TAB, browser, withPage } from './support/tabs.js';

test('a prefetch uses up the next context and belongs to the page', () => {
  const { tabs, spans, said, current = '', next = '' } = withPage();
  assert.deepEqual(said(tabs.speculated(TAB, 'prefetch', { spanId: next })), [true]);
  assert.equal(spans()[0], current);
  assert.notEqual(spans()[1], next);
  assert.deepEqual(tabs.takeSpeculation('prefetch'), { spanId: next, parent: current });
  assert.equal(tabs.takeSpeculation('prefetch'), undefined);
});

test('a second prefetch with the same context has a span id of its own', () => {
  const { tabs, spans, said, current = '', next = '' } = withPage();
  tabs.speculated(TAB, 'prefetch', { spanId: next });
  const [, after] = spans();
  assert.deepEqual(said(tabs.speculated(TAB, 'other', { spanId: next })), [false]);
  assert.equal(spans()[1], after);
  assert.deepEqual(tabs.takeSpeculation('other'), { parent: current });
});

test('a navigation with the context of a prefetch has the next one', () => {
  const { tabs, slot, spans, said, next = '' } = withPage();
  const used = slot()?.next;
  assert.ok(used);
  tabs.speculated(TAB, 'prefetch', { spanId: next });
  const [, after] = spans();
  tabs.requested(TAB, 'navigation', used);
  assert.equal(tabs.navigation(TAB, 'navigation')?.spanId, after);
  tabs.responded(TAB, 'navigation', PAGE);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, after]);
  assert.equal(spans()[0], after);
});

test('a prefetch with the context of a navigation under way leaves it alone', () => {
  const { tabs, spans, leave, said, current = '', next = '' } = withPage();
  leave('navigation');
  assert.deepEqual(said(tabs.speculated(TAB, 'prefetch', { spanId: next })), [false]);
  assert.deepEqual(spans(), [current, next]);
  assert.deepEqual(tabs.takeSpeculation('prefetch'), { parent: current });
});

test('a prefetch beside a navigation that left with another context uses up the next one', () => {
  const { tabs, slot, spans, said, next = '' } = withPage();
  const { spare } = tabs.contexts();
  tabs.requested(TAB, 'navigation', slot()?.current ?? null);
  assert.deepEqual(said(tabs.speculated(TAB, 'prefetch', { spanId: next })), [true]);
  assert.notEqual(spans()[1], next);
  assert.equal(tabs.contexts().spare.spanId, spare.spanId, 'and not the spare');
});

test('a prefetch in a tab without rules uses up the spare', () => {
  const { tabs, said, session } = browser();
  const { spare } = tabs.contexts();
  assert.deepEqual(said(tabs.speculated(TAB, 'prefetch', spare)), [true]);
  assert.notEqual(tabs.contexts().spare.spanId, spare.spanId);
  assert.deepEqual(tabs.takeSpeculation('prefetch'), { spanId: spare.spanId, parent: session.context.spanId });
});

test('only the latest speculations are remembered', () => {
  const { tabs, current = '' } = withPage();
  for (let i = 0; i <= 100; i += 1) tabs.speculated(TAB, String(i), { spanId: 'other' });
  assert.equal(tabs.takeSpeculation('0'), undefined);
  assert.deepEqual(tabs.takeSpeculation('1'), { parent: current });
});

const CARRIED = 'e'.repeat(16);
const OTHER = 'f'.repeat(16);

/**
 * Returns what is observed of a main-frame request that carries CARRIED.
 *
 * @param {any} details @param {Partial<NonNullable<Parameters<ReturnType<typeof observeRequests>['requests']['listenByRules']>[3]>>} mainFrames
 */
function observe(details, mainFrames) {
  const { browser: events, requests, observed } = observeRequests();
  requests.listenByRules(EVERYTHING, SESSION, having(TRACE), { navigation: () => undefined, takeSpeculation: () => undefined, ...mainFrames });
  events.fire('webRequest.onSendHeaders', {
    ...details,
    requestHeaders: [{ name: 'traceparent', value: `00-${TRACE}-${CARRIED}-01` }],
  });
  return observed[0];
}

test('rules: a prefetch is observed with the span id that it carries', () => {
  const prefetch = request({ type: 'main_frame' });
  const { spanId, parent, navigation: begun } = observe(prefetch, { takeSpeculation: () => ({ spanId: CARRIED, parent: OTHER }) });
  assert.deepEqual([spanId, parent, begun], [CARRIED, OTHER, undefined]);
});

test('rules: a prefetch of a page outside any navigation has no parent', () => {
  const { parent } = observe(request({ type: 'main_frame' }), { takeSpeculation: () => ({ parent: SESSION.spanId }) });
  assert.equal(parent, undefined);
});

test('rules: a navigation that carries the context of a prefetch has its own parent', () => {
  const { spanId, parent, navigation: begun } = observe(navigation(), { navigation: () => ({ spanId: OTHER }) });
  assert.notEqual(spanId, CARRIED);
  assert.equal(parent, OTHER);
  assert.equal(begun.tabId, 7);
});
