import assert from 'node:assert/strict';
import { test } from 'node:test';

import { EarlierSessions } from '../../extension/observe/earlier-sessions.js';

/** @import { Observation } from '../../extension/protocol.d.ts' */

const A = { traceId: 'a'.repeat(32), spanId: 'a'.repeat(16), flags: '01' };
const B = { traceId: 'b'.repeat(32), spanId: 'b'.repeat(16), flags: '01' };

/** @param {object} parts @returns {Observation} */
const observation = (parts) => /** @type {Observation} */ (parts);
/** @param {string} request @param {string} [parent] */
const started = (request, parent) => observation({ what: 'request-started', request, parent });
/** @param {string} request */
const redirected = (request) => observation({ what: 'request-redirected', request });
/** @param {string} spanId */
const parsed = (spanId) => observation({ what: 'document-parsed', spanId });

/** Two sessions that have ended. */
function earlier() {
  const sessions = new EarlierSessions();
  sessions.add(A, ['1', '2'], ['nav']);
  sessions.add(B, ['2', '3'], ['nav', 'other']);
  return sessions;
}

test('navigations and requests belong to the session that they began in', () => {
  const sessions = earlier();
  assert.deepEqual(['nav', 'other', A.spanId, B.spanId, 'new'].map((spanId) => sessions.sessionOf(parsed(spanId))), [A, B, A, B, undefined]);
  assert.deepEqual(['nav', 'other', 'new'].map((spanId) => sessions.has(spanId)), [true, true, false]);
  assert.deepEqual(['1', '2', '3', '4'].map((request) => sessions.sessionOf(redirected(request))), [A, A, B, undefined]);
});

for (const what of ['request-completed', 'request-failed']) {
  test(`${what}: nothing of a request follows its end`, () => {
    const sessions = earlier();
    const end = (/** @type {string} */ request) => sessions.sessionOf(observation({ what, request }));
    assert.deepEqual([end('1'), end('1'), end('3'), end('9')], [A, undefined, B, undefined]);
    assert.equal(sessions.sessionOf(redirected('2')), A);
  });
}

test('a redirect, or the close of its page, keeps the session of a request', () => {
  const sessions = earlier();
  assert.equal(sessions.sessionOf(observation({ what: 'request-left', request: '1' })), A);
  assert.deepEqual([sessions.sessionOf(redirected('1')), sessions.sessionOf(redirected('1'))], [A, A]);
});

test('a request of an earlier navigation belongs to its session', () => {
  const sessions = earlier();
  assert.equal(sessions.sessionOf(started('9', 'other')), B);
  assert.equal(sessions.sessionOf(redirected('9')), B);
});

test('a redirect hop in the new trace moves its request there', () => {
  const sessions = earlier();
  assert.equal(sessions.sessionOf(started('1', 'new')), undefined);
  assert.equal(sessions.sessionOf(redirected('1')), undefined);
  assert.equal(sessions.sessionOf(started('2')), undefined);
  assert.equal(sessions.sessionOf(redirected('2')), undefined);
});

test('what belongs to no session is of the current one', () => {
  const sessions = earlier();
  for (const what of ['context-issued', 'tab-closed']) assert.equal(sessions.sessionOf(observation({ what, spanId: 'nav' })), undefined);
});

test('the oldest requests and spans are forgotten', () => {
  const sessions = earlier();
  const many = Array.from({ length: 9_998 }, (_, n) => `n${n}`);
  sessions.add(B, many, many);
  const known = ['1', '2', '3', 'n0', 'n9997'].map((request) => sessions.sessionOf(redirected(request)) !== undefined);
  assert.deepEqual(known, [false, true, true, true, true]);
  assert.deepEqual([sessions.has('nav'), sessions.has(A.spanId), sessions.has('other'), sessions.has('n0')], [false, false, true, true]);
});
