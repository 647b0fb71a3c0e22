import assert from 'node:assert/strict';
import { test } from 'node:test';

import { DEFAULT_STEERING } from '../../extension/context/steering.js';
import { Traces } from '../../extension/context/traces.js';
import { SESSION, fakeOutbox, fakeSession, spanId as S, traceId as T } from './support/session.js';

/** @import { PropagationSettings } from '../../extension/context/propagation.js' */
/** @import { NavigationContext } from '../../extension/context/traces.js' */

const TAB = 7;
const ROOT = { traceId: SESSION.traceId, spanId: SESSION.spanId };

/** What a client puts on a navigation, by a number. @param {number} n @param {object} [more] */
const client = (n, more) => ({ traceId: T(n), spanId: S(n + 1), flags: '01', tracestate: '', baggage: '', ...more });

/**
 * The traces of a session, and what the host was told of them.
 *
 * @param {Partial<PropagationSettings>} [settings]
 * @param {Parameters<typeof fakeSession>[1]} [options]
 */
function traced(settings, options) {
  const session = fakeSession(settings, options);
  const outbox = fakeOutbox();
  const traces = new Traces(session, outbox, session.problem);
  /** What was told since the last time. */
  const told = () =>
    outbox.observed.splice(0).map(({ what, time, ...context }) => {
      assert.equal(what, 'context-issued');
      assert.equal(typeof time, 'number');
      return context;
    });
  return { session, traces, told };
}

/** What a worker left in force. @param {NavigationContext} next @param {NavigationContext} [current] @param {NavigationContext} [spare] */
const left = (next, current = next, spare = next) => ({ spare, tabs: new Map([[TAB, { ruleId: 10, current, next }]]) });

/** @param {string} spanId @param {object} more */
const navigation = (spanId, more) => ({ issuedFor: 'navigation', spanId, flags: '01', ...more });

test('in the scope of the session each navigation is below its root, and nothing is told of it', () => {
  const { traces, told } = traced();
  const contexts = [TAB, TAB, 8, null].map((tabId) => traces.issue(tabId));
  assert.deepEqual(contexts, [1, 2, 3, 4].map((n) => ({ spanId: S(n), flags: '01' })));
  assert.deepEqual(told(), []);
  assert.equal(traces.rootOf(TAB), SESSION);
});

test('a navigation in the trace of the session with a decision of its own is told of', () => {
  const { traces, told } = traced({ tracestate: 'a=1' }, { flags: '00' });
  assert.deepEqual(traces.issue(TAB), { spanId: S(1), flags: '00' });
  const expected = { traceId: SESSION.traceId, flags: '00', parent: SESSION.spanId, tracestate: 'a=1' };
  assert.deepEqual(told(), [navigation(S(1), expected)]);
});

test('in the scope of the tab its navigations share a trace, below a root that is beside the session', () => {
  const { traces, told } = traced({ scope: 'tab', tracestate: 'a=1' });
  const first = traces.issue(TAB);
  const trace = { traceId: T(1), spanId: S(1), flags: '01', tracestate: '' };
  assert.deepEqual(first, { spanId: S(2), flags: '01', trace });
  assert.deepEqual(traces.issue(TAB, first), { spanId: S(3), flags: '01', trace });
  assert.deepEqual(traces.issue(8).trace?.traceId, T(4));
  assert.deepEqual(traces.issue(null).trace?.traceId, T(6), 'a tab that nobody foresaw');
  assert.deepEqual(traces.issue(null).trace?.traceId, T(8), 'and another one');
  assert.deepEqual(told(), [
    { issuedFor: 'tab', spanId: S(1), traceId: T(1), flags: '01', links: [ROOT] },
    navigation(S(2), { traceId: T(1), parent: S(1) }),
    navigation(S(3), { traceId: T(1), parent: S(1) }),
    { issuedFor: 'tab', spanId: S(4), traceId: T(4), flags: '01', links: [ROOT] },
    navigation(S(5), { traceId: T(4), parent: S(4) }),
    { issuedFor: 'tab', spanId: S(6), traceId: T(6), flags: '01', links: [ROOT] },
    navigation(S(7), { traceId: T(6), parent: S(6) }),
    { issuedFor: 'tab', spanId: S(8), traceId: T(8), flags: '01', links: [ROOT] },
    navigation(S(9), { traceId: T(8), parent: S(8) }),
  ]);
  assert.deepEqual(traces.rootOf(TAB), { spanId: S(1), flags: '01', trace });
});

test('in the scope of the navigation each is the root of its trace, beside the session and the one before', () => {
  const { traces, told, session } = traced({ scope: 'navigation', tracestate: 'a=1' });
  const first = traces.issue(TAB);
  assert.deepEqual(first, { spanId: S(1), flags: '01', trace: { traceId: T(1), spanId: S(1), flags: '01', tracestate: '' } });
  traces.issue(TAB, first);
  traces.issue(TAB, { spanId: S(70), flags: '01' });
  assert.deepEqual(told(), [
    navigation(S(1), { traceId: T(1), links: [ROOT] }),
    navigation(S(2), { traceId: T(2), links: [ROOT, { traceId: T(1), spanId: S(1) }] }),
    navigation(S(3), { traceId: T(3), links: [ROOT, { traceId: session.context.traceId, spanId: S(70) }] }),
  ]);
  assert.equal(traces.rootOf(TAB), SESSION);
});

for (const scope of /** @type {const} */ (['session', 'tab', 'navigation'])) {
  test(`in the scope of the ${scope} a client's context is adopted for its tab, until another one comes`, () => {
    const { traces, told } = traced({ scope });
    traces.issue(TAB);
    told();
    traces.arrive(TAB, client(900, { tracestate: 'a=1' }), '', undefined);
    assert.deepEqual(told(), [{ issuedFor: 'client', spanId: S(901), traceId: T(900), flags: '01' }]);
    const context = traces.issue(TAB);
    const { spanId } = context;
    const trace = { traceId: T(900), spanId: S(901), flags: '01', tracestate: 'a=1' };
    assert.deepEqual(context, { spanId, flags: '01', trace, client: { traceId: T(900), spanId: S(901) } });
    const below = { traceId: T(900), parent: S(901), tracestate: 'a=1' };
    assert.deepEqual(told(), [navigation(spanId, below)]);
    assert.deepEqual(traces.rootOf(TAB), { spanId: S(901), flags: '01', trace, client: context.client });

    traces.arrive(TAB, client(900), '', undefined);
    assert.deepEqual(told(), [], 'the same again');
    traces.arrive(TAB, null, '', undefined);
    const later = traces.issue(TAB, context);
    assert.deepEqual(later.trace, trace, 'it stays');
    assert.deepEqual(told(), [navigation(later.spanId, below)]);
    assert.notEqual(traces.issue(8).trace?.traceId, T(900), 'for that tab alone');
    told();

    traces.arrive(TAB, client(900, { spanId: S(950) }), '', undefined);
    assert.deepEqual(told(), [{ issuedFor: 'client', spanId: S(950), traceId: T(900), flags: '01' }], 'another span of it');
    traces.arrive(TAB, client(800), '', undefined);
    const other = traces.issue(TAB, later);
    assert.equal(other.trace?.traceId, T(800));
    assert.equal(context.trace?.traceId, T(900), 'what was issued stays as it is');
    assert.deepEqual(told(), [
      { issuedFor: 'client', spanId: S(801), traceId: T(800), flags: '01' },
      navigation(other.spanId, { traceId: T(800), parent: S(801) }),
    ]);
    for (const n of [800, 900]) assert.ok(traces.has(T(n)));
    assert.equal(traces.has(T(700)), false);
  });
}

/** @type {[sampler: { ratio: number, parentBased: boolean }, randomFlag: boolean, theirs: string, ours: string][]} */
const FLAGS = [
  [{ ratio: 0, parentBased: true }, false, '01', '01'],
  [{ ratio: 1, parentBased: true }, false, '00', '00'],
  [{ ratio: 1, parentBased: true }, false, '02', '00'],
  [{ ratio: 0, parentBased: true }, false, '03', '01'],
  [{ ratio: 0, parentBased: true }, true, '03', '03'],
  [{ ratio: 1, parentBased: true }, true, '02', '02'],
  [{ ratio: 0, parentBased: true }, true, '01', '01'],
  [{ ratio: 0, parentBased: true }, true, 'ff', '03'],
  [{ ratio: 0, parentBased: false }, false, '01', '00'],
  [{ ratio: 1, parentBased: false }, false, '00', '01'],
  [{ ratio: 0, parentBased: false }, true, '03', '02'],
  [{ ratio: 1, parentBased: false }, true, '02', '03'],
  [{ ratio: 1, parentBased: false }, true, '00', '01'],
];
test("the flags below a client's are decided by the sampler, and only the client knows whether its trace id is random", () => {
  for (const [sampler, randomFlag, theirs, ours] of FLAGS) {
    const { traces, told } = traced({ sampler, randomFlag });
    traces.arrive(TAB, client(900, { flags: theirs }), '', undefined);
    const what = JSON.stringify([sampler, randomFlag, theirs]);
    assert.equal(traces.issue(TAB).flags, ours, what);
    assert.deepEqual(told().map(({ flags }) => flags), [ours, ours], what);
  }
});

test('a trace has one decision, unless each navigation is to have its own', () => {
  for (const [samplePer, flags] of /** @type {const} */ ([['trace', '01'], ['navigation', '00']])) {
    const { session, traces, told } = traced({ scope: 'tab', samplePer });
    Object.assign(session, { take: () => ({ spanId: S(50), flags: '00' }) });
    assert.equal(traces.issue(TAB).flags, flags);
    assert.deepEqual(told().map(({ flags: of }) => of), ['01', flags]);
    traces.arrive(TAB, client(900), '', undefined);
    assert.equal(traces.issue(TAB).flags, '01', 'a client is followed');
  }
});

test("single decisions follow a client where they are parent-based, and a tab's trace is above them", () => {
  for (const [parentBased, flags] of /** @type {const} */ ([[true, '00'], [false, '01']])) {
    const { session, traces } = traced({ samplePer: 'navigation', sampler: { ratio: 1, parentBased } });
    Object.assign(session, { take: () => ({ spanId: S(50), flags: '01' }) });
    traces.arrive(TAB, { ...client(900), flags: '00' }, '', undefined);
    assert.equal(traces.issue(TAB).flags, flags);
  }
  const { session, traces, told } = traced({ scope: 'tab', samplePer: 'navigation', sampler: { ratio: 0.5, parentBased: true } });
  Object.assign(session, { takeTrace: () => ({ traceId: T(60), spanId: S(60), flags: '00' }) });
  traces.issue(TAB);
  assert.equal(told().find(({ issuedFor }) => issuedFor === 'tab')?.flags, '01', 'so that no parent is missing');
});

test('a context is stale once a client has changed what it was made of', () => {
  const { traces } = traced();
  const first = traces.issue(TAB);
  traces.arrive(TAB, null, '', undefined);
  assert.equal(traces.isStale(TAB, first), false);
  traces.arrive(TAB, null, '', 'new-trace');
  assert.equal(traces.isStale(TAB, first), true);
  const second = traces.issue(TAB);
  traces.arrive(TAB, null, '', 'new-trace');
  assert.equal(traces.isStale(TAB, second), false);
  for (const change of [() => traces.arrive(TAB, client(900), '', 'new-trace'), () => traces.arrive(TAB, client(900), 'a=1', 'new-trace')]) {
    const before = traces.issue(TAB);
    change();
    assert.equal(traces.isStale(TAB, before), true);
  }
  assert.deepEqual([S(901), S(902)].map((id) => traces.clients.hasSpan(id)), [true, false]);
});

test('a navigation that is to have a trace of its own is beside the session, its client and the one before, and the next one is not', () => {
  const { traces, told } = traced();
  const before = traces.issue(TAB);
  traces.arrive(TAB, null, '', 'new-trace');
  const alone = traces.issue(TAB, before);
  const steering = { ...DEFAULT_STEERING, newTrace: true };
  const trace = { traceId: T(2), spanId: S(2), flags: '01', tracestate: '' };
  assert.deepEqual(alone, { spanId: S(2), flags: '01', trace, steering });
  traces.arrive(TAB, client(900), '', 'new-trace');
  traces.issue(TAB, alone);
  assert.deepEqual(told(), [
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
test('a script decides for its own navigations, and the flag that tells of randomness stays', () => {
  for (const [header, randomFlag, before, after] of SAMPLING) {
    const { traces, told, session } = traced({ randomFlag }, { context: { ...SESSION, flags: before } });
    traces.arrive(TAB, null, '', header);
    const { flags, steering } = traces.issue(TAB);
    assert.equal(flags, after, header);
    assert.equal(steering?.off, header.startsWith('off'));
    assert.deepEqual(told(), [navigation(S(1), { traceId: SESSION.traceId, flags: after, parent: SESSION.spanId })], header);
    traces.arrive(TAB, null, '', undefined);
    assert.deepEqual(traces.issue(TAB), { spanId: S(2), flags: before }, 'the next one is as the session has it');
    assert.deepEqual(session.problems(), []);
  }
});

test('a script chooses propagators for its navigation', () => {
  const { traces, told } = traced();
  traces.arrive(TAB, null, '', 'propagator=b3,jaeger');
  assert.deepEqual(traces.issue(TAB).steering?.propagators, ['b3', 'jaeger']);
  assert.deepEqual(told(), [], 'it is in its place all the same');
  assert.equal(traces.issue(8).steering, undefined);
});

test('a header that can not be read steers nothing, and the user is told', () => {
  const { traces, session } = traced();
  traces.arrive(TAB, null, '', 'propagator=b3');
  traces.arrive(TAB, null, '', 'ofd');
  assert.deepEqual(traces.issue(TAB), { spanId: S(1), flags: '01' });
  assert.deepEqual(session.problems().map((message) => message.split(' (')[0]), ['the navtrace header is ignored: "ofd" is not known']);
  traces.arrive(TAB, null, '', 'on');
  assert.equal(traces.issue(TAB).steering, undefined, 'one that asks for nothing');
});

test('a page that is not traced is steered as its navigation was', () => {
  const { traces } = traced();
  traces.arrive(TAB, null, '', 'off');
  assert.equal(traces.rootOf(TAB).steering?.off, true);
  traces.arrive(TAB, null, '', undefined);
  assert.equal(traces.rootOf(TAB), SESSION);
});

test("the session's baggage and state go with its contexts, and a client's baggage before them", () => {
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

test('a tab of which a client has said nothing is not remembered, and a closed one neither', () => {
  const { traces } = traced();
  traces.arrive(TAB, null, '', undefined);
  assert.deepEqual(traces.clients.withHeaders(), []);
  traces.arrive(TAB, client(900), '', undefined);
  assert.deepEqual(traces.clients.withHeaders(), [TAB]);
  traces.closed(TAB);
  assert.deepEqual(traces.clients.withHeaders(), []);
  assert.equal(traces.issue(TAB).trace, undefined);
  assert.ok(traces.has(T(900)), 'its requests may still be under way');
});

/** @type {[what: string, settings: Partial<PropagationSettings>, says: (traces: Traces) => void, lasting: boolean][]} */
const RESTARTS = [
  ['a trace of the tab', { scope: 'tab' }, () => {}, true],
  ["a client's trace", {}, (traces) => traces.arrive(TAB, client(900, { tracestate: 'a=1' }), 'k=v', undefined), true],
  ["a client's trace in the scope of the tab", { scope: 'tab' }, (traces) => traces.arrive(TAB, client(900), '', undefined), true],
  ['a trace of a navigation', { scope: 'navigation' }, () => {}, false],
  ['a steered navigation', {}, (traces) => traces.arrive(TAB, null, '', 'propagator=b3; sampling=0'), true],
];
for (const [what, settings, says, lasting] of RESTARTS) {
  test(`after a restart ${what} ${lasting ? 'goes on' : 'is over'}`, () => {
    const before = traced(settings);
    says(before.traces);
    /** @type {NavigationContext} */
    const next = JSON.parse(JSON.stringify(before.traces.issue(TAB)));
    const { traces, told } = traced(settings);
    traces.restore(left(next));
    if (next.trace !== undefined) assert.ok(traces.has(next.trace.traceId));
    assert.deepEqual(told(), []);
    const { spanId, ...after } = traces.issue(TAB, next);
    if (lasting) assert.deepEqual({ ...after, spanId: next.spanId }, next);
    else assert.equal(after.trace?.spanId, spanId);
  });
}

test('after a restart the traces of pages, of navigations to come and of the spare are known', () => {
  const before = traced({ scope: 'navigation' });
  const contexts = [null, TAB, TAB].map((tabId) => before.traces.issue(tabId));
  const [spare, current, next] = contexts;
  assert.ok(spare && current && next);
  const { traces } = traced({ scope: 'navigation' });
  traces.restore(left(next, current, spare));
  for (const { trace } of contexts) assert.ok(traces.has(trace?.traceId ?? ''));
});

test('after a restart a client that puts its context on every request is known by it', () => {
  const before = traced({ targets: ['x'] });
  before.traces.arrive(TAB, client(900), '', undefined);
  const next = before.traces.issue(TAB);
  const { traces, told } = traced({ targets: ['x'] });
  traces.restore(left(next));
  assert.deepEqual(traces.clients.withHeaders(), [TAB]);
  traces.arrive(TAB, client(900), '', undefined);
  assert.deepEqual(told(), [], 'the host knows it');
  assert.deepEqual(traces.issue(TAB).client, next.client);
});

test('after a restart amid navigations with traces of their own the trace of their client is adopted again', () => {
  const before = traced();
  before.traces.arrive(TAB, client(900), '', 'new-trace');
  const next = before.traces.issue(TAB);
  const { traces } = traced();
  traces.restore(left(next));
  traces.arrive(TAB, client(900), '', undefined);
  assert.equal(traces.issue(TAB).trace?.traceId, T(900));
});

test('in another session tabs begin anew, and what clients have said stays', () => {
  const { session, traces, told } = traced({ scope: 'tab' });
  traces.issue(TAB);
  traces.arrive(8, client(900), '', undefined);
  session.context = { traceId: 'e'.repeat(32), spanId: 'e'.repeat(16), flags: '01' };
  traces.clients.reset();
  told();
  assert.equal(traces.issue(8).trace?.traceId, T(900));
  assert.equal(traces.issue(TAB).trace?.traceId, T(4));
  const [below, tab] = told();
  assert.equal(below.traceId, T(900));
  assert.deepEqual([tab.issuedFor, tab.links], ['tab', [{ traceId: 'e'.repeat(32), spanId: 'e'.repeat(16) }]]);
  assert.ok(traces.has('e'.repeat(32)));
});

/** @type {[scope: PropagationSettings['scope'], stays: boolean][]} */
const CLAIMED = [['session', false], ['tab', true], ['navigation', false]];
for (const [scope, stays] of CLAIMED) {
  test(`in the scope of the ${scope} a tab that nobody foresaw ${stays ? 'stays in the trace' : 'has no trace'} of its first navigation`, () => {
    const { traces } = traced({ scope });
    const spare = traces.issue(null);
    traces.claimed(TAB, spare);
    assert.deepEqual(traces.issue(TAB, spare).trace?.traceId === (spare.trace?.traceId ?? ''), stays);
  });
}

test('a tab that is in a trace already does not leave it for the spare', () => {
  const { traces } = traced({ scope: 'tab' });
  const { trace } = traces.issue(TAB);
  traces.claimed(TAB, traces.issue(null));
  assert.deepEqual(traces.issue(TAB).trace, trace);
});

test('what a request carries is a context of the session, of its tab, or of a trace of its own', () => {
  const { traces, session } = traced({ scope: 'tab' });
  const { trace } = traces.issue(TAB);
  const carried = { ...client(900), tracestate: 'a=1' };
  const { traceId, spanId, flags, tracestate } = carried;
  assert.deepEqual(traces.contextOf(TAB, { ...carried, traceId: session.context.traceId }), { spanId, flags });
  assert.deepEqual(traces.contextOf(TAB, { ...carried, traceId: T(1) }), { spanId, flags, trace });
  assert.deepEqual(traces.contextOf(TAB, carried), { spanId, flags, trace: { traceId, spanId, flags, tracestate } });
});

test('thousands of traces are remembered, those that came last', () => {
  const { traces } = traced({ scope: 'navigation' });
  for (let n = 0; n < 6000; n += 1) traces.issue(TAB);
  assert.deepEqual([1, 999, 1001, 6000].map((n) => traces.has(T(n))), [false, false, true, true]);
});

test('a request that a client wants left alone is known by the span that it has put there', () => {
  const { traces } = traced();
  traces.arrive(TAB, client(900), '', 'off');
  assert.ok(traces.clients.leavesAlone(TAB, client(900)));
  assert.equal(traces.clients.leavesAlone(TAB, client(800)), false);
  assert.equal(traces.clients.leavesAlone(8, client(900)), false);
  traces.arrive(TAB, client(900), '', undefined);
  assert.equal(traces.clients.leavesAlone(TAB, client(900)), false);
});
