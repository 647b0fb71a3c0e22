import assert from 'node:assert/strict';
import { test } from 'node:test';

import { CAPACITY, FEW, Stock } from '../../extension/context/stock.js';
import { newSpanId, newTraceId } from '../../extension/context/ids.js';

/** @param {number} count */
const issued = (count) => Array.from({ length: count }, () => ({ spanId: newSpanId(), flags: '00' }));

/** @param {number} count */
const traces = (count) => issued(count).map((context) => ({ traceId: newTraceId(), ...context }));

test('contexts and traces of the host are used in order, once', () => {
  const stock = new Stock();
  const [contexts, begun] = [issued(3), traces(2)];
  stock.fill(contexts, begun);
  assert.deepEqual([stock.take(), stock.take(), stock.take()], contexts);
  assert.deepEqual([stock.takeTrace(), stock.takeTrace()], begun);
  assert.deepEqual([stock.take(), stock.takeTrace()], [null, null]);
});

test('an empty stock has nothing', () => {
  const stock = new Stock();
  assert.equal(stock.take(), null);
  assert.equal(stock.takeTrace(), null);
});

test('the stock asks for more below half and has a capacity', () => {
  const stock = new Stock();
  assert.deepEqual(stock.missing(FEW), { count: CAPACITY, traces: FEW });
  stock.fill(issued(CAPACITY / 2), traces(FEW / 2));
  assert.deepEqual(stock.missing(FEW), { count: 0, traces: 0 });
  assert.deepEqual(stock.missing(CAPACITY), { count: 0, traces: CAPACITY - FEW / 2 }, 'as many traces as are wanted now');
  stock.take();
  assert.deepEqual(stock.missing(FEW), { count: CAPACITY / 2 + 1, traces: 0 });
  stock.takeTrace();
  assert.deepEqual(stock.missing(FEW), { count: CAPACITY / 2 + 1, traces: FEW / 2 + 1 });
  stock.fill(issued(1000), traces(1000));
  for (let n = 0; n < CAPACITY; n += 1) {
    assert.equal(stock.take()?.flags, '00');
    assert.equal(stock.takeTrace()?.flags, '00');
  }
  assert.deepEqual([stock.take(), stock.takeTrace()], [null, null]);
});
