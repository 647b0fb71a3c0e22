import assert from 'node:assert/strict';
import { test } from 'node:test';

import { SESSION, spanId as S, traceId as T } from './support/session.js';
import { ROOT, TAB, client, navigation, traced } from './support/traces.js';

/** @import { PropagationSettings } from '../../extension/context/propagation.js' */

test('in scope session a navigation is below the root, unreported', () => {
  const { traces, observed } = traced();
  const contexts = [TAB, TAB, 8, null].map((tabId) => traces.issue(tabId));
  assert.deepEqual(contexts, [1, 2, 3, 4].map((n) => ({ spanId: S(n), flags: '01' })));
  assert.deepEqual(observed(), []);
  assert.equal(traces.rootOf(TAB), SESSION);
});

test('a navigation with its own decision is reported', () => {
  const { traces, observed } = traced({ tracestate: 'a=1' }, { flags: '00' });
  assert.deepEqual(traces.issue(TAB), { spanId: S(1), flags: '00' });
  const expected = { traceId: SESSION.traceId, flags: '00', parent: SESSION.spanId, tracestate: 'a=1' };
  assert.deepEqual(observed(), [navigation(S(1), expected)]);
});

test('in scope tab navigations share a trace linked to the session', () => {
  const { traces, observed } = traced({ scope: 'tab', tracestate: 'a=1' });
  const first = traces.issue(TAB);
  const trace = { traceId: T(1), spanId: S(1), flags: '01', tracestate: '' };
  assert.deepEqual(first, { spanId: S(2), flags: '01', trace });
  assert.deepEqual(traces.issue(TAB, first), { spanId: S(3), flags: '01', trace });
  assert.deepEqual(traces.issue(8).trace?.traceId, T(4));
  assert.deepEqual(traces.issue(null).trace?.traceId, T(6), 'a tab that nobody foresaw');
  assert.deepEqual(traces.issue(null).trace?.traceId, T(8), 'and another one');
  assert.deepEqual(observed(), [
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

test('in scope navigation each is a root with links', () => {
  const { traces, observed, session } = traced({ scope: 'navigation', tracestate: 'a=1' });
  const first = traces.issue(TAB);
  assert.deepEqual(first, { spanId: S(1), flags: '01', trace: { traceId: T(1), spanId: S(1), flags: '01', tracestate: '' } });
  traces.issue(TAB, first);
  traces.issue(TAB, { spanId: S(70), flags: '01' });
  assert.deepEqual(observed(), [
    navigation(S(1), { traceId: T(1), links: [ROOT] }),
    navigation(S(2), { traceId: T(2), links: [ROOT, { traceId: T(1), spanId: S(1) }] }),
    navigation(S(3), { traceId: T(3), links: [ROOT, { traceId: session.context.traceId, spanId: S(70) }] }),
  ]);
  assert.equal(traces.rootOf(TAB), SESSION);
});

for (const scope of /** @type {const} */ (['session', 'tab', 'navigation'])) {
  test(`in scope ${scope} a tab adopts its client's context`, () => {
    const { traces, observed } = traced({ scope });
    traces.issue(TAB);
    observed();
    traces.arrive(TAB, client(900, { tracestate: 'a=1' }), '', undefined);
    assert.deepEqual(observed(), [{ issuedFor: 'client', spanId: S(901), traceId: T(900), flags: '01' }]);
    const context = traces.issue(TAB);
    const { spanId } = context;
    const trace = { traceId: T(900), spanId: S(901), flags: '01', tracestate: 'a=1' };
    assert.deepEqual(context, { spanId, flags: '01', trace, client: { traceId: T(900), spanId: S(901) } });
    const below = { traceId: T(900), parent: S(901), tracestate: 'a=1' };
    assert.deepEqual(observed(), [navigation(spanId, below)]);
    assert.deepEqual(traces.rootOf(TAB), { spanId: S(901), flags: '01', trace, client: context.client });

    traces.arrive(TAB, client(900), '', undefined);
    assert.deepEqual(observed(), [], 'the same again');
    traces.arrive(TAB, null, '', undefined);
    const later = traces.issue(TAB, context);
    assert.deepEqual(later.trace, trace, 'it stays');
    assert.deepEqual(observed(), [navigation(later.spanId, below)]);
    assert.notEqual(traces.issue(8).trace?.traceId, T(900), 'for that tab alone');
    observed();

    traces.arrive(TAB, client(900, { spanId: S(950) }), '', undefined);
    assert.deepEqual(observed(), [{ issuedFor: 'client', spanId: S(950), traceId: T(900), flags: '01' }], 'another span of it');
    traces.arrive(TAB, client(800), '', undefined);
    const other = traces.issue(TAB, later);
    assert.equal(other.trace?.traceId, T(800));
    assert.equal(context.trace?.traceId, T(900), 'what was issued stays as it is');
    assert.deepEqual(observed(), [
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
test("flags below a client's are the sampler's", () => {
  for (const [sampler, randomFlag, theirs, ours] of FLAGS) {
    const { traces, observed } = traced({ sampler, randomFlag });
    traces.arrive(TAB, client(900, { flags: theirs }), '', undefined);
    const what = JSON.stringify([sampler, randomFlag, theirs]);
    assert.equal(traces.issue(TAB).flags, ours, what);
    assert.deepEqual(observed().map(({ flags }) => flags), [ours, ours], what);
  }
});

test('a trace has one decision unless each navigation has its own', () => {
  for (const [samplePer, flags] of /** @type {const} */ ([['trace', '01'], ['navigation', '00']])) {
    const { session, traces, observed } = traced({ scope: 'tab', samplePer });
    Object.assign(session, { take: () => ({ spanId: S(50), flags: '00' }) });
    assert.equal(traces.issue(TAB).flags, flags);
    assert.deepEqual(observed().map(({ flags: of }) => of), ['01', flags]);
    traces.arrive(TAB, client(900), '', undefined);
    assert.equal(traces.issue(TAB).flags, '01', 'a client is followed');
  }
});

test("single decisions follow a client where parent-based", () => {
  for (const [parentBased, flags] of /** @type {const} */ ([[true, '00'], [false, '01']])) {
    const { session, traces } = traced({ samplePer: 'navigation', sampler: { ratio: 1, parentBased } });
    Object.assign(session, { take: () => ({ spanId: S(50), flags: '01' }) });
    traces.arrive(TAB, { ...client(900), flags: '00' }, '', undefined);
    assert.equal(traces.issue(TAB).flags, flags);
  }
  const { session, traces, observed } = traced({ scope: 'tab', samplePer: 'navigation', sampler: { ratio: 0.5, parentBased: true } });
  Object.assign(session, { takeTrace: () => ({ traceId: T(60), spanId: S(60), flags: '00' }) });
  traces.issue(TAB);
  assert.equal(observed().find(({ issuedFor }) => issuedFor === 'tab')?.flags, '01', 'so that no parent is missing');
});

test("in another session tabs begin anew, but for clients' traces", () => {
  const { session, traces, observed } = traced({ scope: 'tab' });
  traces.issue(TAB);
  traces.arrive(8, client(900), '', undefined);
  session.context = { traceId: 'e'.repeat(32), spanId: 'e'.repeat(16), flags: '01' };
  traces.clients.reset();
  observed();
  assert.equal(traces.issue(8).trace?.traceId, T(900));
  assert.equal(traces.issue(TAB).trace?.traceId, T(4));
  const [below, tab] = observed();
  assert.equal(below.traceId, T(900));
  assert.deepEqual([tab.issuedFor, tab.links], ['tab', [{ traceId: 'e'.repeat(32), spanId: 'e'.repeat(16) }]]);
  assert.ok(traces.has('e'.repeat(32)));
});

/** @type {[scope: PropagationSettings['scope'], stays: boolean][]} */
const CLAIMED = [['session', false], ['tab', true], ['navigation', false]];
for (const [scope, stays] of CLAIMED) {
  test(`in scope ${scope} an unknown tab ${stays ? 'stays in' : 'leaves'} its first trace`, () => {
    const { traces } = traced({ scope });
    const spare = traces.issue(null);
    traces.useSpare(TAB, spare);
    assert.deepEqual(traces.issue(TAB, spare).trace?.traceId === (spare.trace?.traceId ?? ''), stays);
  });
}

test('a tab with a trace does not leave it for the spare', () => {
  const { traces } = traced({ scope: 'tab' });
  const { trace } = traces.issue(TAB);
  traces.useSpare(TAB, traces.issue(null));
  assert.deepEqual(traces.issue(TAB).trace, trace);
});

test('headers become a context of the session, the tab or alone', () => {
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
