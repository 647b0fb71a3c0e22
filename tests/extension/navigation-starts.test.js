import assert from 'node:assert/strict';
import { test } from 'node:test';

import { NavigationStarts } from '../../extension/observe/navigations.js';

test('the start of a navigation is returned once', () => {
  const starts = new NavigationStarts();
  starts.begun(7, 90);
  starts.begun(8, 91);
  assert.deepEqual([starts.take(7, 100), starts.take(7, 101), starts.take(8, 100)], [90, 101, 91]);
});

test('the latest start is returned, but none after the event', () => {
  const starts = new NavigationStarts();
  starts.begun(7, 90);
  starts.begun(7, 95);
  assert.equal(starts.take(7, 100), 95);
  starts.begun(7, 120);
  assert.equal(starts.take(7, 110), 110);
});

test('the start is known until something uses it', () => {
  const starts = new NavigationStarts();
  assert.equal(starts.of(7), null);
  starts.begun(7, 90);
  assert.deepEqual([starts.of(7), starts.of(7), starts.of(8)], [90, 90, null]);
  starts.take(7, 100);
  assert.equal(starts.of(7), null);
});

test('a closed tab is forgotten', () => {
  const starts = new NavigationStarts();
  starts.begun(7, 90);
  starts.closed(7);
  assert.equal(starts.take(7, 100), 100);
});
