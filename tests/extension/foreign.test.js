/**
 * Tests what becomes of contexts in formats that are not configured.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { beforeEach, mock, test } from 'node:test';

import { VENDORS, withoutSentry } from '../../extension/context/foreign.js';
import { mergeTracestate } from '../../extension/context/lists.js';
import { CLIENT, ELSEWHERE, FOREIGN, INJECT, SESSION, TAB, TARGETS, left, list, navigation, request, showing, traceparent } from './support/injector.js';
import { CALLS, detailedRulesOf, rulesOf, under } from './support/rules.js';
import { propagating } from './support/session.js';
import { parseTraceparent } from './support/traceparent.js';

/** @import { PropagationSettings } from '../../extension/context/propagation.js' */
/** @typedef {Record<string, string>} Headers */

const { removed, read } = JSON.parse(readFileSync(new URL('../fixtures/foreign.json', import.meta.url), 'utf8'));

beforeEach(() => mock.reset());

/** A page's context in one vendor's format, and its headers. @param {{ traceId: string, spanId: string }} context @returns {Headers} */
const sentryOf = ({ traceId, spanId }) => ({ 'Sentry-Trace': `${traceId}-${spanId}-1` });
const sentry = sentryOf(FOREIGN);
const b3 = { b3: `${FOREIGN.traceId}-${FOREIGN.spanId}-1` };

test('the headers of other formats are those of the fixture', () => {
  for (const { propagators, headers } of removed) {
    assert.deepEqual(propagating({ propagators }).removedFields, headers);
    assert.deepEqual(propagating({ propagators, existing: 'keep' }).removedFields, []);
  }
});

test('contexts of other formats are read as the fixture says', () => {
  for (const { headers, context } of read) {
    const expected = context === null ? [] : [{ ...context, tracestate: '', baggage: '' }];
    const propagation = propagating();
    const found = propagation.read(list(headers));
    assert.deepEqual(found?.contexts, expected, JSON.stringify(headers));
    assert.deepEqual(found?.others.map(({ context: each }) => each), expected.length === 0 ? [null] : expected);
    assert.equal(propagation.extract(list(headers)), null);
  }
});

test('names of headers are in lower case and in one format only', () => {
  const fields = Object.values(VENDORS).flatMap((format) => format.fields);
  assert.deepEqual(fields, [...new Set(fields)].map((field) => field.toLowerCase()));
});

test('the configured formats come first, and nothing is read without one', () => {
  const headers = list({ ...sentry, ...b3, traceparent: traceparent(CLIENT) });
  assert.deepEqual(propagating().read(headers)?.contexts.map(({ traceId }) => traceId), [CLIENT, FOREIGN, FOREIGN].map(({ traceId }) => traceId));
  assert.deepEqual(propagating({ propagators: ['b3'] }).read(headers)?.contexts[0]?.traceId, FOREIGN.traceId);
  assert.equal(propagating({ propagators: [] }).read(headers), null);
  assert.equal(propagating().read(list({ Accept: '*/*' })), null);
});

test('a context of another format is overridden and linked', () => {
  const worker = showing();
  for (const own of [sentry, b3]) {
    const headers = left(worker, request({ requestHeaders: list({ A: '1', ...own }) }));
    assert.deepEqual(Object.keys(headers), ['A', 'traceparent']);
    assert.equal(parseTraceparent(headers.traceparent)?.traceId, SESSION.traceId);
    assert.deepEqual(worker.told()?.slice(1), [worker.context?.spanId, undefined, { link: FOREIGN }]);
  }
  const unreadable = left(worker, request({ requestHeaders: list({ sw8: '1', 'x-datadog-origin': 'rum', b3: '0' }) }));
  assert.deepEqual(Object.keys(unreadable), ['traceparent']);
  assert.deepEqual(worker.told()?.[3], undefined);
});

test('with keep a context of another format stays and is linked, and ours is not added', () => {
  const worker = showing({ existing: 'keep', baggage: 'a=1' });
  for (const own of [sentry, b3]) {
    assert.deepEqual(worker.fire(INJECT, request({ requestHeaders: list({ A: '1', ...own, baggage: `sentry-trace_id=${FOREIGN.traceId}` }) })), {});
    assert.deepEqual(worker.told()?.slice(1), [worker.context?.spanId, undefined, { link: FOREIGN }]);
  }
  const unreadable = { sw8: '1', 'x-datadog-origin': 'rum' };
  const { traceparent: ours, baggage, ...others } = left(worker, request({ requestHeaders: list(unreadable) }));
  assert.deepEqual([others, parseTraceparent(ours)?.traceId, baggage], [unreadable, SESSION.traceId, 'a=1'], 'what names no trace stays beside ours');
});

test('a context of the same trace stays, and is the caller', () => {
  for (const existing of /** @type {const} */ (['override', 'keep'])) {
    const worker = showing({ existing });
    const joined = sentryOf({ ...FOREIGN, traceId: SESSION.traceId });
    const headers = left(worker, request({ requestHeaders: list({ ...joined, baggage: `sentry-trace_id=${SESSION.traceId}` }) }));
    assert.deepEqual(Object.keys(headers), ['Sentry-Trace', 'baggage', 'traceparent']);
    assert.deepEqual(worker.told()?.[3], { caller: FOREIGN.spanId });
  }
});

test('a page that joins our trace may have a context of another one', () => {
  for (const existing of /** @type {const} */ (['override', 'keep'])) {
    const worker = showing({ existing });
    const own = { traceId: SESSION.traceId, spanId: 'e'.repeat(16) };
    const headers = left(worker, request({ requestHeaders: list({ ...sentry, traceparent: traceparent(own) }) }));
    assert.deepEqual(Object.keys(headers).sort(), existing === 'keep' ? ['Sentry-Trace', 'traceparent'] : ['traceparent']);
    assert.notEqual(headers.traceparent, traceparent(own));
    assert.deepEqual(worker.told()?.[3], { caller: own.spanId, link: FOREIGN });
  }
});

test('requests that get no headers keep all of theirs', () => {
  const own = { ...sentry, ...b3, baggage: `sentry-trace_id=${FOREIGN.traceId}` };
  const worker = showing(TARGETS);
  assert.deepEqual(worker.fire(INJECT, request({ url: ELSEWHERE, requestHeaders: list(own) })), {});
  const off = showing({}, { 'sec-ch-navtrace': 'off' });
  assert.deepEqual(left(off, request({ requestHeaders: list(own) })), own);
});

test("a client's context of another format is adopted", () => {
  for (const existing of /** @type {const} */ (['override', 'keep'])) {
    const theirs = sentryOf(CLIENT);
    const worker = showing({ existing }, theirs);
    assert.equal(worker.tabs.current(TAB)?.trace?.traceId, CLIENT.traceId);
    const headers = left(worker, request({ requestHeaders: list(theirs) }));
    assert.equal(headers['Sentry-Trace'], theirs['Sentry-Trace'], 'it contradicts ours no longer');
    assert.equal(parseTraceparent(headers.traceparent)?.traceId, CLIENT.traceId);
    assert.equal(worker.told()?.[3], undefined);
    left(worker, navigation({ requestId: '5', requestHeaders: list({ 'x-cloud-trace-context': FOREIGN.traceId }) }));
    assert.equal(worker.tabs.navigation(TAB, '5')?.trace?.traceId, CLIENT.traceId, 'without a span there is none to continue');
  }
});

test("Sentry's part of another trace's baggage is removed", async (t) => {
  const theirs = `sentry-trace_id=${FOREIGN.traceId}`;
  /** @type {[before: string, after: string][]} */
  const cases = [
    [theirs, ''],
    [`a=1,${theirs},sentry-release=1 ,b=2;p`, 'a=1,b=2;p'],
    [`sentry-release=1, ${theirs} , a=sentry-trace_id=1`, ' a=sentry-trace_id=1'],
    [`a=1,sentry-trace_id=${SESSION.traceId},sentry-release=1`, `a=1,sentry-trace_id=${SESSION.traceId},sentry-release=1`],
    [`sentry-trace_id=${SESSION.traceId.toUpperCase()}`, `sentry-trace_id=${SESSION.traceId.toUpperCase()}`],
    ['sentry-release=1', 'sentry-release=1'],
    [`a-${theirs}`, `a-${theirs}`],
    ['', ''],
  ];
  for (const [before, after] of cases) await t.test(before, () => assert.equal(withoutSentry(before, SESSION.traceId), after));

  /** @type {[settings: Partial<PropagationSettings>, own: string, expected: string | undefined][]} */
  const requests = [
    [{}, `${theirs},a=1`, 'a=1'],
    [{}, theirs, undefined],
    [{ baggage: 'b=2' }, `${theirs},a=1`, 'a=1,b=2'],
    [{ baggage: 'b=2' }, theirs, 'b=2'],
    [{ propagators: ['b3'] }, `${theirs},a=1`, 'a=1'],
  ];
  for (const [settings, own, expected] of requests) {
    const worker = showing(settings);
    assert.equal(left(worker, request({ requestHeaders: list({ baggage: own }) })).baggage, expected, own);
  }
});

test('the state of the same trace follows ours, within the limits', async (t) => {
  const many = (/** @type {string} */ key, /** @type {number} */ count) => Array.from({ length: count }, (_, n) => `${key}${n}=v`);
  const large = `l=${'x'.repeat(200)}`;
  /** @type {[theirs: string, ours: string, merged: string][]} */
  const cases = [
    ['', 'a=1', 'a=1'],
    ['b=2', '', 'b=2'],
    ['b=2,c=3', 'a=1', 'a=1,b=2,c=3'],
    ['b=2,a=3', 'a=1', 'a=1,b=2'],
    [many('b', 32).join(), 'a=1', ['a=1', ...many('b', 31)].join()],
    [`${large},${`m${large}`},b=1`, `n${large}`, `n${large},${large},b=1`],
  ];
  for (const [theirs, ours, merged] of cases) await t.test(theirs.slice(0, 40), () => assert.equal(mergeTracestate(theirs, ours), merged));

  const own = { traceId: SESSION.traceId, spanId: 'e'.repeat(16) };
  const worker = showing({ tracestate: 'ours=1' });
  const headers = (/** @type {{ traceId: string, spanId: string }} */ context) =>
    left(worker, request({ requestHeaders: list({ traceparent: traceparent(context), tracestate: 'theirs=2' }) }));
  assert.equal(headers(own).tracestate, 'ours=1,theirs=2');
  assert.equal(headers(FOREIGN).tracestate, 'ours=1', 'of another trace');
});

test('rules remove other formats from all requests that get a context', () => {
  const own = { ...sentry, ...b3, 'x-datadog-trace-id': '1' };
  for (const type of ['main_frame', 'script']) {
    for (const tabId of [-1, 7, 99]) {
      const details = { type, tabId, url: 'https://shop.test/' };
      assert.deepEqual(Object.keys(under(rulesOf({}))(details, own)), ['traceparent']);
      assert.deepEqual(Object.keys(under(rulesOf({ existing: 'keep' }))(details, own)), [...Object.keys(own), 'traceparent']);
      assert.deepEqual(under(rulesOf({ targets: ['^https://bank'] }))(details, own), own, 'no target');
      assert.deepEqual(under(rulesOf({ propagators: [] }))(details, own), own, 'no context');
      assert.deepEqual(Object.keys(under(rulesOf({ propagators: ['b3'] }))(details, own)), ['b3']);
    }
  }
  // In detailed mode, those that the listener may not be asked about.
  const ruled = under(detailedRulesOf({}, { needsRules: (tabId) => tabId === 7 || tabId === -1 }));
  for (const [tabId, type] of /** @type {const} */ ([[-1, 'xmlhttprequest'], [7, 'script'], [7, 'main_frame']])) {
    assert.deepEqual(Object.keys(ruled({ tabId, type }, own)), ['traceparent']);
  }
  assert.deepEqual(ruled({ tabId: 8, type: 'script' }, own), own);
  const calls = under(detailedRulesOf(CALLS, { roots: new Map([[8, { ...SESSION, trace: { ...FOREIGN, flags: '01', tracestate: '' } }]]) }));
  for (const tabId of [7, 8, -1]) assert.deepEqual(Object.keys(calls({ tabId, type: 'script' }, own)), ['traceparent']);
});
