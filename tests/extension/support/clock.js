/**
 * Checks when something happens on the mocked clock.
 */

import assert from 'node:assert/strict';
import { mock } from 'node:test';

/** Checks that a list grows by one after a delay and not before. @param {{ length: number }} list @param {number} delay in milliseconds */
export function assertGrowsAfter(list, delay) {
  const before = list.length;
  mock.timers.tick(delay - 1);
  assert.equal(list.length, before, `not before ${delay} ms`);
  mock.timers.tick(1);
  assert.equal(list.length, before + 1, `after ${delay} ms`);
}
