import assert from 'node:assert/strict';
import { test } from 'node:test';

import { choiceOf, exporterOf, hintsOf, linkTo, linkedTrace, percent, problemsOf, readPatterns, readPercent, stateOf, tabNote } from '../../extension/popup/text.js';
import { axis, cut, duration, kindOf, rowsOf, shortAddress, statusOf } from '../../extension/popup/waterfall.js';
import { MISSING, NAVIGATION, OTHER_TRACE, REQUEST, TRACE, VIEW } from './support/views.js';

/** @import { RequestView, View } from '../../extension/pages/messages.js' */

// The same cases as in src/view/link.rs, where times have nanoseconds.
for (const [template, address] of /** @type {[string | null, string | null][]} */ ([
  ['http://localhost:16686/trace/{trace_id}', `http://localhost:16686/trace/${TRACE}`],
  ['https://t.test/?t={trace_id}&s={span_id}&from={start_s}&to={end_s}', `https://t.test/?t=${TRACE}&s=00f067aa0ba902b7&from=1700000000&to=1700000002`],
  ['https://t.test/{start_ms}/{end_ms}/{trace_id}/{trace_id}', `https://t.test/1700000000000/1700000001001/${TRACE}/${TRACE}`],
  ['https://t.test/{unknown}/{trace_id}', `https://t.test/{unknown}/${TRACE}`],
  ["javascript:alert('{trace_id}')", null],
  ['file:///{trace_id}', null],
  ['{trace_id}', null],
  [null, null],
])) {
  test(`link: ${String(template).slice(0, 50)}`, () => {
    const trace = { traceId: TRACE, spanId: '00f067aa0ba902b7', start: 1_700_000_000_000.25, end: 1_700_000_001_000.25 };
    assert.equal(linkTo(template, trace), address);
  });
}

test('placeholders in values are not filled in', () => {
  assert.equal(linkTo('https://t.test/{trace_id}', { traceId: '{span_id}', spanId: 'x', start: 0, end: 0 }), 'https://t.test/{span_id}');
});

test('the link leads to the trace of the tab or the session', () => {
  assert.deepEqual(linkedTrace(VIEW, 5000), { traceId: TRACE, spanId: '00f067aa0ba902b7', start: 1000, end: 5000 });
  const navigations = [
    { ...NAVIGATION, spanId: 'c', traceId: OTHER_TRACE, started: 3000 },
    { ...NAVIGATION, spanId: 'b', traceId: OTHER_TRACE, started: 2000 },
    { ...NAVIGATION, spanId: 'a', started: 1500 },
  ];
  const tab = { id: 1, traced: true, traceId: OTHER_TRACE, sampled: true, navigations };
  assert.deepEqual(linkedTrace({ ...VIEW, tab }, 5000), { traceId: OTHER_TRACE, spanId: 'b', start: 2000, end: 5000 });
  assert.deepEqual(linkedTrace({ ...VIEW, tab: { ...tab, navigations: [] } }, 5000), { traceId: OTHER_TRACE, spanId: '', start: 1000, end: 5000 });
});

for (const [what, more, word, kind] of /** @type {[string, Partial<View>, string, string][]} */ ([
  ['detailed mode', {}, 'Tracing', 'tracing'],
  ['lightweight mode', { mode: 'lightweight' }, 'Tracing', 'tracing'],
  ['no headers yet', { mode: null }, 'Starting', 'starting'],
  ['a host that is starting', { host: { state: 'starting', version: null, reason: null } }, 'Starting', 'starting'],
  ['no host', { host: MISSING }, 'No host', 'degraded'],
  ['no host and paused', { host: MISSING, paused: true }, 'Paused', 'paused'],
  ['a collector that is down', { exporter: { endpoint: 'x', exported: 0, kept: 1, dropped: 0, problem: 'down' } }, 'Not exported', 'degraded'],
  ['no exporter', { exporter: { endpoint: null, exported: 0, kept: 0, dropped: 0, problem: null } }, 'Tracing', 'tracing'],
])) {
  test(`shows the state for ${what}`, () => {
    const state = stateOf({ ...VIEW, ...more });
    assert.deepEqual([state.word, state.kind], [word, kind]);
  });
}

test('the state is starting until the worker answers', () => assert.equal(stateOf(null).kind, 'starting'));

test('each mode has its own sentence', () => {
  assert.notEqual(stateOf(VIEW).sentence, stateOf({ ...VIEW, mode: 'lightweight' }).sentence);
});

for (const [what, more, notes] of /** @type {[string, Partial<View>, [RegExp, string, string | null][]][]} */ ([
  ['no problem', {}, []],
  ['no host', { host: MISSING }, [[/^Run `navtrace install`/, 'The browser says: not found', 'reconnect']]],
  ['no host while paused', { host: MISSING, paused: true }, [[/nothing is exported\. Run `navtrace install`/, 'The browser says: not found', 'reconnect']]],
  ['another version', { host: { state: 'connected', version: '0.2.0', reason: null } }, [[/0\.2\.0.*0\.1\.0.*reload/, '', 'reload']]],
  ['a mode that is not allowed', { wantedMode: 'detailed', mode: 'lightweight' }, [[/does not allow it/, '', null]]],
  ['auto without a grant', { wantedMode: 'auto', mode: 'lightweight' }, []],
  ['unsent spans that are kept', { exporter: { endpoint: 'x', exported: 0, kept: 1, dropped: 0, problem: 'down' } }, [[/can't be sent.*sent later/, 'down', null]]],
  ['unsent spans that are not kept', { exporter: { endpoint: 'x', exported: 0, kept: 0, dropped: 0, problem: 'down' } }, [[/can't be sent\.$/, 'down', null]]],
])) {
  test(`hints: ${what}`, () => {
    const told = hintsOf({ ...VIEW, ...more });
    assert.equal(told.length, notes.length);
    for (const [place, [text, small, action]] of notes.entries()) {
      assert.match(told[place]?.text ?? '', text);
      assert.deepEqual([told[place]?.small, told[place]?.action], [small, action]);
    }
  });
}

test('shows where spans are sent and how many', () => {
  assert.deepEqual(exporterOf(VIEW), { endpoint: 'http://localhost:4318/v1/traces', counts: '1,234 exported' });
  const exporter = { endpoint: 'x', exported: 1, kept: 2, dropped: 3, problem: null };
  assert.equal(exporterOf({ ...VIEW, exporter })?.counts, '1 exported, 2 kept, 3 dropped');
  assert.equal(exporterOf({ ...VIEW, host: MISSING }), null);
});

test('the note on a tab says why it is not traced as usual', () => {
  const tab = { id: 1, traced: true, traceId: TRACE, sampled: true, navigations: [] };
  assert.equal(tabNote({ ...VIEW, tab }), '');
  assert.match(tabNote({ ...VIEW, tab: { ...tab, traced: false } }), /not a target/);
  assert.equal(tabNote({ ...VIEW, paused: true, tab: { ...tab, traced: false } }), '');
  assert.equal(tabNote({ ...VIEW, mode: null, tab: { ...tab, traced: false } }), '');
  assert.match(tabNote({ ...VIEW, tab: { ...tab, sampled: false } }), /^Not sampled/);
  assert.match(tabNote(VIEW), /this tab/);
});

test('ratios are shown and typed as percentages', () => {
  assert.deepEqual([1, 0.1, 0.01, 0.025, 1 / 3, 0, 0.07].map(percent), ['100%', '10%', '1%', '2.5%', '33.3333%', '0%', '7%']);
  assert.deepEqual(['100', ' 2.5 % ', '.5', '0', '5.'].map(readPercent), [1, 0.025, 0.005, 0, 0.05]);
  assert.deepEqual(['', '101', '-1', '1e1', 'x', '0x10', '1,5', '%', '100.1'].map(readPercent), Array(9).fill(null));
});

test('match patterns are separated by lines', () => {
  assert.deepEqual(readPatterns(' https://a.test/* \r\n\n*://b.test/*'), ['https://a.test/*', '*://b.test/*']);
  assert.deepEqual(readPatterns(' \n '), []);
});

test('the choices are summed up in a few words', () => {
  assert.equal(choiceOf(VIEW), '100%, all addresses');
  assert.equal(choiceOf({ ...VIEW, chosen: { ratio: 0.05, targets: ['https://a.test/*'], resources: null } }), '5%, 1 target');
  assert.equal(choiceOf({ ...VIEW, chosen: { ...VIEW.chosen, resources: ['calls'] } }), '100%, all addresses, calls only');
  const configured = { ...VIEW.configured, resources: ['calls', 'image'] };
  assert.equal(choiceOf({ ...VIEW, configured }), '100%, all addresses, calls, image');
  assert.equal(choiceOf({ ...VIEW, configured, chosen: { ...VIEW.chosen, resources: ['all'] } }), '100%, all addresses');
});

test('the latest problem is separated from the earlier ones', () => {
  assert.deepEqual(problemsOf(['a', 'b', 'c']), { latest: ['c'], earlier: ['b', 'a'] });
  assert.deepEqual(problemsOf([]), { latest: [], earlier: [] });
});

test('the axis ends with the last request or the navigation', () => {
  assert.deepEqual(axis(NAVIGATION, 9000), { from: 1000, length: 200 });
  assert.deepEqual(axis({ ...NAVIGATION, requests: [{ ...REQUEST, ended: 1500 }] }, 9000), { from: 1000, length: 500 });
  assert.deepEqual(axis({ ...NAVIGATION, requests: [{ ...REQUEST, ended: null }] }, 9000), { from: 1000, length: 8000 });
  assert.deepEqual(axis({ ...NAVIGATION, ended: null }, 1000), { from: 1000, length: 1 });
  // The axis of a navigation under way grows with its requests.
  assert.deepEqual(axis({ ...NAVIGATION, ended: null, requests: [REQUEST] }, 9000), { from: 1000, length: 100 });
});

test('bars show when requests ran, and all are visible', () => {
  const requests = [
    { ...REQUEST, started: 1000, ended: 1050 },
    { ...REQUEST, started: 1100, ended: 1200 },
    { ...REQUEST, started: 1200, ended: 1200 },
    { ...REQUEST, started: 900, ended: 950 },
    { ...REQUEST, started: 1100, ended: null },
  ];
  const bars = rowsOf({ ...NAVIGATION, requests }, 1200).map(({ from, length }) => [from, length]);
  assert.deepEqual(bars, [[0, 25], [50, 50], [98.5, 1.5], [0, 1.5], [50, 50]]);
  for (const [from = 0, length = 0] of bars) assert.ok(from >= 0 && from + length <= 100);
});

test('a row has the same content for screen readers', () => {
  /** @param {Partial<RequestView>} more */
  const row = (more) => {
    const [found] = rowsOf({ ...NAVIGATION, requests: [{ ...REQUEST, ...more }] }, 1200);
    assert.ok(found);
    return [found.name, found.status, found.time, found.kind, found.spoken];
  };
  assert.deepEqual(row({}), ['/a?b=c', '200', '100 ms', 'ok', 'GET /a?b=c, status 200, 100 ms, starts at 0 ms']);
  assert.deepEqual(row({ fromCache: true }), ['/a?b=c', '200', 'cache', 'cache', 'GET /a?b=c, status 200, from the cache, starts at 0 ms']);
  assert.deepEqual(row({ method: 'POST', status: 404 }), ['POST /a?b=c', '404', '100 ms', 'error', 'POST /a?b=c, failed: 404, 100 ms, starts at 0 ms']);
  assert.deepEqual(row({ status: null, error: 'net::ERR_FAILED', end: 'failed' }), ['/a?b=c', 'failed', '100 ms', 'error', 'GET /a?b=c, failed: net::ERR_FAILED, 100 ms, starts at 0 ms']);
  assert.deepEqual(row({ status: null, error: 'net::ERR_ABORTED', end: 'cancelled' }), ['/a?b=c', 'cancelled', '100 ms', 'stopped', 'GET /a?b=c, cancelled, 100 ms, starts at 0 ms']);
  assert.deepEqual(row({ status: null, ended: null, started: 1050 }), ['/a?b=c', '', '…', 'open', 'GET /a?b=c, no answer yet, starts at 50 ms']);
  assert.deepEqual(row({ status: null }), ['/a?b=c', '', '100 ms', 'ok', 'GET /a?b=c, no status, 100 ms, starts at 0 ms']);
});

test('kind and status of requests and navigations', () => {
  /** @type {Pick<RequestView, 'status' | 'end' | 'ended'>} */
  const ended = { status: 200, end: null, ended: 1 };
  assert.equal(kindOf(ended), 'ok');
  assert.equal(kindOf({ ...ended, fromCache: true }), 'cache');
  assert.equal(kindOf({ ...ended, ended: null }), 'open');
  assert.equal(kindOf({ ...ended, status: 500, ended: null }), 'error');
  assert.equal(kindOf({ ...ended, end: 'failed' }), 'error');
  assert.equal(kindOf({ ...ended, end: 'cancelled' }), 'stopped');
  assert.equal(statusOf({ status: 500, end: 'failed' }), '500');
  assert.equal(statusOf({ status: 200, end: 'failed' }), 'failed');
  assert.equal(statusOf({ status: null, end: 'blocked' }), 'blocked');
});

test('addresses are shortened but stay clear', () => {
  assert.equal(shortAddress('https://shop.test/a?b#c', 'https://shop.test'), '/a?b');
  assert.equal(shortAddress('https://shop.test:8443/a', 'https://shop.test'), 'shop.test:8443/a');
  assert.equal(shortAddress('data:text/plain,x'), 'data:text/plain,x');
  assert.equal(shortAddress('nonsense'), 'nonsense');
  assert.equal(cut('abcdefghij', 10), 'abcdefghij');
  assert.equal(cut('abcdefghijk', 10), 'abc…fghijk');
  assert.equal(cut('😀'.repeat(11), 10), `${'😀'.repeat(3)}…${'😀'.repeat(6)}`);
});

test('durations have at most three digits', () => {
  const said = [0, 0.04, 1.25, 9.94, 9.96, 99.5, 999.4, 999.6, 1234, 9996, 12_345, 59_960, 150_000].map(duration);
  assert.deepEqual(said, ['0 ms', '0 ms', '1.3 ms', '9.9 ms', '10 ms', '100 ms', '999 ms', '1 s', '1.23 s', '10 s', '12.3 s', '1 min', '3 min']);
});
