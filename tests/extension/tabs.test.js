import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BrowserContexts } from '../../extension/context/browser-contexts.js';
import { Traces } from '../../extension/context/traces.js';
import { Tabs } from '../../extension/headers/tabs.js';
import { SESSION, fakeOutbox, fakeSession } from './support/session.js';
import { PAGE, TAB, browser, everywhere, withElsewhere, withPage } from './support/tabs.js';

test('a new tab has the root until its first page is there', () => {
  const { tabs, spans, leave, said } = browser();
  assert.equal(tabs.opened([TAB], [TAB - 1]).update, true);
  const [empty, first] = spans();
  assert.equal(empty, 'root');
  assert.equal(leave('1'), first);
  assert.equal(spans()[0], 'root');
  assert.deepEqual(said(tabs.responded(TAB, '1', PAGE)), [true]);
  assert.equal(spans()[0], first);
  assert.notEqual(spans()[1], first);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, first]);
});

test('a navigation takes the next context, with one update', () => {
  const { tabs, spans, leave, said, next } = withPage();
  leave('2');
  leave('2'); // a redirect hop
  assert.equal(spans()[1], next);
  assert.deepEqual(said(tabs.responded(TAB, '2', PAGE)), [true]);
  assert.deepEqual(said(tabs.responded(TAB, '2', PAGE)), [false]);
  assert.equal(spans()[0], next);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, next]);
});

test('a 204 or a download leaves the page its context', () => {
  const { tabs, spans, leave, said, current, next } = withPage();
  leave('2');
  assert.deepEqual(said(tabs.responded(TAB, '2', null)), [true, next]);
  assert.equal(spans()[0], current);
  assert.notEqual(spans()[1], next);
  assert.deepEqual(said(tabs.abandoned(TAB, PAGE, false)), [false]);
});

test('a request that fails leaves the page its context', () => {
  const { tabs, spans, leave, said, current, next } = withPage();
  leave('2');
  assert.deepEqual(said(tabs.failed(TAB, '2')), [true, next]);
  assert.equal(spans()[0], current);
  assert.notEqual(spans()[1], next);
});

test('a request that fails before it left has used nothing', () => {
  const { tabs, spans, said, current, next } = withPage();
  assert.deepEqual(said(tabs.failed(TAB, 'unheard of')), [false]);
  assert.deepEqual(spans(), [current, next]);
});

test('a navigation that replaces another continues it', () => {
  const { tabs, spans, leave, said, next } = withPage();
  leave('2');
  leave('3');
  assert.deepEqual(said(tabs.failed(TAB, '2')), [false]);
  assert.deepEqual(said(tabs.responded(TAB, '3', PAGE)), [true]);
  assert.equal(spans()[0], next);
});

test('a response that becomes no document after all is corrected', () => {
  const { tabs, spans, leave, said, current, next } = withPage();
  leave('2');
  tabs.responded(TAB, '2', PAGE);
  assert.deepEqual(said(tabs.abandoned(TAB, PAGE, false)), [true, next]);
  assert.equal(spans()[0], current);
});

test('an error page ends the navigation, and the next is another', () => {
  const { tabs, spans, leave, said, next } = withPage();
  leave('2');
  tabs.responded(TAB, '2', PAGE);
  assert.deepEqual(said(tabs.abandoned(TAB, PAGE, true)), [false, next]);
  assert.equal(spans()[0], next);
  const after = leave('3');
  assert.deepEqual(said(tabs.responded(TAB, '3', PAGE)), [true]);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, after]);
});

test("another navigation's end does not undo a landing document", () => {
  const { tabs, spans, leave, said, next } = withPage();
  leave('2');
  tabs.responded(TAB, '2', PAGE);
  assert.deepEqual(said(tabs.abandoned(TAB, 'mailto:a@example.test', false)), [false]);
  assert.equal(spans()[0], next);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, next]);
});

test('a correction waits for the update of a navigation under way', () => {
  const { tabs, spans, leave, said, current, next } = withPage();
  leave('2');
  tabs.responded(TAB, '2', PAGE);
  leave('3');
  assert.deepEqual(said(tabs.abandoned(TAB, PAGE, false)), [false, next]);
  tabs.responded(TAB, '3', null);
  assert.equal(spans()[0], current);
});

test('a request that left with the context before keeps it', () => {
  const { tabs, spans, said, next } = withPage();
  tabs.requested(TAB, '2', { spanId: 'earlier', flags: '01' });
  assert.deepEqual(said(tabs.responded(TAB, '2', PAGE)), [true]);
  assert.deepEqual(spans(), ['earlier', next]);
});

for (const [what, url] of [
  ['a page without a request', PAGE],
  ['a data: address', 'data:text/html,x'],
]) {
  test(`${what}: takes the next context`, () => {
    const { tabs, spans, said, next } = withPage();
    assert.deepEqual(said(tabs.committed(TAB, String(url))), [true, next]);
    assert.equal(spans()[0], next);
    assert.notEqual(spans()[1], next);
  });
}

for (const url of ['about:blank', 'chrome://newtab/', 'chrome-error://chromewebdata/']) {
  test(`${url} has no navigation`, () => {
    const { tabs, spans, said, next } = withPage();
    assert.deepEqual(said(tabs.committed(TAB, url)), [true]);
    assert.deepEqual(spans(), ['root', next]);
    assert.deepEqual(said(tabs.committed(TAB, url)), [false]);
    assert.deepEqual(said(tabs.found(TAB, url)), [false]);
    assert.deepEqual(spans(), ['root', next]);
  });
}

test('a known tab that takes the spare context waits for the update of its response', () => {
  const { tabs, said } = withPage();
  const { spare } = tabs.contexts();
  assert.deepEqual(said(tabs.requested(TAB, '2', spare)), [false]);
  assert.notEqual(tabs.contexts().spare.spanId, spare.spanId);
});

test('a tab that was not foreseen is served by the spare context', () => {
  const { tabs, spans, leave } = browser();
  const { spanId } = tabs.contexts().spare;
  assert.equal(leave('1', 9000), spanId);
  assert.notEqual(tabs.contexts().spare.spanId, spanId);
  assert.deepEqual(spans(9000), ['root', spanId]);
  assert.equal(tabs.responded(9000, '1', PAGE).update, true);
  assert.equal(spans(9000)[0], spanId);
  assert.notEqual(spans(9000)[1], spanId);
});

test("a request from before the rules takes its tab's context", () => {
  const { tabs, spans } = browser();
  tabs.opened([TAB], []);
  const [, first] = spans();
  tabs.requested(TAB, '1', null);
  tabs.responded(TAB, '1', PAGE);
  assert.equal(spans()[0], first);
  assert.notEqual(spans()[1], first);
});

test('two tabs at once have separate contexts', () => {
  const { tabs, spans, leave } = browser();
  tabs.opened([TAB, TAB + 1], []);
  const [a, b] = [leave('1', TAB), leave('2', TAB + 1)];
  tabs.responded(TAB + 1, '2', PAGE);
  tabs.responded(TAB, '1', PAGE);
  assert.deepEqual([spans(TAB)[0], spans(TAB + 1)[0]], [a, b]);
  const all = [...tabs.contexts().tabs.values()].flatMap(({ current, next }) => [current.spanId, next.spanId]);
  assert.ok(new Set(all).size >= tabs.contexts().tabs.size + 2);
});

test('a closed tab has every navigation that it cut off reported', () => {
  const { tabs, said } = withPage();
  const [landing, one, two] = ['2', '3', '4'].map((requestId) => tabs.begin(TAB, requestId).spanId);
  tabs.responded(TAB, '2', PAGE);
  assert.deepEqual(said(tabs.closed(TAB)), [false, landing, one, two]);
});

test('a navigation that a closed tab cut off has failed', () => {
  const { tabs, slot, leave, said, next } = withPage();
  leave('2');
  assert.deepEqual(said(tabs.closed(TAB)), [false, next]);
  assert.equal(slot(), undefined);
  assert.deepEqual(said(tabs.failed(TAB, '2')), [false]);
});

test('a late event of a closed tab does not bring it back', () => {
  const { tabs, slot, said } = withPage();
  tabs.closed(TAB);
  tabs.requested(TAB, '9', { spanId: 'late', flags: '01' });
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false]);
  assert.equal(slot(), undefined);
});

test('another session gives everything a context of its own', () => {
  const { session, tabs, spans } = browser();
  tabs.opened([TAB], [TAB - 1]);
  const before = [...spans(), tabs.contexts().spare.spanId];
  Object.assign(session.context, { traceId: 'u', spanId: 'other', flags: '00' });
  tabs.reset();
  assert.equal(tabs.contexts().session.traceId, 'u');
  assert.equal(spans()[0], 'other');
  for (const span of [...spans(), tabs.contexts().spare.spanId]) assert.ok(!before.includes(span));
});

test('a restarted worker goes on with the contexts in force', () => {
  const before = withPage();
  const issue = () => ({ spanId: 'new', flags: '01' });
  const after = new Tabs(before.session, everywhere(SESSION, issue), before.tabs.contexts());
  after.opened([TAB], [TAB - 1]);
  const contexts = after.contexts();
  assert.equal(contexts.spare, before.tabs.contexts().spare);
  assert.equal(contexts.tabs.get(TAB)?.current.spanId, before.current);
  assert.equal(contexts.tabs.get(TAB)?.next.spanId, before.next);
});

test('a document that was there gets a navigation, once', () => {
  const { tabs, spans, leave, said } = browser();
  tabs.opened([TAB], [TAB - 1]);
  const [, next] = spans();
  const [update, found] = said(tabs.found(TAB, PAGE));
  assert.equal(update, true);
  assert.deepEqual(spans(), [found, next]);
  assert.deepEqual(said(tabs.found(TAB, PAGE)), [false, found], 'as after a restart');
  assert.equal(leave('1'), next, 'the next navigation is another');
  tabs.responded(TAB, '1', PAGE);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, next]);
});

test('a document without a navigation leaves none to its tab', () => {
  const { tabs, spans, said, next } = withPage();
  assert.deepEqual(said(tabs.found(TAB, 'about:blank')), [true]);
  assert.deepEqual(spans(), ['root', next]);
});

test('a document that was there stays while the next one lands', () => {
  const { tabs, spans, leave, said } = browser();
  tabs.opened([TAB], [TAB - 1]);
  const landing = leave('1');
  tabs.responded(TAB, '1', PAGE);
  const [, found] = said(tabs.found(TAB, 'https://example.test/before'));
  assert.notEqual(found, landing);
  assert.equal(spans()[0], landing);
  assert.deepEqual(said(tabs.abandoned(TAB, PAGE, false)), [true, landing]);
  assert.equal(spans()[0], found);
});

test('the context of a document is found by its tab', () => {
  const { tabs, current, next, leave } = withPage();
  assert.equal(tabs.current(TAB)?.spanId, current);
  leave('2');
  assert.equal(tabs.current(TAB)?.spanId, current, 'while a navigation is under way');
  tabs.responded(TAB, '2', PAGE);
  assert.equal(tabs.current(TAB)?.spanId, next);
  assert.equal(tabs.current(9000), undefined);
  tabs.closed(TAB);
  assert.equal(tabs.current(TAB), undefined);
});

test("a navigation is found by its request for a time", () => {
  const { tabs, leave } = withPage();
  assert.equal(tabs.navigation(TAB, '2'), undefined);
  const spanId = leave('2');
  assert.equal(tabs.navigation(TAB, '2')?.spanId, spanId);
  tabs.responded(TAB, '2', PAGE);
  assert.equal(tabs.navigation(TAB, '2')?.spanId, spanId, 'before the document is committed');
  assert.equal(tabs.navigation(TAB, '3'), undefined, 'another request');
  assert.equal(tabs.navigation(9000, '2'), undefined, 'another tab');
  tabs.committed(TAB, PAGE);
  leave('3');
  tabs.responded(TAB, '3', null);
  assert.equal(tabs.navigation(TAB, '2'), undefined);
});

for (const [end, finish] of /** @type {[string, (tabs: Tabs) => void][]} */ ([
  ['fails', (tabs) => tabs.failed(TAB, '2')],
  ['loses its tab', (tabs) => tabs.closed(TAB)],
])) {
  test(`a navigation that ${end} is not found any more`, () => {
    const { tabs, leave } = withPage();
    leave('2');
    finish(tabs);
    assert.equal(tabs.navigation(TAB, '2'), undefined);
  });
}

test('a begun navigation has its own context over all redirects', () => {
  const { tabs, spans, said, current, next } = withPage();
  const begun = tabs.begin(TAB, '2');
  assert.ok(![current, next].includes(begun.spanId));
  assert.deepEqual(tabs.begin(TAB, '2'), begun);
  assert.deepEqual(tabs.navigation(TAB, '2'), begun);
  assert.deepEqual(spans(), [current, next], 'the page keeps its context, and the one to come is not touched');
  assert.deepEqual(said(tabs.responded(TAB, '2', PAGE)), [true]);
  assert.deepEqual(tabs.begin(TAB, '2'), begun, 'after the response as well');
  assert.deepEqual(spans(), [begun.spanId, next]);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, begun.spanId]);
});

test('two navigations begun at once stay separate', () => {
  const { tabs, spans, said } = withPage();
  const [a, b] = [tabs.begin(TAB, '2'), tabs.begin(TAB, '3')];
  assert.notEqual(a.spanId, b.spanId);
  assert.deepEqual(said(tabs.failed(TAB, '2')), [true, a.spanId]);
  tabs.responded(TAB, '3', PAGE);
  assert.equal(spans()[0], b.spanId);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, b.spanId]);
});

test('a navigation in an unknown tab leaves the spare context', () => {
  const { tabs, spans, said } = browser();
  const { spare } = tabs.contexts();
  const { spanId } = tabs.begin(9000, '1');
  assert.equal(tabs.contexts().spare, spare);
  tabs.responded(9000, '1', PAGE);
  assert.equal(spans(9000)[0], spanId);
  assert.notEqual(spans(9000)[1], spanId);
  assert.deepEqual(said(tabs.committed(9000, PAGE)), [false, spanId]);
});

test('a navigation in a closed tab leaves nothing behind', () => {
  const { tabs, slot } = withPage();
  tabs.closed(TAB);
  assert.ok(tabs.begin(TAB, '2').spanId);
  assert.equal(slot(), undefined);
  assert.equal(tabs.navigation(TAB, '2'), undefined);
});

test("in scope tab an unknown tab stays in the spare's trace", () => {
  const session = fakeSession({ scope: 'tab' });
  const traces = new Traces(session, fakeOutbox(), session.events, new BrowserContexts());
  const tabs = new Tabs(session, traces);
  const { spare } = tabs.contexts();
  const { traceId } = spare.trace ?? {};
  assert.ok(traceId);
  // As read from a header.
  tabs.requested(9000, '1', { spanId: spare.spanId, flags: spare.flags, trace: undefined });
  tabs.responded(9000, '1', PAGE);
  assert.deepEqual(tabs.committed(9000, PAGE).ended.map(({ trace }) => trace?.traceId), [traceId]);
  const { current, next } = tabs.contexts().tabs.get(9000) ?? {};
  assert.deepEqual([current?.trace?.traceId, next?.trace?.traceId], [traceId, traceId]);
  assert.notEqual(tabs.contexts().spare.trace?.traceId, traceId);
  assert.notEqual(tabs.begin(9001, '2').trace?.traceId, traceId);
});

test('each context is issued for its tab and the one before', () => {
  const { tabs, takes, leave, current, next } = withElsewhere();
  assert.deepEqual(takes.filter(([tabId]) => tabId === TAB), [[TAB, undefined], [TAB, current]]);
  leave('2');
  tabs.responded(TAB, '2', PAGE);
  assert.deepEqual(takes.at(-1), [TAB, next]);
  tabs.begin(TAB, '3');
  assert.deepEqual(takes.at(-1), [TAB, next]);
  tabs.refresh();
  assert.deepEqual(takes.filter(([tabId]) => tabId === TAB).at(-1), [TAB, next]);
});

test("a refresh changes contexts to come and no page's", () => {
  const { tabs, spans, current, next } = withElsewhere();
  const { spare } = tabs.contexts();
  tabs.refresh();
  assert.equal(spans()[0], current);
  assert.notEqual(spans()[1], next);
  assert.notEqual(tabs.contexts().spare, spare);
});
