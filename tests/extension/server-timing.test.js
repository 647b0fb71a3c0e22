import assert from 'node:assert/strict';
import { test } from 'node:test';

import { serverTiming, withoutTraceparent } from '../../extension/headers/server-timing.js';
import { context } from './support/rules.js';
import { traceId } from './support/session.js';

test('a response names the context of its navigation', () => {
  const header = { name: 'Server-Timing', value: `traceparent;desc="00-${'a'.repeat(32)}-0000000000000002-01"` };
  assert.deepEqual(serverTiming('a'.repeat(32), context(2)), header);
  const trace = { traceId: traceId(9), spanId: '9'.repeat(16), flags: '01', tracestate: '' };
  const other = { name: 'Server-Timing', value: `traceparent;desc="00-${traceId(9)}-0000000000000002-01"` };
  assert.deepEqual(serverTiming('a'.repeat(32), context(2, { trace })), other, 'and the trace that it is in');
});

test("the server's own traceparent is removed, and nothing else", async (t) => {
  /** @type {[before: string, after: string | null][]} */
  const cases = [
    ['db;dur=12, traceparent;desc="00-1"', 'db;dur=12'],
    ['traceparent;desc="00-1", db;dur=12 ,cache', 'db;dur=12 ,cache'],
    ['traceparent ; desc=1,traceparent=2,traceparent', null],
    ['db;desc="a, traceparent;desc=x";dur=1, traceparent;desc="x, y"', 'db;desc="a, traceparent;desc=x";dur=1'],
    ['db;desc="\\", traceparent", traceparent;desc=1', 'db;desc="\\", traceparent"'],
    ['db;desc="open, traceparent;desc=1', 'db;desc="open, traceparent;desc=1'],
    ['db;desc="open, traceparent;desc=1\\', 'db;desc="open, traceparent;desc=1\\'],
    ['traceparents;desc=1,Traceparent, x-traceparent', 'traceparents;desc=1,Traceparent, x-traceparent'],
    ['db , , ;', 'db , , ;'],
    ['', ''],
    [`traceparent,${'a'.repeat(20_000)}`, `traceparent,${'a'.repeat(20_000)}`],
  ];
  for (const [before, after] of cases) {
    await t.test(before.slice(0, 80), () => {
      const left = withoutTraceparent([{ name: 'SERVER-timing', value: before }]);
      assert.deepEqual(left, after === null ? [] : [{ name: 'SERVER-timing', value: after }]);
    });
  }
  const others = [{ name: 'Server-Timings', value: 'traceparent' }, { name: 'server-timing', binaryValue: [255] }];
  assert.deepEqual(withoutTraceparent(others), others);
});
