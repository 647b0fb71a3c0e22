import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { DEFAULT_PROPAGATION } from '../../extension/context/propagation.js';
import { AS_CONFIGURED, Session, sameContext } from '../../extension/context/session.js';
import { formatTraceparent, isFlags, isSpanId, isTraceId } from '../../extension/context/traceparent.js';

const A = { traceId: 'a'.repeat(32), spanId: 'a'.repeat(16), flags: '01' };
const B = { traceId: 'b'.repeat(32), spanId: 'b'.repeat(16), flags: '00' };
const TRACESTATE = { ...DEFAULT_PROPAGATION, tracestate: 'x=1' };

beforeEach(() => {
  mock.reset();
  mock.timers.reset();
  mock.timers.enable({ apis: ['Date'], now: 1000 });
});

/** Makes a session that has a context. */
function open() {
  const began = mock.fn();
  const session = new Session(A, { began });
  session.adopt(A);
  return { session, began: () => began.mock.calls.map(({ arguments: [traceId] }) => traceId) };
}

test('contexts are the same in all parts or not at all', () => {
  assert.equal(sameContext(A, { ...A }), true);
  for (const part of /** @type {const} */ (['traceId', 'spanId', 'flags'])) assert.equal(sameContext(A, { ...A, [part]: B[part] }), false, part);
  assert.deepEqual([sameContext(A, null), sameContext(null, A), sameContext(null, null)], [false, false, true]);
});

test('only whole ids and flags are accepted', () => {
  for (const [check, good] of /** @type {[(value: unknown) => boolean, string][]} */ ([[isTraceId, A.traceId], [isSpanId, A.spanId], [isFlags, '0f']])) {
    assert.equal(check(good), true);
    for (const wrong of [`${good}0`, `0${good}`, good.slice(1), good.toUpperCase().replace(/.$/, 'G'), [good], null, undefined, 7]) assert.equal(check(wrong), false);
  }
  assert.deepEqual([isTraceId('0'.repeat(32)), isSpanId('0'.repeat(16)), isFlags('00')], [false, false, true]);
  assert.equal(formatTraceparent(A), `00-${A.traceId}-${A.spanId}-01`);
});

test('a session is open once it has a context', () => {
  const session = new Session(A);
  assert.throws(() => session.context, { message: 'the session is not open' });
  assert.equal(session.contextIfOpen, null);
  assert.equal(session.isReplaceable, false);
  session.adopt(B);
  assert.deepEqual([session.context, session.contextIfOpen, session.isReplaceable], [B, B, false]);
});

test('the fallback is replaceable until it is used', () => {
  const { session, began } = open();
  assert.equal(session.isReplaceable, true);
  session.use();
  assert.equal(session.isReplaceable, false);
  assert.deepEqual(began(), [A.traceId]);
});

test('a restored session is not replaceable, even one that goes by the fallback', () => {
  const { session } = open();
  const chosen = { ...AS_CONFIGURED, ratio: 0.5 };
  session.restore({ session: A, propagation: TRACESTATE, kept: { paused: true, chosen, started: 7, hosts: [], hadIncognito: false } });
  assert.equal(session.isReplaceable, false);
  assert.deepEqual(session.kept, { paused: true, chosen, started: 7, hosts: [], hadIncognito: false });
  session.restore({ session: B, propagation: TRACESTATE, kept: null });
  assert.deepEqual([session.kept.paused, session.kept.started, session.propagation.settings.tracestate], [false, 1000, 'x=1']);
});

test('a new trace takes what was in stock, and begins', () => {
  const { session, began } = open();
  session.carry(TRACESTATE);
  session.fill([{ spanId: 'c'.repeat(16), flags: '01' }], [B]);
  mock.timers.setTime(5000);
  session.beginTrace();
  assert.deepEqual([session.context.traceId, session.kept.started, session.isReplaceable], [B.traceId, 5000, false]);
  assert.deepEqual(began(), [A.traceId, B.traceId]);
  assert.notEqual(session.take().spanId, 'c'.repeat(16), 'contexts of the trace before are not for it');
  assert.deepEqual(session.propagation.settings, DEFAULT_PROPAGATION, 'its tracestate was that of the trace before');
  const { propagation } = session;
  session.beginTrace();
  assert.equal(session.propagation, propagation);
});

test('a change that changes nothing keeps the propagation', () => {
  const { session } = open();
  const { propagation } = session;
  session.matchByListener(propagation.listens);
  session.refuse([...propagation.refused]);
  assert.equal(session.carry({ ...DEFAULT_PROPAGATION }), false);
  assert.equal(session.propagation, propagation);
});

test('each change keeps the others', () => {
  const { session } = open();
  const { listens } = session.propagation;
  session.matchByListener(!listens);
  session.refuse(['^x']);
  session.pause(true);
  assert.equal(session.carry(TRACESTATE), true);
  assert.deepEqual([session.propagation.listens, session.propagation.refused, session.propagation.paused, session.propagation.settings], [!listens, ['^x'], true, TRACESTATE]);
  session.pause(false);
  session.refuse([]);
  session.matchByListener(listens);
  assert.deepEqual([session.propagation.listens, session.propagation.refused, session.propagation.paused], [listens, [], false]);
});

test('other settings make the contexts in stock useless', () => {
  const { session } = open();
  session.fill([{ spanId: 'c'.repeat(16), flags: '01' }], []);
  session.carry(TRACESTATE);
  assert.notEqual(session.take().spanId, 'c'.repeat(16));
});
