import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Traces } from '../../extension/context/traces.js';
import { AHEAD } from '../../extension/headers/room.js';
import { MOST_TABS } from '../../extension/headers/rules.js';
import { Tabs } from '../../extension/headers/tabs.js';
import { SESSION, fakeOutbox, fakeSession } from './support/session.js';

/** @import { NavigationContext } from '../../extension/context/traces.js' */
/** @import { Change, TabTraces } from '../../extension/headers/tab.js' */

const TAB = 100;
const PAGE = 'https://example.test/';

/**
 * Traces in which every address is traced.
 *
 * @param {typeof SESSION} session
 * @param {() => NavigationContext} issue
 * @returns {TabTraces}
 */
const everywhere = (session, issue) => ({
  issue,
  isTarget: () => true,
  rootOf: () => session,
  claimed: () => {},
  isStale: () => false,
  closed: () => {},
});

/** A tab whose contexts are numbered in the order in which they were taken, and short words for what happens to it. */
function browser() {
  let taken = 0;
  const session = { context: { traceId: 't', spanId: 'root', flags: '01' } };
  const tabs = new Tabs(session, everywhere(session.context, () => ({ spanId: `s${taken++}`, flags: '01' })));
  /** @param {number} [tabId] */
  const slot = (tabId = TAB) => tabs.contexts().tabs.get(tabId);
  /** @param {number} [tabId] */
  const spans = (tabId = TAB) => [slot(tabId)?.current.spanId, slot(tabId)?.next.spanId];
  /** @param {string} requestId @param {number} [tabId] */
  const leave = (requestId, tabId = TAB) => {
    const sent = slot(tabId)?.next ?? tabs.contexts().spare;
    tabs.requested(tabId, requestId, sent);
    return sent.spanId;
  };
  /** @param {Change} change */
  const said = ({ update, ended }) => [update, ...ended.map(({ spanId }) => spanId)];
  return { session, tabs, slot, spans, leave, said };
}

/** A browser with one tab that shows a page. */
function withPage() {
  const b = browser();
  b.tabs.opened([TAB], [TAB - 1]);
  b.leave('first');
  b.tabs.responded(TAB, 'first', PAGE);
  b.tabs.committed(TAB, PAGE);
  const [current, next] = b.spans();
  return { ...b, current, next };
}

test('a new tab has one context for its first page, and keeps it when that page comes', () => {
  const { tabs, spans, leave, said } = browser();
  assert.equal(tabs.opened([TAB], [TAB - 1]).update, true);
  const [first, next] = spans();
  assert.equal(first, next);
  assert.equal(leave('1'), first);
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

test('a response that becomes no document after all is mended', () => {
  const { tabs, spans, leave, said, current, next } = withPage();
  leave('2');
  tabs.responded(TAB, '2', PAGE);
  assert.deepEqual(said(tabs.abandoned(TAB, PAGE, false)), [true, next]);
  assert.equal(spans()[0], current);
});

test('an error page in the place of a document ends the navigation, and the next one is told apart', () => {
  const { tabs, spans, leave, said, next } = withPage();
  leave('2');
  tabs.responded(TAB, '2', PAGE);
  assert.deepEqual(said(tabs.abandoned(TAB, PAGE, true)), [false, next]);
  assert.equal(spans()[0], next);
  const after = leave('3');
  assert.deepEqual(said(tabs.responded(TAB, '3', PAGE)), [true]);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, after]);
});

test('the end of another navigation does not undo one that is about to be committed', () => {
  const { tabs, spans, leave, said, next } = withPage();
  leave('2');
  tabs.responded(TAB, '2', PAGE);
  assert.deepEqual(said(tabs.abandoned(TAB, 'mailto:a@example.test', false)), [false]);
  assert.equal(spans()[0], next);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, next]);
});

test('a mend waits for the update of a navigation that is under way', () => {
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
  ['the back-forward cache, a prerender or a service worker', PAGE],
  ['a data: address', 'data:text/html,x'],
]) {
  test(`a page from ${what} takes the next context when it is committed`, () => {
    const { tabs, spans, said, next } = withPage();
    assert.deepEqual(said(tabs.committed(TAB, String(url))), [true, next]);
    assert.equal(spans()[0], next);
    assert.notEqual(spans()[1], next);
  });
}

for (const url of ['about:blank', 'chrome://newtab/', 'chrome-error://chromewebdata/']) {
  test(`${url} rotates nothing`, () => {
    const { tabs, spans, said, current, next } = withPage();
    assert.deepEqual(said(tabs.committed(TAB, url)), [false]);
    assert.deepEqual(spans(), [current, next]);
  });
}

test('tabs to come are prepared, so that a popup needs no update before its first response', () => {
  const { tabs, slot, spans, leave, said } = browser();
  tabs.opened([TAB], [TAB - 1]);
  assert.ok(slot(TAB + AHEAD));
  const [popup] = spans(TAB + 1);
  assert.equal(leave('1', TAB + 1), popup);
  assert.deepEqual(said(tabs.opened([TAB + 1], [])), [false]);
  tabs.responded(TAB + 1, '1', PAGE);
  assert.equal(spans(TAB + 1)[0], popup);
  assert.ok(slot(TAB + 1 + AHEAD), 'prepared with the same update');
});

test('a browser without windows prepares tabs when the first window comes', () => {
  const { tabs, slot } = browser();
  assert.equal(tabs.opened([], []).update, true);
  assert.equal(tabs.contexts().tabs.size, 0);
  assert.equal(tabs.opened([], [TAB - 1]).update, true);
  assert.ok(slot(TAB));
  assert.equal(tabs.opened([TAB], [TAB - 1]).update, false);
});

test('many tabs at once are prepared for again before the slots run out', () => {
  const { tabs, slot } = browser();
  tabs.opened([TAB], []);
  assert.equal(tabs.opened([TAB + AHEAD / 2], []).update, false);
  assert.equal(tabs.opened([TAB + AHEAD / 2 + 1], []).update, true);
  assert.ok(slot(TAB + AHEAD / 2 + 1 + AHEAD));
});

test('slots of ids that went to windows are dropped in time', () => {
  const { tabs, slot } = browser();
  tabs.opened([TAB], []);
  tabs.opened([TAB + 2], [TAB + 1]);
  assert.ok(slot(TAB + 1));
  tabs.opened([TAB + 5 * AHEAD], []);
  assert.equal(slot(TAB + 1), undefined);
  assert.ok(slot(TAB + 2), 'a tab stays');
});

test('a tab that was not foreseen is served by the spare context', () => {
  const { tabs, spans, leave } = browser();
  const { spanId } = tabs.contexts().spare;
  assert.equal(leave('1', 9000), spanId);
  assert.notEqual(tabs.contexts().spare.spanId, spanId);
  assert.deepEqual(spans(9000), [spanId, spanId]);
  assert.equal(tabs.responded(9000, '1', PAGE).update, true);
  assert.equal(spans(9000)[0], spanId);
  assert.notEqual(spans(9000)[1], spanId);
});

test('a request that left before the rules were armed takes the context of its tab', () => {
  const { tabs, spans } = browser();
  tabs.opened([TAB], []);
  const [first] = spans();
  tabs.requested(TAB, '1', null);
  tabs.responded(TAB, '1', PAGE);
  assert.equal(spans()[0], first);
  assert.notEqual(spans()[1], first);
});

test('two tabs at once do not meet', () => {
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

test('a closed tab leaves the rules, and a navigation that it cut off has failed', () => {
  const { tabs, slot, leave, said, next } = withPage();
  leave('2');
  assert.deepEqual(said(tabs.closed(TAB)), [false, next]);
  assert.equal(slot(), undefined);
  assert.deepEqual(said(tabs.failed(TAB, '2')), [false]);
});

test('a late word about a closed tab does not bring it back', () => {
  const { tabs, slot, said } = withPage();
  tabs.closed(TAB);
  tabs.requested(TAB, '9', { spanId: 'late', flags: '01' });
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false]);
  assert.equal(slot(), undefined);
});

test('with more tabs than there is room for, the rules follow each use of the spare context', () => {
  const { tabs, slot, said } = browser();
  tabs.opened(Array.from({ length: MOST_TABS + 1 }, (_, n) => TAB + n), []);
  const one = TAB + MOST_TABS;
  assert.equal(slot(one), undefined);
  const { spare } = tabs.contexts();
  assert.deepEqual(said(tabs.requested(one, '1', spare)), [true]);
  assert.notEqual(tabs.contexts().spare, spare);
  assert.deepEqual(said(tabs.requested(one, '1', null)), [false]);
});

test('another session gives everything a context of its own', () => {
  const { session, tabs, spans } = browser();
  tabs.opened([TAB], [TAB - 1]);
  const before = [...spans(), tabs.contexts().spare.spanId];
  session.context = { traceId: 'u', spanId: 'other', flags: '00' };
  tabs.reset();
  assert.equal(tabs.contexts().session.traceId, 'u');
  assert.equal(spans()[0], spans()[1]);
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

test('the context of a navigation is found by its request until another one has had its response', () => {
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
  test(`the context of a navigation that ${end} is not found any more`, () => {
    const { tabs, leave } = withPage();
    leave('2');
    finish(tabs);
    assert.equal(tabs.navigation(TAB, '2'), undefined);
  });
}

test('a navigation that is begun has a context of its own, and the hops of a redirect go on with it', () => {
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

test('a navigation that is begun while another is under way has a context of its own, and each is reported', () => {
  const { tabs, spans, said } = withPage();
  const [a, b] = [tabs.begin(TAB, '2'), tabs.begin(TAB, '3')];
  assert.notEqual(a.spanId, b.spanId);
  assert.deepEqual(said(tabs.failed(TAB, '2')), [true, a.spanId]);
  tabs.responded(TAB, '3', PAGE);
  assert.equal(spans()[0], b.spanId);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, b.spanId]);
});

test('a navigation may begin in a tab that was not foreseen, and the spare context stays', () => {
  const { tabs, spans, said } = browser();
  const { spare } = tabs.contexts();
  const { spanId } = tabs.begin(9000, '1');
  assert.equal(tabs.contexts().spare, spare);
  tabs.responded(9000, '1', PAGE);
  assert.equal(spans(9000)[0], spanId);
  assert.notEqual(spans(9000)[1], spanId);
  assert.deepEqual(said(tabs.committed(9000, PAGE)), [false, spanId]);
});

test('a navigation that begins in a closed tab has a context and leaves nothing behind', () => {
  const { tabs, slot } = withPage();
  tabs.closed(TAB);
  assert.ok(tabs.begin(TAB, '2').spanId);
  assert.equal(slot(), undefined);
  assert.equal(tabs.navigation(TAB, '2'), undefined);
});

const ELSEWHERE = 'https://elsewhere.test/';

/** A browser in which one address is not traced, with one tab that shows a page that is. */
function withElsewhere() {
  let taken = 0;
  const session = { traceId: 't', spanId: 'root', flags: '01' };
  /** @type {[number | null, string | undefined][]} for which tabs contexts were taken, and after which ones */
  const takes = [];
  /** @type {[number, string][]} */
  const claims = [];
  /** The root of the tab's requests without a navigation. */
  const state = { root: /** @type {NavigationContext} */ (session), stale: '' };
  const tabs = new Tabs(
    { context: session },
    {
      issue: (tabId, previous) => {
        takes.push([tabId, previous?.spanId]);
        return { spanId: `s${taken++}`, flags: '01' };
      },
      isTarget: (url) => url !== ELSEWHERE,
      rootOf: () => state.root,
      claimed: (tabId, { spanId }) => void claims.push([tabId, spanId]),
      isStale: (_, { spanId }) => state.stale === spanId,
      closed: () => {},
    },
  );
  const spans = () => [tabs.contexts().tabs.get(TAB)?.current.spanId, tabs.contexts().tabs.get(TAB)?.next.spanId];
  /** @param {string} requestId */
  const leave = (requestId) => {
    const sent = tabs.contexts().tabs.get(TAB)?.next ?? tabs.contexts().spare;
    tabs.requested(TAB, requestId, sent);
    return sent.spanId;
  };
  /** @param {Change} change */
  const said = ({ update, ended }) => [update, ...ended.map(({ spanId }) => spanId)];
  tabs.opened([TAB], [TAB - 1]);
  leave('first');
  tabs.responded(TAB, 'first', PAGE);
  tabs.committed(TAB, PAGE);
  const [current, next] = spans();
  return { tabs, spans, leave, said, takes, claims, state, current, next };
}

test('a page that is not traced has the root, and takes no context', () => {
  const { tabs, spans, said, takes, next } = withElsewhere();
  const { length } = takes;
  assert.deepEqual(said(tabs.responded(TAB, '2', ELSEWHERE)), [true]);
  assert.deepEqual(spans(), ['root', next]);
  assert.deepEqual(said(tabs.responded(TAB, '2', ELSEWHERE)), [false], 'a second word about it');
  assert.deepEqual(said(tabs.committed(TAB, ELSEWHERE)), [false]);
  assert.deepEqual(spans(), ['root', next]);
  assert.equal(takes.length, length);
  assert.equal(tabs.navigation(TAB, '2'), undefined);
});

test('one page after another that is not traced costs no update', () => {
  const { tabs, said } = withElsewhere();
  tabs.responded(TAB, '2', ELSEWHERE);
  tabs.committed(TAB, ELSEWHERE);
  assert.deepEqual(said(tabs.responded(TAB, '3', ELSEWHERE)), [false]);
  assert.deepEqual(said(tabs.committed(TAB, ELSEWHERE)), [false]);
});

test('a tab comes back from a page that is not traced with the context that waited', () => {
  const { tabs, spans, leave, said, next } = withElsewhere();
  tabs.responded(TAB, '2', ELSEWHERE);
  tabs.committed(TAB, ELSEWHERE);
  assert.equal(leave('3'), next);
  assert.deepEqual(said(tabs.responded(TAB, '3', PAGE)), [true]);
  assert.equal(spans()[0], next);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, next]);
});

test('a redirect from what is traced to what is not ends the navigation, and its context is not used again', () => {
  const { tabs, spans, leave, said, takes, next } = withElsewhere();
  leave('2');
  assert.deepEqual(said(tabs.responded(TAB, '2', ELSEWHERE)), [true, next]);
  assert.equal(spans()[0], 'root');
  assert.notEqual(spans()[1], next);
  assert.deepEqual(takes.at(-1), [TAB, next]);
  assert.deepEqual(said(tabs.responded(TAB, '2', ELSEWHERE)), [false]);
  assert.deepEqual(said(tabs.committed(TAB, ELSEWHERE)), [false], 'the page is no navigation');
  assert.deepEqual(said(tabs.failed(TAB, '2')), [false]);
});

for (const begin of [true, false]) {
  test(`a navigation that ${begin ? 'the listener began' : 'rules carried'} leaves what is traced, comes back and ends there`, () => {
    const { tabs, leave, said } = withElsewhere();
    const spanId = begin ? tabs.begin(TAB, '2').spanId : leave('2');
    // The hop in between is not told of.
    assert.equal(begin ? tabs.begin(TAB, '2').spanId : leave('2'), spanId);
    assert.deepEqual(said(tabs.responded(TAB, '2', PAGE)), [true]);
    assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, spanId]);
  });
}

test('a navigation to what is not traced that comes to nothing leaves the page its context', () => {
  const { tabs, spans, said, current, next } = withElsewhere();
  assert.deepEqual(said(tabs.failed(TAB, '2')), [false]);
  assert.deepEqual(said(tabs.responded(TAB, '3', null)), [false]);
  tabs.responded(TAB, '4', ELSEWHERE);
  assert.deepEqual(said(tabs.abandoned(TAB, ELSEWHERE, false)), [true]);
  assert.deepEqual(spans(), [current, next]);
});

test('an error page in the place of one that is not traced has the root', () => {
  const { tabs, spans, leave, said, next } = withElsewhere();
  tabs.responded(TAB, '2', ELSEWHERE);
  assert.deepEqual(said(tabs.abandoned(TAB, ELSEWHERE, true)), [false]);
  assert.equal(spans()[0], 'root');
  assert.equal(leave('3'), next);
  tabs.responded(TAB, '3', PAGE);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, next]);
});

test('a redirected navigation that fails where nothing is traced has failed', () => {
  const { tabs, spans, leave, said, current, next } = withElsewhere();
  leave('2');
  assert.deepEqual(said(tabs.failed(TAB, '2')), [true, next]);
  assert.equal(spans()[0], current);
});

test('a page that is not traced and had no request of its own has the root, with one update', () => {
  const { tabs, spans, said, next } = withElsewhere();
  assert.deepEqual(said(tabs.committed(TAB, ELSEWHERE)), [true]);
  assert.deepEqual(spans(), ['root', next]);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [true, next], 'and back from the back-forward cache');
});

test('a page that is not traced has the root of its tab, as it is then', () => {
  const { tabs, spans, state, said } = withElsewhere();
  tabs.committed(TAB, ELSEWHERE);
  state.root = { spanId: 'client', flags: '00', trace: { traceId: 'u', spanId: 'client', flags: '00', tracestate: '' } };
  assert.deepEqual(said(tabs.responded(TAB, '2', ELSEWHERE)), [true]);
  assert.equal(spans()[0], 'client');
  state.root = { ...state.root, baggage: 'k=v' };
  assert.deepEqual(said(tabs.responded(TAB, '3', ELSEWHERE)), [true], 'the same span with something else beside it');
  assert.equal(tabs.current(TAB)?.baggage, 'k=v');
  assert.deepEqual(said(tabs.responded(TAB, '3', ELSEWHERE)), [false]);
  assert.deepEqual(said(tabs.committed(TAB, ELSEWHERE)), [false]);
});

test('a tab that is closed on its way to a page that is not traced has nothing to report of it', () => {
  const { tabs, said } = withElsewhere();
  tabs.responded(TAB, '2', ELSEWHERE);
  assert.deepEqual(said(tabs.closed(TAB)), [false]);
});

test('who claims the spare is told of, before another one takes its place', () => {
  const { tabs, claims, takes } = withElsewhere();
  const { spare } = tabs.contexts();
  tabs.requested(9000, '1', spare);
  assert.deepEqual(claims, [[9000, spare.spanId]]);
  assert.deepEqual(takes.at(-1), [null, undefined]);
  tabs.requested(9001, '2', tabs.contexts().tabs.get(9000)?.next ?? spare);
  assert.equal(claims.length, 1, 'the context of another tab is no spare');
});

test('in the scope of the tab one that nobody foresaw stays in the trace that its first navigation had', () => {
  const session = fakeSession({ scope: 'tab' });
  const traces = new Traces(session, fakeOutbox(), session.problem);
  const tabs = new Tabs(session, traces);
  const { spare } = tabs.contexts();
  const { traceId } = spare.trace ?? {};
  assert.ok(traceId);
  // As a header says it.
  tabs.requested(9000, '1', { spanId: spare.spanId, flags: spare.flags, trace: undefined });
  tabs.responded(9000, '1', PAGE);
  assert.deepEqual(tabs.committed(9000, PAGE).ended.map(({ trace }) => trace?.traceId), [traceId]);
  const { current, next } = tabs.contexts().tabs.get(9000) ?? {};
  assert.deepEqual([current?.trace?.traceId, next?.trace?.traceId], [traceId, traceId]);
  assert.notEqual(tabs.contexts().spare.trace?.traceId, traceId);
  assert.notEqual(tabs.begin(9001, '2').trace?.traceId, traceId);
});

test('each context is taken for its tab and after the navigation before it', () => {
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

test('where contexts are carried otherwise, those to come are made anew and pages keep theirs', () => {
  const { tabs, spans, current, next } = withElsewhere();
  const { spare } = tabs.contexts();
  tabs.refresh();
  assert.equal(spans()[0], current);
  assert.notEqual(spans()[1], next);
  assert.notEqual(tabs.contexts().spare, spare);
});

test('with less room tabs that do not exist yet give way first, then the ones that came last', () => {
  const { tabs } = browser();
  tabs.opened([TAB, TAB + 1, TAB + 2], [TAB - 1]);
  tabs.limit(4);
  assert.deepEqual([...tabs.contexts().tabs.keys()].slice(0, 3), [TAB, TAB + 1, TAB + 2]);
  assert.equal(tabs.contexts().tabs.size, 4);
  tabs.limit(2);
  assert.deepEqual([...tabs.contexts().tabs.keys()], [TAB, TAB + 1]);
  tabs.limit(-3);
  assert.equal(tabs.contexts().tabs.size, 0);
  tabs.opened([TAB + 3], []);
  assert.equal(tabs.contexts().tabs.size, 0);
  tabs.limit(MOST_TABS);
  tabs.opened([TAB + 4], []);
  assert.ok(tabs.contexts().tabs.has(TAB + 4));
});

test('a tab that exists takes the room of one that does not yet', () => {
  const { tabs, leave } = browser();
  tabs.limit(3);
  tabs.opened([TAB], [TAB - 1]);
  assert.deepEqual([...tabs.contexts().tabs.keys()], [TAB, TAB + 1, TAB + 2]);
  leave('1', 9000);
  tabs.opened([9001], []);
  assert.deepEqual([...tabs.contexts().tabs.keys()], [TAB, 9000, 9001]);
  leave('2', 9002);
  assert.deepEqual([...tabs.contexts().tabs.keys()], [TAB, 9000, 9001], 'and never of one that exists');
});

test('a context that a client has changed its mind about goes with the next response, whatever comes of it', () => {
  for (const url of [ELSEWHERE, null]) {
    const { tabs, state, spans } = withElsewhere();
    const before = spans()[1];
    state.stale = before ?? '';
    assert.equal(tabs.responded(TAB, 'not told of', url).update, true);
    assert.notEqual(spans()[1], before);
  }
  const { tabs, state, spans } = withElsewhere();
  const before = spans()[1];
  state.stale = before ?? '';
  tabs.begin(TAB, 'detailed');
  tabs.responded(TAB, 'detailed', PAGE);
  tabs.committed(TAB, PAGE);
  assert.notEqual(spans()[1], before);
  const next = spans()[1];
  tabs.committed(TAB, PAGE);
  assert.equal(spans()[0], next, 'a page from the back-forward cache has what the client wants now');
});
