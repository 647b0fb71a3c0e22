import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CAPACITY, Stock } from '../../extension/context/stock.js';
import { newSpanId } from '../../extension/context/ids.js';
import { isSpanId } from '../../extension/context/traceparent.js';

/** @param {number} count */
const issued = (count) => Array.from({ length: count }, () => ({ spanId: newSpanId(), flags: '00' }));

test('contexts from the host go first, in their order, and each goes once', () => {
  const stock = new Stock('01');
  const contexts = issued(3);
  stock.fill(contexts);
  assert.deepEqual([stock.take(), stock.take(), stock.take()], contexts);
});

test('an empty stock makes contexts itself, with the flags of the session', () => {
  const stock = new Stock('01');
  const [a, b] = [stock.take(), stock.take()];
  assert.ok(isSpanId(a.spanId));
  assert.notEqual(a.spanId, b.spanId);
  assert.equal(a.flags, '01');
});

test('it asks for more below half, and keeps no more than it can hold', () => {
  const stock = new Stock('01');
  assert.equal(stock.missing(), CAPACITY);
  stock.fill(issued(CAPACITY / 2));
  assert.equal(stock.missing(), 0);
  stock.take();
  assert.equal(stock.missing(), CAPACITY / 2 + 1);
  stock.fill(issued(1000));
  for (let n = 0; n < CAPACITY; n += 1) assert.equal(stock.take().flags, '00');
  assert.equal(stock.take().flags, '01');
});
