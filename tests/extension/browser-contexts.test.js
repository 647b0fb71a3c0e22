import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { WORKERS } from '../../extension/context/incognito.js';
import { BrowserContexts } from '../../extension/context/browser-contexts.js';
import { TAB, navigation, working } from './support/injector.js';
import { SESSION, context, detailedRulesOf, under } from './support/rules.js';
import { browser } from './support/tabs.js';

/** @param {number} id @param {number} windowId @param {object} [more] */
const tab = (id, windowId, more = {}) => ({ id, windowId, incognito: true, ...more });

/** @param {BrowserContexts} contexts @param {number[]} tabIds */
const ruled = (contexts, ...tabIds) => tabIds.filter((tabId) => contexts.needsRules(tabId));

test('the first context needs no rules, and nothing is asked', () => {
  const contexts = new BrowserContexts();
  contexts.opened(tab(2, 1));
  contexts.opened(tab(4, 3, { openerTabId: 2 }));
  contexts.opened(tab(5, 1));
  contexts.opened({ id: 6, windowId: 9, incognito: false });
  assert.deepEqual(ruled(contexts, 2, 4, 5, 6, 7, WORKERS), []);
  assert.equal(contexts.question(), null);
});

test('a second context has rules until the host has seen to it', () => {
  const contexts = new BrowserContexts();
  contexts.opened({ id: 1, windowId: 1, incognito: false });
  contexts.opened(tab(3, 2));
  contexts.opened(tab(5, 4));
  assert.deepEqual(ruled(contexts, 1, 3, 5, 6, WORKERS), [5, 6, WORKERS], 'the next tab may be in another new context');
  assert.deepEqual([contexts.question(), contexts.question()], [2, null]);
  contexts.kept(1, false);
  assert.deepEqual(ruled(contexts, 5), [5], 'an answer about the contexts before');
  contexts.kept(2, false);
  assert.deepEqual(ruled(contexts, 1, 3, 5, 6, WORKERS), [6]);
  contexts.closed(5);
  assert.equal(contexts.question(), 2, 'the host may be in time for the one that opened last');
  contexts.closed(3);
  assert.equal(contexts.question(), null);
  assert.deepEqual(ruled(contexts, 6), []);
});

test('once a context has closed, a request must show that a new one is reported', () => {
  const settled = mock.fn();
  const contexts = new BrowserContexts(settled);
  contexts.opened(tab(2, 1));
  contexts.opened(tab(6, 5));
  contexts.closed(2);
  contexts.closed(6);
  contexts.opened(tab(4, 3));
  contexts.requested(4);
  assert.deepEqual(ruled(contexts, 4), [4], 'a request before the answer shows nothing');
  assert.equal(contexts.question(), 3);
  contexts.kept(3, false);
  assert.deepEqual([ruled(contexts, 4), contexts.mayBeLost(4)], [[4], true]);
  contexts.requested(4);
  assert.deepEqual([ruled(contexts, 4), contexts.mayBeLost(4)], [[], false]);
});

test('a context closes with its last tab, and a tab counts once', () => {
  const contexts = new BrowserContexts();
  contexts.opened(tab(2, 1));
  contexts.opened(tab(2, 9));
  contexts.opened(tab(3, 1));
  contexts.opened({ id: 6, windowId: 5, incognito: false });
  assert.equal(contexts.question(), null);
  contexts.opened(tab(5, 4));
  assert.equal(contexts.question(), 2);
  for (const id of [3, 6, 7]) contexts.closed(id);
  contexts.requested(7);
  assert.equal(contexts.question(), null, 'none has closed');
  contexts.kept(2, false);
  assert.deepEqual(ruled(contexts, 2, 5), []);
});

test('the tabs that need rules are listed, those to come and workers among them', () => {
  const { tabs } = browser();
  assert.equal(tabs.withRules().size, 0);
  const { browserContexts } = tabs;
  browserContexts.opened(tab(TAB, TAB - 1));
  browserContexts.opened(tab(TAB + 2, TAB + 1));
  tabs.opened([TAB, TAB + 2], []);
  const listed = [WORKERS, ...[...tabs.contexts().tabs.keys()].filter((tabId) => tabId !== TAB)];
  assert.deepEqual([...tabs.withRules().keys()], listed);
  assert.deepEqual([TAB, TAB + 2].map((tabId) => tabs.contexts().needsRules?.(tabId)), [false, true]);
});

test('a navigation beside overlapping contexts begins in a tab that rules have no room for', () => {
  const { tabs } = browser();
  for (const n of [1000, 2000]) tabs.browserContexts.opened(tab(TAB + n, TAB + n - 1));
  assert.equal(tabs.browserContexts.hasRules({ tabId: TAB + 9000 }), true);
  const { spanId } = tabs.begin(TAB + 9000, '1');
  assert.equal(tabs.navigation(TAB + 9000, '1')?.spanId, spanId);
});

test('contexts that are used one after the other need no rules, but the host is asked', () => {
  const contexts = new BrowserContexts();
  contexts.opened(tab(2, 1));
  contexts.closed(2);
  contexts.opened(tab(4, 3));
  assert.deepEqual(ruled(contexts, 4, 5, WORKERS), []);
  assert.equal(contexts.question(), 2);
});

test('a context of the host counts as one that has closed', () => {
  const contexts = new BrowserContexts();
  contexts.opened(tab(2, 1));
  contexts.opened(tab(4, 3));
  contexts.kept(2, true);
  assert.deepEqual(ruled(contexts, 2, 4), [4]);
});

test('contexts that are older than the worker have rules if there are several', () => {
  const contexts = new BrowserContexts();
  contexts.opened(tab(2, 1), true);
  assert.deepEqual([ruled(contexts, 2), contexts.question()], [[], 1]);
  contexts.opened(tab(4, 3), true);
  assert.deepEqual([ruled(contexts, 2, 4), contexts.question()], [[2, 4], 2]);
});

test('pages of a context that have a window each are one context, once the host says so', () => {
  const contexts = new BrowserContexts();
  for (const id of [2, 4, 6]) contexts.opened(tab(id, id - 1));
  assert.deepEqual(ruled(contexts, 2, 4, 9), [4, 9]);
  assert.deepEqual(contexts.located([[3, 1]]).map(({ number }) => number), [2]);
  assert.equal(contexts.of(4), contexts.of(2));
  assert.deepEqual(ruled(contexts, 2, 4, 9), [9], 'nothing is known of the third window');
  assert.deepEqual(contexts.located([[1, 3, 5]]).length, 1);
  assert.deepEqual(ruled(contexts, 2, 4, 6, 9), []);
  assert.deepEqual([2, 4].map((id) => contexts.closed(id)), [null, null]);
  assert.deepEqual([...(contexts.closed(6)?.closed ?? [])], [2, 4, 6]);
  contexts.opened(tab(12, 11));
  assert.deepEqual(ruled(contexts, 12, 19), [], 'a client that uses one context after the other');
  contexts.opened(tab(14, 13));
  assert.deepEqual(contexts.located([[11], [13]]), []);
  for (const id of [12, 14]) contexts.closed(id);
  contexts.opened(tab(22, 21));
  assert.deepEqual(ruled(contexts, 22), [22], 'contexts have overlapped');
});

test('rules stay in force until the browser has removed them', () => {
  const contexts = new BrowserContexts();
  contexts.opened(tab(2, 1));
  contexts.opened(tab(4, 3));
  contexts.ruled(new Map([[4, []], [WORKERS, []]]));
  contexts.kept(2, false);
  assert.deepEqual([contexts.needsRules(4), contexts.hasRules({ tabId: 4 }), contexts.hasRules({ tabId: 2 })], [false, true, false]);
  contexts.ruled(new Map());
  assert.equal(contexts.hasRules({ tabId: 4 }), false);
});

test('rules of detailed mode cover the tabs that need them, and workers', () => {
  const tabs = new Map([
    [7, { ruleId: 10, current: context(1), next: context(2) }],
    [8, { ruleId: 12, current: context(3), next: context(4) }],
  ]);
  const carried = under(detailedRulesOf({}, { needsRules: (tabId) => tabId !== 7 }, tabs));
  /** @param {{ spanId: string, flags: string }} of */
  const header = ({ spanId, flags }) => ({ traceparent: `00-${SESSION.traceId}-${spanId}-${flags}` });
  assert.deepEqual(carried({ tabId: 7, type: 'image' }), {});
  assert.deepEqual(carried({ tabId: 7, type: 'main_frame' }), {});
  assert.deepEqual(carried({ tabId: 8, type: 'image' }), header(context(3)));
  assert.deepEqual(carried({ tabId: 8, type: 'main_frame' }), header(context(4)));
  assert.deepEqual(carried({ tabId: WORKERS, type: 'xmlhttprequest' }), header(SESSION));
});

test('the listener does not contradict the rules of a tab', () => {
  const { inject, tabs, told, named } = working();
  const { browserContexts } = tabs;
  browserContexts.opened(tab(TAB + 1000, TAB + 999));
  browserContexts.opened(tab(TAB, TAB - 1));
  const next = tabs.contexts().tabs.get(TAB)?.next;
  assert.ok(next);
  const [header] = inject(navigation()).filter(({ name }) => name === 'traceparent');
  assert.match(header?.value ?? '', new RegExp(next.spanId));
  const [spanId, parent] = told() ?? [];
  assert.equal(parent, next.spanId);
  assert.notEqual(spanId, next.spanId, 'the span of the request has an id of its own');
  assert.deepEqual(named(navigation({ responseHeaders: [] })), [], 'the rule names the context');
  browserContexts.kept(2, false);
  const [own] = inject(navigation({ requestId: '2' })).filter(({ name }) => name === 'traceparent');
  assert.match(own?.value ?? '', new RegExp(told()?.[0]));
});

test('a page that is reported opens popups without rules', () => {
  const { inject, named, tabs } = working();
  const { browserContexts } = tabs;
  for (const n of [1000, 2000]) browserContexts.opened(tab(TAB + n, TAB + n - 1));
  const popup = { tabId: TAB + 2001, initiator: 'https://www.shop.test' };
  tabs.opened([TAB + 2000, TAB + 2001], []);
  assert.deepEqual(browserContexts.hostsWithoutRules(TAB + 2001), []);
  assert.equal(browserContexts.shown(TAB + 1000, 'https://shop.test/a'), true, 'rules for tabs to come change');
  assert.equal(browserContexts.shown(TAB + 1000, 'https://shop.test/b'), false);
  assert.deepEqual(browserContexts.hostsWithoutRules(TAB + 2001), ['shop.test'], 'the other one has no page yet');
  assert.deepEqual(browserContexts.hostsWithoutRules(TAB + 2000), [], 'a tab that exists');
  assert.equal(browserContexts.shown(TAB + 2000, 'https://shop.test/'), true);
  assert.deepEqual(browserContexts.hostsWithoutRules(TAB + 2001), [], 'the other one may be lost');
  browserContexts.kept(2, false);
  assert.deepEqual(browserContexts.hostsWithoutRules(TAB + 2001), ['shop.test']);

  browserContexts.ruled(tabs.withRules());
  browserContexts.opened({ ...tab(TAB + 2001, TAB + 999), openerTabId: TAB + 1000 });
  const next = tabs.contexts().tabs.get(TAB + 2001)?.next.spanId ?? '';
  const carried = (/** @type {object} */ details) => inject(navigation({ ...popup, ...details })).find(({ name }) => name === 'traceparent')?.value ?? '';
  assert.ok(!carried({}).includes(next), 'it has a context of its own');
  assert.equal(named(navigation({ ...popup, responseHeaders: [] })).length, 1);
  for (const initiator of [undefined, 'https://other.test', 'null', 'https://myshop.test']) {
    assert.ok(browserContexts.hasRules({ ...popup, type: 'main_frame', initiator }), `${initiator}`);
  }
  assert.ok(browserContexts.hasRules({ ...popup, type: 'image' }));
  assert.equal(browserContexts.shown(TAB, 'https://shop.test/'), false, 'of no context');
  for (const url of ['about:blank', 'data:,x']) assert.equal(browserContexts.shown(TAB + 1000, url), false);
});

test('rules of tabs to come are not for popups of certain hosts', () => {
  const tabs = new Map([[8, { ruleId: 12, current: context(3), next: context(4) }]]);
  const hostsWithoutRules = () => ['shop.test'];
  const carried = under(detailedRulesOf({}, { needsRules: () => true, hostsWithoutRules }, tabs));
  const sent = (/** @type {object} */ details) => carried({ tabId: 8, type: 'main_frame', ...details }).traceparent !== undefined;
  assert.deepEqual(['https://shop.test', 'https://www.shop.test', 'https://other.test', undefined].map((initiator) => sent({ initiator })), [false, false, true, true]);
  assert.ok(sent({ type: 'image', initiator: 'https://shop.test' }));
});

test('the listener learns that a context is reported', () => {
  const { inject, tabs } = working();
  const { browserContexts } = tabs;
  for (const n of [1000, 2000]) browserContexts.opened(tab(TAB + n, TAB + n - 1));
  for (const n of [1000, 2000]) browserContexts.closed(TAB + n);
  browserContexts.opened(tab(TAB, TAB - 1));
  browserContexts.kept(3, false);
  assert.equal(browserContexts.hasRules({ tabId: TAB }), true);
  inject(navigation());
  assert.equal(browserContexts.hasRules({ tabId: TAB }), false);
});
