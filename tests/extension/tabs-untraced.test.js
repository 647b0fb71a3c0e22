import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ELSEWHERE, PAGE, TAB, withElsewhere } from './support/tabs.js';

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
  const { tabs, said, state } = withElsewhere();
  tabs.responded(TAB, '2', ELSEWHERE);
  tabs.committed(TAB, ELSEWHERE);
  assert.deepEqual(said(tabs.responded(TAB, '3', ELSEWHERE)), [false]);
  assert.deepEqual(said(tabs.committed(TAB, ELSEWHERE)), [false]);
  state.root = { ...state.root };
  assert.deepEqual(said(tabs.responded(TAB, '4', ELSEWHERE)), [false], 'an equal root');
  assert.deepEqual(said(tabs.committed(TAB, ELSEWHERE)), [false]);
});

test('a redirect from one untraced page to another ends the navigation in between', () => {
  const { tabs, leave, said, next } = withElsewhere();
  tabs.responded(TAB, '2', ELSEWHERE);
  tabs.committed(TAB, ELSEWHERE);
  leave('3');
  assert.deepEqual(said(tabs.responded(TAB, '3', ELSEWHERE)), [true, next]);
});

test('a tab comes back to traced pages with the waiting context', () => {
  const { tabs, spans, leave, said, next } = withElsewhere();
  tabs.responded(TAB, '2', ELSEWHERE);
  tabs.committed(TAB, ELSEWHERE);
  assert.equal(leave('3'), next);
  assert.deepEqual(said(tabs.responded(TAB, '3', PAGE)), [true]);
  assert.equal(spans()[0], next);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, next]);
});

test('a redirect to an untraced page ends the navigation', () => {
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
  test(`${begin ? 'detailed' : 'lightweight'}: a navigation survives an untraced hop`, () => {
    const { tabs, leave, said } = withElsewhere();
    const spanId = begin ? tabs.begin(TAB, '2').spanId : leave('2');
    // The untraced hop in between is not reported.
    assert.equal(begin ? tabs.begin(TAB, '2').spanId : leave('2'), spanId);
    assert.deepEqual(said(tabs.responded(TAB, '2', PAGE)), [true]);
    assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, spanId]);
  });
}

test('an untraced navigation without a document changes nothing', () => {
  const { tabs, spans, said, current, next } = withElsewhere();
  assert.deepEqual(said(tabs.failed(TAB, '2')), [false]);
  assert.deepEqual(said(tabs.responded(TAB, '3', null)), [false]);
  tabs.responded(TAB, '4', ELSEWHERE);
  assert.deepEqual(said(tabs.abandoned(TAB, ELSEWHERE, false)), [true]);
  assert.deepEqual(spans(), [current, next]);
});

test('an error page in place of an untraced one has the root', () => {
  const { tabs, spans, leave, said, next } = withElsewhere();
  tabs.responded(TAB, '2', ELSEWHERE);
  assert.deepEqual(said(tabs.abandoned(TAB, ELSEWHERE, true)), [false]);
  assert.equal(spans()[0], 'root');
  assert.equal(leave('3'), next);
  tabs.responded(TAB, '3', PAGE);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [false, next]);
});

test('a redirected navigation may fail at an untraced page', () => {
  const { tabs, spans, leave, said, current, next } = withElsewhere();
  leave('2');
  assert.deepEqual(said(tabs.failed(TAB, '2')), [true, next]);
  assert.equal(spans()[0], current);
});

test('an untraced page without a request has the root', () => {
  const { tabs, spans, said, next } = withElsewhere();
  assert.deepEqual(said(tabs.committed(TAB, ELSEWHERE)), [true]);
  assert.deepEqual(spans(), ['root', next]);
  assert.deepEqual(said(tabs.committed(TAB, PAGE)), [true, next], 'and back from the back-forward cache');
});

test("an untraced page has the tab's root as it is then", () => {
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

test('a tab closed on its way to an untraced page reports nothing', () => {
  const { tabs, said } = withElsewhere();
  tabs.responded(TAB, '2', ELSEWHERE);
  assert.deepEqual(said(tabs.closed(TAB)), [false]);
});

test('a claim is reported before another spare takes its place', () => {
  const { tabs, claims, takes } = withElsewhere();
  const { spare } = tabs.contexts();
  tabs.requested(9000, '1', spare);
  assert.deepEqual(claims, [[9000, spare.spanId]]);
  assert.deepEqual(takes.at(-1), [null, undefined]);
  tabs.requested(9001, '2', tabs.contexts().tabs.get(9000)?.next ?? spare);
  assert.equal(claims.length, 1, 'the context of another tab is no spare');
});

test('a stale context is replaced with the next response', () => {
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
