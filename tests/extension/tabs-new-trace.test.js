import assert from 'node:assert/strict';
import { test } from 'node:test';

import { PAGE, TAB, browser, withPage } from './support/tabs.js';

const everywhere = () => true;

test('a new trace gives each traced document a new context', () => {
  const { tabs, spans, leave, current, next } = withPage();
  const { spare } = tabs.contexts();
  const moved = tabs.beginTrace(everywhere).map(({ tabId, before, context }) => [tabId, before.spanId, context.spanId]);
  assert.deepEqual(moved, [[TAB, current, spans()[0]]], 'and none to the tabs to come');
  assert.notEqual(spans()[0], current);
  assert.notEqual(leave('2'), next);
  assert.notEqual(tabs.contexts().spare.spanId, spare.spanId);
});

test('a new trace gives a document that is not traced the root', () => {
  const { tabs, spans } = withPage();
  assert.deepEqual(tabs.beginTrace(() => false), []);
  assert.equal(spans()[0], 'root');
});

test('a document that lands keeps its context in a new trace, until it is replaced', () => {
  const { tabs, spans, leave } = withPage();
  const landing = leave('2');
  tabs.responded(TAB, '2', PAGE);
  assert.deepEqual(tabs.beginTrace(everywhere), []);
  const [before] = spans();
  assert.equal(before, landing);
  assert.equal(tabs.replace(TAB, { spanId: 'of another document', flags: '01' }), null);
  assert.equal(tabs.replace(TAB + 9000, { spanId: landing, flags: '01' }), null, 'of a tab that is gone');
  assert.equal(spans()[0], landing);
  const context = tabs.replace(TAB, { spanId: landing, flags: '01' });
  assert.notEqual(context?.spanId, landing);
  assert.equal(spans()[0], context?.spanId);
});

test('a document lands between its response and its commit', () => {
  const { tabs, leave } = browser();
  assert.equal(tabs.isLanding(TAB), false);
  tabs.opened([TAB], [TAB - 1]);
  leave('1');
  assert.equal(tabs.isLanding(TAB), false);
  tabs.responded(TAB, '1', PAGE);
  assert.equal(tabs.isLanding(TAB), true);
  tabs.committed(TAB, PAGE);
  assert.equal(tabs.isLanding(TAB), false);
});
