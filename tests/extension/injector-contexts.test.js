import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { CLIENT, ELSEWHERE, FOREIGN, INJECT, PAGE, SESSION, TAB, TARGETS, contextIn, left, list, navigation, request, response, showing, traceparent, working } from './support/injector.js';
import { parseTraceparent } from './support/traceparent.js';

/** @import { PropagationSettings } from '../../extension/context/propagation.js' */

beforeEach(() => {
  mock.reset();
  mock.timers.reset();
});

test("a span of the page's own trace is the request's caller", () => {
  const worker = showing();
  const own = { traceId: SESSION.traceId, spanId: 'e'.repeat(16) };
  const headers = left(worker, request({ requestHeaders: list({ Traceparent: traceparent(own, '00'), tracestate: 'x=1' }) }));
  const { spanId, flags } = contextIn(list({ traceparent: headers.traceparent ?? '' }));
  assert.equal(headers.tracestate, 'x=1', 'the state of the same trace stays');
  assert.equal(flags, '01', 'as was decided for the navigation');
  assert.deepEqual(worker.told(), [spanId, worker.context?.spanId, undefined, { caller: own.spanId }]);
});

test('a foreign context is overridden and linked', () => {
  const worker = showing();
  const headers = left(worker, request({ requestHeaders: list({ tracestate: 'x=1', traceparent: traceparent(FOREIGN), A: '1' }) }));
  const { traceId, spanId } = contextIn(list({ traceparent: headers.traceparent ?? '' }));
  assert.deepEqual(Object.keys(headers), ['A', 'traceparent']);
  assert.equal(traceId, SESSION.traceId);
  assert.deepEqual(worker.told(), [spanId, worker.context?.spanId, undefined, { link: FOREIGN }]);
});

test('a foreign context that is kept is linked', () => {
  const worker = showing({ existing: 'keep' });
  const headers = { tracestate: 'x=1', traceparent: traceparent(FOREIGN), A: '1' };
  assert.deepEqual(worker.fire(INJECT, request({ requestHeaders: list(headers) })), {});
  const [, parent, stray, origin] = worker.told() ?? [];
  assert.deepEqual([parent, stray, origin], [worker.context?.spanId, undefined, { link: FOREIGN }]);
  assert.deepEqual(left(worker, request({ requestHeaders: list({ ...headers, 'sec-ch-navtrace': 'off' }) })), headers, 'but for what steers');
  const own = { traceId: SESSION.traceId, spanId: 'e'.repeat(16) };
  assert.notEqual(left(worker, request({ requestHeaders: list({ traceparent: traceparent(own) }) })).traceparent, traceparent(own));
  assert.deepEqual(worker.told()?.[3], { caller: own.spanId }, 'one of the same trace is not foreign');
});

for (const existing of /** @type {const} */ (['override', 'keep'])) {
  test(`a client's context is adopted and no caller, with ${existing}`, () => {
    const headers = { traceparent: traceparent(CLIENT), tracestate: 'x=1' };
    const worker = showing({ existing }, headers);
    const { observed, context, told } = worker;
    const carried = contextIn(list({ traceparent: worker.carried.traceparent ?? '' }));
    assert.equal(carried.traceId, CLIENT.traceId);
    assert.equal(worker.carried.tracestate, 'x=1');
    assert.deepEqual(told(), [carried.spanId, context?.spanId, undefined, undefined]);
    const issued = observed.filter(({ spanId }) => [CLIENT.spanId, context?.spanId].includes(spanId));
    assert.deepEqual(issued.map(({ issuedFor, traceId, parent }) => [issuedFor, traceId, parent]), [
      ['client', CLIENT.traceId, undefined],
      ['navigation', CLIENT.traceId, CLIENT.spanId],
    ]);
    for (const requestHeaders of [list(headers), []]) {
      const sub = left(worker, request({ requestId: '2', requestHeaders }));
      assert.equal(parseTraceparent(sub.traceparent)?.traceId, CLIENT.traceId);
      assert.notEqual(parseTraceparent(sub.traceparent)?.spanId, CLIENT.spanId);
      assert.equal(sub.tracestate, 'x=1');
      assert.deepEqual(told()?.slice(1), [context?.spanId, undefined, undefined]);
    }
    assert.deepEqual(worker.named(response({ requestId: '0' })).map(({ value }) => value?.includes(CLIENT.traceId)), [true]);
  });
}

test('a page joins the trace of its client as a caller', () => {
  const worker = showing({}, { traceparent: traceparent(CLIENT) });
  const own = { ...CLIENT, spanId: 'e'.repeat(16) };
  left(worker, request({ requestHeaders: list({ traceparent: traceparent(own) }) }));
  assert.deepEqual(worker.told()?.slice(1), [worker.context?.spanId, undefined, { caller: own.spanId }]);
  left(worker, request({ requestHeaders: list({ traceparent: traceparent({ ...own, traceId: SESSION.traceId }) }) }));
  assert.deepEqual(worker.told()?.[3], { link: { traceId: SESSION.traceId, spanId: own.spanId } }, "the session's is another trace here");
});

test('the hops of a redirect adopt nothing again', () => {
  const worker = working();
  const headers = () => list({ traceparent: traceparent(CLIENT), baggage: 'k=v' });
  const first = left(worker, navigation({ requestHeaders: headers() }));
  const context = worker.tabs.navigation(TAB, '1');
  const { length } = worker.observed;
  const hops = [headers(), list({ traceparent: traceparent(FOREIGN), 'sec-ch-navtrace': 'off' }), []].map((requestHeaders) =>
    left(worker, navigation({ requestHeaders })),
  );
  for (const hop of [first, ...hops]) {
    assert.equal(parseTraceparent(hop.traceparent)?.traceId, CLIENT.traceId);
    assert.equal(hop.baggage, 'k=v');
    assert.deepEqual(worker.told()?.slice(1), [context?.spanId, undefined, undefined]);
  }
  assert.equal(worker.observed.length, length);
});

/** @type {[propagators: PropagationSettings['propagators'], fields: string[]][]} */
const FORMATS = [
  [['b3'], ['b3']],
  [['jaeger'], ['uber-trace-id']],
  [['b3multi'], ['x-b3-traceid', 'x-b3-spanid', 'x-b3-sampled']],
  [['tracecontext', 'b3', 'jaeger'], ['traceparent', 'b3', 'uber-trace-id']],
];
for (const [propagators, fields] of FORMATS) {
  test(`contexts go and come as ${propagators.join(', ')}`, () => {
    const worker = showing({ propagators });
    const { propagation } = worker.session;
    const carrying = (/** @type {{ traceId: string, spanId: string }} */ context) =>
      propagation.inject({ ...context, flags: '01' }).flatMap(([name, value]) => (value === null ? [] : [{ name: name.toUpperCase(), value }]));
    for (const [context, origin] of /** @type {const} */ ([
      [FOREIGN, { link: FOREIGN }],
      [{ ...FOREIGN, traceId: SESSION.traceId }, { caller: FOREIGN.spanId }],
    ])) {
      const stale = propagators.includes('b3multi') ? list({ 'X-B3-ParentSpanId': 'e'.repeat(16), 'X-B3-Flags': '1' }) : [];
      const headers = left(worker, request({ requestHeaders: [...carrying(context), ...stale] }));
      assert.deepEqual(Object.keys(headers), fields);
      const [spanId, parent, , said] = worker.told() ?? [];
      const read = propagation.extract(list(/** @type {Record<string, string>} */ (headers)));
      assert.deepEqual([read?.traceId, read?.spanId], [SESSION.traceId, spanId]);
      for (const value of Object.values(headers)) assert.ok(!value?.includes(FOREIGN.traceId));
      assert.deepEqual([parent, said], [worker.context?.spanId, origin]);
    }
    left(worker, navigation({ requestId: '5', requestHeaders: carrying(CLIENT) }));
    assert.equal(worker.tabs.navigation(TAB, '5')?.trace?.traceId, CLIENT.traceId, 'a navigation adopts it');
  });
}

test('a steered page carries none of the configured formats', () => {
  const worker = showing({}, { 'sec-ch-navtrace': 'propagator=b3,jaeger', traceparent: traceparent(CLIENT), tracestate: 'x=1' });
  assert.deepEqual(Object.keys(worker.carried), ['b3', 'uber-trace-id']);
  assert.ok(worker.carried.b3?.startsWith(CLIENT.traceId));
  const sub = left(worker, request({ requestHeaders: list({ traceparent: traceparent(FOREIGN) }) }));
  assert.deepEqual(Object.keys(sub), ['b3', 'uber-trace-id']);
  const next = left(worker, navigation({ requestId: '5' }));
  assert.deepEqual(Object.keys(next), ['traceparent', 'tracestate'], 'the next navigation is not steered');
});

test('without propagators requests are still observed', () => {
  const worker = showing({ propagators: [] });
  assert.deepEqual(left(worker, request({ requestHeaders: list({ traceparent: traceparent(FOREIGN) }) })), { traceparent: traceparent(FOREIGN) });
  assert.deepEqual(worker.told()?.slice(1), [worker.context?.spanId, undefined, undefined]);
});

for (const [what, theirs, expected] of /** @type {[string, string, string][]} */ ([
  ['a page of its own', 'b=3,c=4', 'b=3,c=4,a=1'],
  ['none', '', 'a=1,b=2'],
  ['an invalid list', ';', 'a=1,b=2'],
])) {
  test(`baggage of ${what} is joined by the session's`, () => {
    const worker = showing({ baggage: 'a=1,b=2' });
    assert.equal(worker.carried.baggage, 'a=1,b=2');
    const headers = left(worker, request({ requestHeaders: theirs === '' ? [] : list({ Baggage: theirs }) }));
    assert.deepEqual(Object.keys(headers).map((name) => name.toLowerCase()).sort(), ['baggage', 'traceparent']);
    assert.equal(headers.baggage, expected);
  });
}

test('an untraced request is left as it is and not observed', () => {
  const worker = showing(TARGETS);
  const { length } = worker.started.mock.calls;
  const own = { traceparent: traceparent(FOREIGN), tracestate: 'x=1', baggage: 'k=v' };
  for (const details of [request({ url: ELSEWHERE }), request({ url: ELSEWHERE, tabId: -1 }), request({ url: ELSEWHERE, type: 'sub_frame' })]) {
    assert.deepEqual(worker.fire(INJECT, details), {});
    assert.deepEqual(worker.fire(INJECT, { ...details, requestHeaders: list(own) }), {}, "the page's own headers stay");
  }
  assert.equal(worker.started.mock.callCount(), length);
  assert.equal(worker.ignore.mock.callCount(), 0);
});

for (const page of [PAGE, ELSEWHERE]) {
  test(`client headers of ${page} go to targets`, () => {
    const theirs = { traceparent: traceparent(CLIENT), tracestate: 'x=1', baggage: 'k=v' };
    const worker = showing(TARGETS, theirs, page);
    const { length } = worker.started.mock.calls;
    assert.deepEqual(left(worker, request({ url: ELSEWHERE, requestHeaders: list({ ...theirs, A: '1' }) })), { A: '1' });
    assert.deepEqual(left(worker, navigation({ requestId: '5', url: ELSEWHERE, requestHeaders: list({ ...theirs, A: '1' }) })), { A: '1' });
    const own = { traceparent: traceparent(FOREIGN), tracestate: 'y=1', baggage: 'l=w' };
    assert.deepEqual(left(worker, request({ url: ELSEWHERE, requestHeaders: list(own) })), own, "the page's own stay");
    assert.equal(worker.started.mock.callCount(), length);
    const sub = left(worker, request({ requestId: '6', requestHeaders: list(theirs) }));
    assert.equal(parseTraceparent(sub.traceparent)?.traceId, CLIENT.traceId);
    assert.equal(sub.baggage, 'k=v');
    const parent = page === PAGE ? worker.context?.spanId : CLIENT.spanId;
    assert.deepEqual(worker.told()?.slice(1), [parent, undefined, undefined]);
  });
}

test('an untraced navigation begins none and names none', () => {
  const { fire, named, begin, started } = working(TARGETS);
  assert.deepEqual(fire(INJECT, navigation({ url: ELSEWHERE })), {});
  assert.deepEqual(named(response({ url: ELSEWHERE })), []);
  assert.equal(begin.mock.callCount() + started.mock.callCount(), 0);
});

test('a redirect over an untraced hop is one navigation', () => {
  const worker = working(TARGETS);
  const theirs = { traceparent: traceparent(CLIENT) };
  const first = left(worker, navigation({ requestHeaders: list(theirs) }));
  const context = worker.tabs.navigation(TAB, '1');
  assert.deepEqual(left(worker, navigation({ url: ELSEWHERE, requestHeaders: list(theirs) })), {});
  assert.deepEqual(left(worker, navigation({ url: ELSEWHERE, requestHeaders: list({ traceparent: first.traceparent ?? '' }) })), {});
  assert.deepEqual(worker.named(response({ url: ELSEWHERE })), []);
  left(worker, navigation({ requestHeaders: list(theirs) }));
  assert.equal(worker.told()?.[1], context?.spanId);
  assert.equal(worker.started.mock.callCount(), 2);
});

test("an untraced page's requests are below the session's root", () => {
  const worker = showing(TARGETS, {}, ELSEWHERE);
  assert.equal(worker.context, undefined);
  const { spanId, traceId } = contextIn(worker.inject(request()));
  assert.equal(traceId, SESSION.traceId);
  assert.deepEqual(worker.told(), [spanId, undefined, undefined, undefined]);
});

test('a page steered off has no headers and is not observed', () => {
  for (const existing of /** @type {const} */ (['override', 'keep'])) {
    const worker = showing({ existing }, { 'sec-ch-navtrace': 'off', A: '1' });
    assert.deepEqual(worker.carried, { A: '1' });
    assert.deepEqual(worker.named(response({ requestId: '0' })), [], 'in its response');
    const own = { traceparent: traceparent(FOREIGN), tracestate: 'x=1' };
    assert.deepEqual(left(worker, request({ requestId: '2', requestHeaders: list(own) })), own);
    assert.deepEqual(worker.fire(INJECT, request({ requestId: '3' })), {});
    assert.equal(worker.started.mock.callCount(), 0);
    assert.deepEqual(worker.ignore.mock.calls.map(({ arguments: [requestId] }) => requestId), ['0', '2', '3']);
    assert.ok(left(worker, navigation({ requestId: '4' })).traceparent, 'the next one is not');
    assert.equal(worker.started.mock.callCount(), 1);
  }
});

test('an untraced page steered off sends no headers to targets', () => {
  const worker = showing(TARGETS, { 'sec-ch-navtrace': 'off' }, ELSEWHERE);
  assert.deepEqual(worker.fire(INJECT, request()), {});
  assert.equal(worker.started.mock.callCount(), 0);
});

for (const scope of /** @type {const} */ (['tab', 'navigation'])) {
  test(`in scope ${scope} a page's requests stay in its trace`, () => {
    const worker = showing({ scope });
    const { traceId } = worker.context?.trace ?? {};
    assert.ok(traceId);
    assert.notEqual(traceId, SESSION.traceId);
    assert.equal(parseTraceparent(worker.carried.traceparent)?.traceId, traceId);
    const next = contextIn(worker.inject(navigation({ requestId: '5' })));
    assert.equal(next.traceId === traceId, scope === 'tab');
    worker.tabs.responded(TAB, '5', PAGE);
    assert.equal(contextIn(worker.inject(request({ requestId: '6' }))).traceId, traceId, 'the document that is still there');
    assert.equal(contextIn(worker.inject(request({ requestId: '7', documentId: 'new' }))).traceId, next.traceId);
    assert.deepEqual(worker.told()?.slice(1), [worker.tabs.navigation(TAB, '5')?.spanId, undefined, undefined]);
    assert.equal(worker.named(response({ requestId: '5' }))[0]?.value?.includes(next.traceId), true);
  });
}

test('no two navigations share a context, whatever scripts ask', () => {
  for (const scope of /** @type {const} */ (['session', 'tab', 'navigation'])) {
    const worker = working({ scope, ...TARGETS });
    const spans = [];
    for (let n = 0; n < 60; n += 1) {
      const said = [{}, { traceparent: traceparent(CLIENT) }, { 'sec-ch-navtrace': 'new-trace' }, { 'sec-ch-navtrace': 'off' }, { 'sec-ch-navtrace': 'sampling=0' }][n % 5] ?? {};
      const requestId = String(n);
      const url = n % 7 === 0 ? ELSEWHERE : PAGE;
      const tabId = TAB + (n % 3) * 500;
      left(worker, navigation({ requestId, tabId, url, requestHeaders: list(/** @type {Record<string, string>} */ (said)) }));
      if (url === PAGE) spans.push(worker.tabs.navigation(tabId, requestId)?.spanId);
      if (n % 4 === 0) worker.tabs.failed(tabId, requestId);
      else worker.tabs.responded(tabId, requestId, n % 4 === 1 ? null : url);
      if (n % 4 > 1) worker.tabs.committed(tabId, url);
    }
    assert.ok(spans.every((span) => span !== undefined));
    assert.equal(new Set(spans).size, spans.length);
  }
});
