import assert from 'node:assert/strict';
import { test } from 'node:test';

import { AHEAD } from '../../extension/headers/tab-slots.js';
import { MAX_TABS } from '../../extension/headers/rules.js';
import { PAGE, TAB, browser } from './support/tabs.js';

test('tabs to come are prepared, so a popup needs no update', () => {
  const { tabs, slot, spans, leave, said } = browser();
  tabs.opened([TAB], [TAB - 1]);
  assert.ok(slot(TAB + AHEAD));
  const [root, popup] = spans(TAB + 1);
  assert.equal(root, 'root');
  assert.equal(leave('1', TAB + 1), popup);
  assert.deepEqual(said(tabs.opened([TAB + 1], [])), [false]);
  tabs.responded(TAB + 1, '1', PAGE);
  assert.equal(spans(TAB + 1)[0], popup);
  assert.ok(slot(TAB + 1 + AHEAD), 'prepared with the same update');
});

test('without windows, tabs are prepared for the first window', () => {
  const { tabs, slot } = browser();
  assert.equal(tabs.opened([], []).update, true);
  assert.equal(tabs.contexts().tabs.size, 0);
  assert.equal(tabs.opened([], [TAB - 1]).update, true);
  assert.ok(slot(TAB));
  assert.equal(tabs.opened([TAB], [TAB - 1]).update, false);
});

test('many tabs at once are prepared for before room runs out', () => {
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

test('without room, rules follow each use of the spare context', () => {
  const { tabs, slot, said } = browser();
  tabs.opened(Array.from({ length: MAX_TABS + 1 }, (_, n) => TAB + n), []);
  const one = TAB + MAX_TABS;
  assert.equal(slot(one), undefined);
  const { spare } = tabs.contexts();
  assert.deepEqual(said(tabs.requested(one, '1', spare)), [true]);
  assert.notEqual(tabs.contexts().spare, spare);
  assert.deepEqual(said(tabs.requested(one, '1', null)), [false]);
});

test('with less room tabs to come go first, then the last ones', () => {
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
  tabs.limit(MAX_TABS);
  tabs.opened([TAB + 4], []);
  assert.ok(tabs.contexts().tabs.has(TAB + 4));
});

test('with less room a tab that exists stays, whenever it was prepared', () => {
  const { tabs } = browser();
  tabs.opened([TAB], []);
  tabs.opened([TAB + 3], []);
  tabs.limit(2);
  assert.deepEqual([...tabs.contexts().tabs.keys()], [TAB, TAB + 3]);
});

test('a tab that nobody foresaw needs an update, beside others and with tabs ahead', () => {
  const { tabs, slot } = browser();
  tabs.opened([TAB], []);
  assert.equal(tabs.opened([TAB, TAB - 5], []).update, true);
  assert.ok(slot(TAB - 5));
  assert.equal(tabs.opened([TAB, TAB - 5], []).update, false);
  tabs.opened([TAB - 10], []);
  assert.equal(slot(TAB - 9), undefined, 'ids that have been given out do not come again');
});

test('a tab takes the room of none while there is room, or if it has some', () => {
  const { tabs, leave } = browser();
  tabs.opened([TAB], []);
  leave('1', 9000);
  assert.equal(tabs.contexts().tabs.size, 1 + AHEAD + 1, 'there is room');
  tabs.limit(3);
  assert.deepEqual([...tabs.contexts().tabs.keys()], [TAB, TAB + 1, 9000]);
  leave('2', 9000);
  assert.deepEqual([...tabs.contexts().tabs.keys()], [TAB, TAB + 1, 9000], 'it has some');
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
