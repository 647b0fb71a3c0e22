import assert from 'node:assert/strict';
import { test } from 'node:test';

import { newSpanId, newTraceId } from '../../extension/context/ids.js';
import { isSpanId, isTraceId } from '../../extension/context/traceparent.js';

let modules = 0;

/**
 * Imports the module anew.
 *
 * @returns {Promise<typeof import('../../extension/context/ids.js')>}
 */
async function unused() {
  modules += 1;
  return import(String(new URL(`../../extension/context/ids.js?${modules}`, import.meta.url)));
}

/**
 * Replaces the source of random bytes.
 *
 * @param {import('node:test').TestContext} t
 * @param {(bytes: Uint8Array, draw: number) => void} draw
 */
function randomFrom(t, draw) {
  let draws = 0;
  t.mock.method(crypto, 'getRandomValues', (/** @type {Uint8Array} */ bytes) => {
    draw(bytes, draws++);
    return bytes;
  });
}

test('100,000 span ids are valid and all different', () => {
  const ids = Array.from({ length: 100_000 }, newSpanId);
  assert.ok(ids.every(isSpanId));
  assert.equal(new Set(ids).size, ids.length);
});

test('trace ids are valid and all different, also between span ids', () => {
  const ids = Array.from({ length: 10_000 }, () => [newTraceId(), newSpanId()]);
  assert.ok(ids.every(([traceId, spanId]) => isTraceId(traceId) && isSpanId(spanId)));
  assert.equal(new Set(ids.map(([traceId]) => traceId)).size, ids.length);
  assert.ok(ids.every(([traceId, spanId]) => !traceId?.includes(String(spanId))));
});

test('every random byte is used at most once, as lower-case hex', async (t) => {
  const { newSpanId: span, newTraceId: trace } = await unused();
  let drawn = '';
  randomFrom(t, (bytes, draw) => {
    bytes.forEach((_, n) => (bytes[n] = n + draw + 1));
    drawn += Buffer.from(bytes).toString('hex');
  });
  let from = 0;
  for (let n = 0; n < 2000; n += 1) {
    // Five ids take 72 bytes, so some would cross the end of the pool.
    const id = n % 5 === 1 ? span() : trace();
    const at = drawn.indexOf(id, from);
    assert.notEqual(at, -1, `id ${n}`);
    from = at + id.length;
  }
});

for (const [what, bytes] of /** @type {[string, number][]} */ ([['span', 8], ['trace', 16]])) {
  test(`a ${what} id of zeros is drawn again`, async (t) => {
    const { newSpanId: span, newTraceId: trace } = await unused();
    randomFrom(t, (pool, draw) => pool.fill(draw < 2 ? 0 : 0xab));
    assert.equal(bytes === 8 ? span() : trace(), 'ab'.repeat(bytes));
  });
}

test('an id that is zero in part is taken', async (t) => {
  const { newSpanId: span } = await unused();
  randomFrom(t, (pool) => {
    pool.fill(0);
    pool[15] = 1;
  });
  assert.equal(span(), '0000000000000001');
});
