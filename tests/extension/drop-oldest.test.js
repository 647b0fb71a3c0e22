import assert from 'node:assert/strict';
import { test } from 'node:test';

import { dropOldest } from '../../extension/drop-oldest.js';

test('the oldest entries of a map or set are dropped', () => {
  const map = new Map([['a', 1], ['b', 2], ['c', 3], ['d', 4]]);
  dropOldest(map, 2);
  assert.deepEqual([...map.keys()], ['c', 'd']);
  const set = new Set(['a', 'b', 'c']);
  dropOldest(set, 2);
  assert.deepEqual([...set], ['b', 'c']);
});

test('nothing is dropped up to the limit', () => {
  const set = new Set(['a', 'b']);
  dropOldest(set, 2);
  dropOldest(set, 3);
  assert.deepEqual([...set], ['a', 'b']);
  dropOldest(set, 0);
  assert.deepEqual([...set], []);
});
