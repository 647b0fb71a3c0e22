import assert from 'node:assert/strict';
import { test } from 'node:test';

import { SESSION, spanId as S, traceId as T } from './support/session.js';
import { ROOT, TAB, client, left, navigation, traced } from './support/traces.js';
import { DEFAULT_STEERING, STEERING_HEADER } from '../../extension/context/steering.js';

/** @import { PropagationSettings } from '../../extension/context/propagation.js' */
/** @import { TracedContext, Traces } from '../../extension/context/traces.js' */

/** @param {string} value */
const steer = (value) => ({ name: STEERING_HEADER, value });

test('a steering header names the trace to continue', () => {
  const { traces, observed } = traced();
  const steering = steer(`traceparent=00-${T(7)}-${S(8)}-01`);
  traces.arrive(TAB, null, '', steering);
  const context = traces.issue(TAB);
  assert.deepEqual([context.trace?.traceId, context.client], [T(7), { traceId: T(7), spanId: S(8) }]);
  assert.deepEqual(observed().map(({ issuedFor, traceId, parent }) => [issuedFor, traceId, parent]), [
    ['client', T(7), undefined],
    ['navigation', T(7), S(8)],
  ]);
  assert.deepEqual(traces.clients.withHeaders(), [], 'its requests carry nothing to remove');
  traces.arrive(TAB, client(900), '', steering);
  assert.equal(traces.issue(TAB).trace?.traceId, T(7), 'the directive wins over a header');
  assert.deepEqual(traces.clients.withHeaders(), [TAB]);
});

test("a context is stale after a client's change", () => {
  const { traces } = traced();
  const first = traces.issue(TAB);
  traces.arrive(TAB, null, '', undefined);
  assert.equal(traces.isStale(TAB, first), false);
  traces.arrive(TAB, null, '', steer('new-trace'));
  assert.equal(traces.isStale(TAB, first), true);
  const second = traces.issue(TAB);
  traces.arrive(TAB, null, '', steer('new-trace'));
  assert.equal(traces.isStale(TAB, second), false);
  for (const change of [() => traces.arrive(TAB, client(900), '', steer('new-trace')), () => traces.arrive(TAB, client(900), 'a=1', steer('new-trace'))]) {
    const before = traces.issue(TAB);
    change();
    assert.equal(traces.isStale(TAB, before), true);
  }
  assert.deepEqual([S(901), S(902)].map((id) => traces.clients.hasSpan(id)), [true, false]);
});

test('a new-trace navigation is linked, and the next is not alone', () => {
  const { traces, observed } = traced();
  const before = traces.issue(TAB);
  traces.arrive(TAB, null, '', steer('new-trace'));
  const alone = traces.issue(TAB, before);
  const steering = { ...DEFAULT_STEERING, newTrace: true };
  const trace = { traceId: T(2), spanId: S(2), flags: '01', tracestate: '' };
  assert.deepEqual(alone, { spanId: S(2), flags: '01', trace, steering });
  traces.arrive(TAB, client(900), '', steer('new-trace'));
  traces.issue(TAB, alone);
  assert.deepEqual(observed(), [
    navigation(S(2), { traceId: T(2), links: [ROOT, { traceId: SESSION.traceId, spanId: S(1) }] }),
    { issuedFor: 'client', spanId: S(901), traceId: T(900), flags: '01' },
    navigation(S(3), { traceId: T(3), links: [ROOT, { traceId: T(900), spanId: S(901) }, { traceId: T(2), spanId: S(2) }] }),
  ]);
  traces.arrive(TAB, null, '', undefined);
  assert.equal(traces.issue(TAB).trace?.traceId, T(900));
});

/** @type {[steering: string, randomFlag: boolean, before: string, after: string][]} */
const SAMPLING = [
  ['sampling=0', false, '01', '00'],
  ['sampling=1', false, '00', '01'],
  ['sampling=0', true, '03', '02'],
  ['sampling=1', true, '02', '03'],
  ['off', false, '01', '00'],
  ['off; sampling=1', true, '03', '02'],
];
test('sampling by a script keeps the random flag', () => {
  for (const [header, randomFlag, before, after] of SAMPLING) {
    const { traces, observed, session } = traced({ randomFlag }, { context: { ...SESSION, flags: before } });
    traces.arrive(TAB, null, '', steer(header));
    const { flags, steering } = traces.issue(TAB);
    assert.equal(flags, after, header);
    assert.equal(steering?.off, header.startsWith('off'));
    assert.deepEqual(observed(), [navigation(S(1), { traceId: SESSION.traceId, flags: after, parent: SESSION.spanId })], header);
    traces.arrive(TAB, null, '', undefined);
    assert.deepEqual(traces.issue(TAB), { spanId: S(2), flags: before }, 'the next one is as the session has it');
    assert.deepEqual(session.problems(), []);
  }
});

test('a script chooses propagators for its navigation', () => {
  const { traces, observed } = traced();
  traces.arrive(TAB, null, '', steer('propagator=b3,jaeger'));
  assert.deepEqual(traces.issue(TAB).steering?.propagators, ['b3', 'jaeger']);
  assert.deepEqual(observed(), [], 'it is in its place all the same');
  assert.equal(traces.issue(8).steering, undefined);
});

test('an invalid header steers nothing and is reported', () => {
  const { traces, session } = traced();
  traces.arrive(TAB, null, '', steer('propagator=b3'));
  traces.arrive(TAB, null, '', steer('ofd'));
  assert.deepEqual(traces.issue(TAB), { spanId: S(1), flags: '01' });
  assert.deepEqual(session.problems().map((message) => message.split(' (')[0]), ['the sec-ch-navtrace header is ignored: "ofd" is not known']);
  traces.arrive(TAB, null, '', steer('on'));
  assert.equal(traces.issue(TAB).steering, undefined, 'one that asks for nothing');
});

test('a page that is not traced is steered as its navigation was', () => {
  const { traces } = traced();
  traces.arrive(TAB, null, '', steer('off'));
  assert.equal(traces.rootOf(TAB).steering?.off, true);
  traces.arrive(TAB, null, '', undefined);
  assert.equal(traces.rootOf(TAB), SESSION);
});

test("the client's baggage comes before the session's", () => {
  const { traces } = traced({ baggage: 'a=1,b=2', tracestate: 's=1' });
  const plain = traces.issue(TAB);
  const expected = { traceId: SESSION.traceId, spanId: S(99), flags: '01', tracestate: 's=1', baggage: 'a=1,b=2' };
  assert.deepEqual(traces.carried(plain, S(99)), expected);
  traces.arrive(TAB, null, 'b=3,c=4', undefined);
  const merged = traces.issue(TAB);
  assert.equal(merged.baggage, 'b=3,c=4');
  assert.deepEqual(traces.carried(merged, S(99)), { ...expected, baggage: 'b=3,c=4,a=1' });
  assert.deepEqual(traces.clients.withHeaders(), [TAB]);
  traces.arrive(TAB, client(900, { tracestate: 't=1' }), '', undefined);
  const adopted = traces.issue(TAB);
  assert.deepEqual(traces.carried(adopted, S(99)), { ...expected, traceId: T(900), tracestate: 't=1' });
  assert.deepEqual(traces.carried(SESSION, S(99)), expected);
});

test('tabs without a client and closed tabs are not remembered', () => {
  const { traces } = traced();
  traces.arrive(TAB, null, '', undefined);
  assert.deepEqual(traces.clients.withHeaders(), []);
  traces.arrive(TAB, client(900), '', undefined);
  assert.deepEqual(traces.clients.withHeaders(), [TAB]);
  traces.clients.closed(TAB);
  assert.deepEqual(traces.clients.withHeaders(), []);
  assert.equal(traces.issue(TAB).trace, undefined);
  assert.ok(traces.has(T(900)), 'its requests may still be under way');
});

/** @type {[what: string, settings: Partial<PropagationSettings>, says: (traces: Traces) => void, survives: boolean][]} */
const RESTARTS = [
  ['a trace of the tab', { scope: 'tab' }, () => {}, true],
  ["a client's trace", {}, (traces) => traces.arrive(TAB, client(900, { tracestate: 'a=1' }), 'k=v', undefined), true],
  ["a client's trace in scope tab", { scope: 'tab' }, (traces) => traces.arrive(TAB, client(900), '', undefined), true],
  ['a trace of a navigation', { scope: 'navigation' }, () => {}, false],
  ['a steered navigation', {}, (traces) => traces.arrive(TAB, null, '', steer('propagator=b3; sampling=0')), true],
];
for (const [what, settings, says, survives] of RESTARTS) {
  test(`after a restart ${what} ${survives ? 'goes on' : 'is over'}`, () => {
    const before = traced(settings);
    says(before.traces);
    /** @type {TracedContext} */
    const next = JSON.parse(JSON.stringify(before.traces.issue(TAB)));
    const { traces, observed } = traced(settings);
    traces.restore(left(next));
    if (next.trace !== undefined) assert.ok(traces.has(next.trace.traceId));
    assert.deepEqual(observed(), []);
    const { spanId, ...after } = traces.issue(TAB, next);
    if (survives) assert.deepEqual({ ...after, spanId: next.spanId }, next);
    else assert.equal(after.trace?.spanId, spanId);
  });
}

test('after a restart the traces of all contexts are known', () => {
  const before = traced({ scope: 'navigation' });
  const contexts = [null, TAB, TAB].map((tabId) => before.traces.issue(tabId));
  const [spare, current, next] = contexts;
  assert.ok(spare && current && next);
  const { traces } = traced({ scope: 'navigation' });
  traces.restore(left(next, current, spare));
  for (const { trace } of contexts) assert.ok(traces.has(trace?.traceId ?? ''));
});

test('after a restart a client is known by its context', () => {
  const before = traced({ targets: ['x'] });
  before.traces.arrive(TAB, client(900), '', undefined);
  const next = before.traces.issue(TAB);
  const { traces, observed } = traced({ targets: ['x'] });
  traces.restore(left(next));
  assert.deepEqual(traces.clients.withHeaders(), [TAB]);
  traces.arrive(TAB, client(900), '', undefined);
  assert.deepEqual(observed(), [], 'the host knows it');
  assert.deepEqual(traces.issue(TAB).client, next.client);
});

test("after a restart a client's trace is adopted again", () => {
  const before = traced();
  before.traces.arrive(TAB, client(900), '', steer('new-trace'));
  const next = before.traces.issue(TAB);
  const { traces } = traced();
  traces.restore(left(next));
  traces.arrive(TAB, client(900), '', undefined);
  assert.equal(traces.issue(TAB).trace?.traceId, T(900));
});

test("a request steered off is known by its client's span", () => {
  const { traces } = traced();
  traces.arrive(TAB, client(900), '', steer('off'));
  assert.ok(traces.clients.leavesAlone(TAB, client(900)));
  assert.equal(traces.clients.leavesAlone(TAB, client(800)), false);
  assert.equal(traces.clients.leavesAlone(8, client(900)), false);
  traces.arrive(TAB, client(900), '', undefined);
  assert.equal(traces.clients.leavesAlone(TAB, client(900)), false);
});

test('a sampled context is made known, and no other one is', () => {
  const { traces, session } = traced({}, { context: { ...SESSION, flags: '00' } });
  const count = () => session.events.sampled.mock.callCount();
  traces.issue(TAB);
  traces.arrive(TAB, client(900, { flags: '00' }), '', undefined);
  traces.issue(TAB);
  assert.equal(count(), 0);
  traces.arrive(TAB, client(800), '', undefined);
  assert.equal(count(), 1, "a client's sampled trace");
  traces.issue(TAB);
  assert.equal(count(), 2, 'a navigation in it');
  traces.arrive(8, null, '', steer('sampling=1'));
  assert.equal(count(), 2);
  traces.issue(8);
  assert.equal(count(), 3, 'a navigation that a script samples');
  traces.arrive(9, null, '', steer('off; sampling=1'));
  traces.issue(9);
  assert.equal(count(), 3, 'one steered off has no headers');
});

test('the host is told once what a client says of the root of its trace', () => {
  const { traces, described } = traced();
  const attributes = { 'test.vu': '1' };
  const header = steer('attributes=test.vu:1');
  for (let n = 0; n < 2; n += 1) traces.arrive(TAB, null, '', header);
  traces.arrive(8, null, '', header);
  const of = (/** @type {string} */ spanId, /** @type {string | undefined} */ name) => ({ spanId, ...(name && { name }), attributes });
  assert.deepEqual(described(), [of(SESSION.spanId, undefined), of(SESSION.spanId, undefined)], 'once for each tab');
  for (let n = 0; n < 2; n += 1) traces.arrive(TAB, null, '', steer(`traceparent=00-${T(7)}-${S(8)}-01; name=iteration; attributes=test.vu:1`));
  assert.deepEqual(described().slice(2), [of(S(8), 'iteration')]);
});

test('a navigation in a trace of its own is the root that a client describes', () => {
  const { traces, described } = traced();
  traces.arrive(TAB, null, '', steer('new-trace; attributes=test.vu:1'));
  const issued = [traces.issue(TAB), traces.issue(TAB)];
  assert.deepEqual(described(), issued.map(({ spanId }) => ({ spanId, attributes: { 'test.vu': '1' } })));
  traces.arrive(8, null, '', steer('new-trace; sampling=0; attributes=test.vu:1'));
  traces.issue(8);
  assert.equal(described().length, 2, 'which has a span');
});
