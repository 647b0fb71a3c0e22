import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { DEFAULT_PROPAGATION } from '../../extension/context/propagation.js';
import { BATCH_DELAY } from '../../extension/observe/outbox.js';
import { observationsOf, settled } from './support/chrome.js';
import { CLIENT, ELSEWHERE, NAMED, PAGE, TAB, TARGETS, THEIRS, answer, carriedBy, carrying, hold, idle, leaveOne, navigate, running, spanOf, observedStarts, traceOf, visit } from './support/headers.js';
import { resetMocks } from './support/worker.js';

beforeEach(() => void resetMocks());

test('in detailed mode a request is observed by its span id', async () => {
  const worker = await running({ granted: true });
  const { committed } = navigate(worker, '1');
  const carried = leaveOne(worker.browser, '2');
  const told = observedStarts(worker.browser);
  assert.deepEqual(told.map(({ request, parent, traceId }) => [request, parent, traceId]), [
    ['1', committed[0], undefined],
    ['2', committed[0], undefined],
  ]);
  assert.equal(told[1].spanId, carried?.spanId);
});

test('lightweight: a request has a new id below its navigation', async () => {
  const worker = await running();
  const { committed } = navigate(worker, '1');
  await idle();
  const carried = leaveOne(worker.browser, '2');
  const [own, sub] = observedStarts(worker.browser);
  assert.deepEqual([own.request, own.parent, own.navigation.tabId], ['1', committed[0], TAB]);
  assert.deepEqual([sub.request, sub.parent, sub.navigation], ['2', committed[0], undefined]);
  assert.equal(carried?.spanId, committed[0]);
  assert.equal(new Set([own.spanId, sub.spanId, carried?.spanId]).size, 3);
});

for (const [first, second] of [['detailed', 'lightweight'], ['lightweight', 'detailed']]) {
  test(`each request is observed once from ${first} to ${second}`, async () => {
    const { browser, port } = await running({ granted: true, mode: first });
    const release = hold(browser);
    port.receive(answer(second));
    const requests = Array.from({ length: 12 }, (_, n) => String(n));
    for (const requestId of requests) {
      leaveOne(browser, requestId);
      await settled();
      if (requestId === '5') release();
    }
    assert.deepEqual(observedStarts(browser).map(({ request }) => request), requests);
  });
}

test('a browser that asks no listener is observed by its rules', async () => {
  const { browser, navigations } = await running({ granted: true, asks: false });
  mock.timers.tick(10);
  leaveOne(browser, '1');
  navigations.responded(TAB, '2', PAGE, Date.now());
  await idle();
  leaveOne(browser, '3');
  assert.deepEqual(observedStarts(browser).map(({ request }) => request), ['3']);
});


test("lightweight: a client's headers hold for later navigations", async () => {
  const worker = await carrying({});
  const first = await visit(worker, '1', THEIRS);
  assert.equal(traceOf(first.carried), NAMED.traceId, 'no rule knew of it');
  assert.equal(first.carried.tracestate, undefined);
  assert.deepEqual(first.committed.map(({ spanId }) => spanId), [spanOf(first.carried)]);
  const sub = carriedBy(worker, { requestId: '2' }, THEIRS);
  assert.deepEqual([traceOf(sub), spanOf(sub)], [NAMED.traceId, spanOf(first.carried)]);

  const second = await visit(worker, '3', THEIRS);
  assert.equal(traceOf(second.carried), CLIENT.traceId);
  assert.equal(second.carried.tracestate, 'x=1');
  assert.notEqual(spanOf(second.carried), CLIENT.spanId);
  assert.deepEqual(second.committed.map(({ spanId, trace }) => [spanId, trace?.traceId]), [[spanOf(second.carried), CLIENT.traceId]]);
  const other = carriedBy(worker, { requestId: '4' }, THEIRS);
  assert.deepEqual([traceOf(other), spanOf(other)], [CLIENT.traceId, spanOf(second.carried)]);

  const third = await visit(worker, '5');
  assert.equal(traceOf(third.carried), CLIENT.traceId, 'it stays');
  assert.deepEqual(observedStarts(worker.browser).map(({ request, parent }) => [request, parent]), [
    ['1', spanOf(first.carried)],
    ['2', spanOf(first.carried)],
    ['3', spanOf(second.carried)],
    ['4', spanOf(second.carried)],
    ['5', spanOf(third.carried)],
  ]);
});

test('lightweight: a script steers its next navigation', async () => {
  const worker = await carrying({ baggage: 'k=v' });
  const control = { 'sec-ch-navtrace': 'propagator=b3', ...THEIRS };
  await visit(worker, '1', control);
  const { carried, committed } = await visit(worker, '2', control);
  assert.deepEqual(Object.keys(carried), ['b3']);
  const [traceId, spanId] = String(carried.b3).split('-');
  assert.deepEqual([traceId, spanId], [CLIENT.traceId, committed[0]?.spanId]);
  assert.deepEqual(carriedBy(worker, { requestId: '3' }, control), { b3: `${traceId}-${spanId}-1` });
  assert.deepEqual(observedStarts(worker.browser).slice(1).map(({ parent }) => parent), [spanId, spanId]);
  assert.deepEqual(Object.keys(carriedBy(worker, { tabId: -1 })).sort(), ['baggage', 'traceparent'], 'and nothing else');
});

for (const headers of [{}, THEIRS]) {
  const has = 'traceparent' in headers ? 'keeps its client\'s header' : 'has no header';
  test(`lightweight: a page steered off ${has}`, async () => {
    const worker = await carrying({});
    const control = { 'sec-ch-navtrace': 'off', ...headers };
    const first = await visit(worker, '1', control);
    const second = await visit(worker, '2', control);
    assert.deepEqual(second.carried, headers);
    assert.deepEqual(carriedBy(worker, { requestId: '3' }, control), headers);
    worker.browser.fire('webRequest.onErrorOccurred', { requestId: '3', url: PAGE, method: 'GET', type: 'script', timeStamp: 1, error: 'net::ERR_FAILED' });
    assert.deepEqual(observedStarts(worker.browser).map(({ request, parent }) => [request, parent]), [['1', spanOf(first.carried)]]);
    const told = observationsOf(worker.browser.ports.at(-1));
    assert.equal(told.some(({ what }) => what === 'request-failed'), false);
    const [context] = second.committed;
    assert.ok(context && ![CLIENT.spanId, spanOf(first.carried)].includes(context.spanId));
    assert.equal(told.find(({ what, spanId }) => what === 'context-issued' && spanId === context.spanId)?.flags, '00', 'its navigation is not sampled');
    await visit(worker, '4');
    assert.ok((await visit(worker, '5')).carried.traceparent, 'and after that it is over');
  });
}

for (const granted of [false, true]) {
  const mode = granted ? 'detailed' : 'lightweight';
  test(`${mode}: untraced requests carry no header of anyone`, async () => {
    const worker = await carrying(TARGETS, { granted });
    const home = await visit(worker, '1', THEIRS);
    assert.ok(home.carried.traceparent);
    const headers = { ...THEIRS, 'sec-ch-navtrace': 'on', A: '1' };
    for (const type of ['script', 'sub_frame', 'image']) {
      assert.deepEqual(carriedBy(worker, { requestId: '2', url: ELSEWHERE, type }, headers), { A: '1' });
    }
    const elsewhere = await visit(worker, '3', headers, ELSEWHERE);
    assert.deepEqual(elsewhere, { carried: { A: '1' }, committed: [], ended: [] });
    assert.deepEqual(carriedBy(worker, { requestId: '4', url: ELSEWHERE, documentId: 'e' }, headers), { A: '1' });
    const sub = carriedBy(worker, { requestId: '5', documentId: 'e' }, THEIRS);
    assert.equal(traceOf(sub), CLIENT.traceId, 'a target that it asks is below its client');
    const told = observedStarts(worker.browser);
    assert.deepEqual(told.map(({ request }) => request), ['1', '5']);
    assert.equal(told[1].parent, CLIENT.spanId);
    const back = await visit(worker, '6', THEIRS);
    assert.equal(traceOf(back.carried), CLIENT.traceId);
    assert.equal(back.committed.length, 1);
  });

  for (const page of [ELSEWHERE, PAGE]) {
    test(`${mode}: a restart ${page === PAGE ? 'at a target' : 'elsewhere'} holds client headers back`, async () => {
      const before = await carrying(TARGETS, { granted });
      await visit(before, '1', THEIRS);
      await visit(before, '2', THEIRS, page);
      const worker = await carrying(TARGETS, { granted, rules: [...before.browser.rules.values()], restarted: true });
      worker.navigations.opened([TAB + 300], []);
      await idle();
      if (mode === 'detailed') await visit(worker, '3', THEIRS, page);
      assert.deepEqual(carriedBy(worker, { requestId: '4', url: ELSEWHERE }, { ...THEIRS, A: '1' }), { A: '1' });
      const next = await visit(worker, '5', THEIRS);
      assert.equal(traceOf(next.carried), CLIENT.traceId);
    });
  }

  test(`${mode}: other settings of a host are followed`, async () => {
    const worker = await carrying({}, { granted });
    const { committed } = await visit(worker, '1');
    worker.port.receive(answer('auto', { ...NAMED, flags: '01' }, { propagators: ['b3'], ...TARGETS }));
    await idle();
    const sub = carriedBy(worker, { requestId: '2' });
    assert.deepEqual(Object.keys(sub), ['b3']);
    if (mode === 'lightweight') assert.equal(sub.b3?.split('-')[1], committed[0]?.spanId);
    assert.deepEqual(carriedBy(worker, { requestId: '3', url: ELSEWHERE }), {});
    assert.deepEqual(observedStarts(worker.browser).map(({ parent }) => parent), [committed[0]?.spanId, committed[0]?.spanId]);
    assert.deepEqual(worker.inForce()?.propagation, { ...DEFAULT_PROPAGATION, propagators: ['b3'], ...TARGETS });
    const { length } = worker.browser.updates;
    worker.port.receive(answer('auto', { ...NAMED, flags: '01' }, { propagators: ['b3'], ...TARGETS }));
    await idle();
    assert.equal(worker.browser.updates.length, length, 'the same again changes nothing');
  });

  test(`${mode}: a trace of its own is observed before its spans`, async () => {
    for (const scope of /** @type {const} */ (['tab', 'navigation'])) {
      const worker = await carrying({ scope }, { granted });
      const traceIds = new Set();
      for (const requestId of ['1', '2', '3']) {
        const { carried, committed } = await visit(worker, requestId);
        traceIds.add(traceOf(carried));
        assert.deepEqual(committed.map(({ trace }) => trace?.traceId), [traceOf(carried)]);
        carriedBy(worker, { requestId: `${requestId}s` });
      }
      assert.equal(traceIds.size, scope === 'tab' ? 1 : 3);
      assert.ok(!traceIds.has(NAMED.traceId));
      mock.timers.tick(BATCH_DELAY);
      const known = new Set();
      let starts = 0;
      for (const { what, spanId, parent } of observationsOf(worker.port)) {
        if (what === 'context-issued') {
          if (parent !== undefined) assert.ok(known.has(parent));
          known.add(spanId);
        } else {
          starts += 1;
          assert.ok(known.has(parent), what);
        }
      }
      assert.equal(starts, 6);
    }
  });

  test(`${mode}: navigations are observed with too many targets`, async () => {
    const targets = ['^https://example\\.test/', ...Array.from({ length: 150 }, (_, n) => `^https://t${n}\\.test/`)];
    const worker = await carrying({ targets, exclude: Array.from({ length: 20 }, (_, n) => `/x${n}$`) }, { granted });
    assert.deepEqual(worker.said(), ['hello', `armed ${mode}`]);
    const { carried } = await visit(worker, '1');
    assert.equal(traceOf(carried), NAMED.traceId);
    if (mode === 'detailed') assert.equal((await visit(worker, '2')).committed.length, 1);
  });

  test(`${mode}: a host with many targets may find many tabs`, async () => {
    const tabs = Array.from({ length: 60 }, (_, n) => TAB + n);
    const worker = await carrying({}, { granted, tabs, windows: [] });
    const targets = ['^https://example\\.test/', ...Array.from({ length: 29 }, (_, n) => `^https://t${n}\\.test/`)];
    worker.port.receive(answer('auto', { ...NAMED, flags: '01' }, { targets }));
    await idle();
    assert.deepEqual(worker.inForce()?.propagation.targets, targets);
    for (const tabId of [TAB, TAB + 59, -1]) {
      assert.equal(traceOf(carriedBy(worker, { tabId })), NAMED.traceId);
      assert.deepEqual(carriedBy(worker, { tabId, url: ELSEWHERE }), {});
    }
  });
}

test("lightweight: a restart keeps navigations' own traces", async () => {
  for (const scope of /** @type {const} */ (['tab', 'navigation'])) {
    const before = await carrying({ scope });
    const { carried } = await visit(before, '1');
    const worker = await carrying({ scope }, { rules: [...before.browser.rules.values()], restarted: true });
    assert.equal(worker.browser.updates.length, 0);
    assert.deepEqual(carriedBy(worker, { requestId: '2' }), carried);
    const spare = worker.contexts()?.spare;
    const details = { requestId: '3', tabId: 9000, type: 'main_frame', url: PAGE };
    worker.navigations.requested(9000, '3', worker.navigations.carriedBy(worker.browser.leave(details)));
    worker.navigations.responded(9000, '3', PAGE, null);
    assert.deepEqual(worker.navigations.committed(9000, PAGE), [spare]);
    const next = await visit(worker, '4');
    assert.equal(traceOf(next.carried) === traceOf(carried), scope === 'tab');
    const told = observedStarts(worker.browser).map(({ request, parent }) => [request, parent]);
    assert.deepEqual(told, [['2', spanOf(carried)], ['3', spare?.spanId], ['4', spanOf(next.carried)]]);
  }
});

test('lightweight: a navigation keeps a context that rules dropped', async () => {
  for (const scope of /** @type {const} */ (['session', 'tab', 'navigation'])) {
    const worker = await carrying({ scope });
    await visit(worker, '1');
    const details = { tabId: TAB, type: 'main_frame', url: PAGE, documentLifecycle: 'active' };
    const [first, second] = ['2', '3'].map((requestId) => worker.browser.leave({ ...details, requestId }));
    worker.navigations.requested(TAB, '2', worker.navigations.carriedBy(first));
    assert.equal(worker.navigations.failed(TAB, '2').length, 1);
    worker.navigations.requested(TAB, '3', worker.navigations.carriedBy(second));
    worker.navigations.responded(TAB, '3', PAGE, null);
    worker.navigations.committed(TAB, PAGE);
    await idle();
    const carried = Object.fromEntries((second ?? []).map(({ name, value }) => [name, value]));
    assert.deepEqual(carriedBy(worker, { requestId: '4' }), carried);
    assert.equal(observedStarts(worker.browser).at(-1).parent, spanOf(carried));
  }
});

test('lightweight: a client may change between untraced pages', async () => {
  const worker = await carrying(TARGETS);
  await visit(worker, '1', {}, ELSEWHERE);
  await visit(worker, '2', { baggage: 'k=v' }, ELSEWHERE);
  assert.deepEqual(carriedBy(worker, { requestId: '3', url: ELSEWHERE }, { baggage: 'k=v' }), {});
  assert.equal(carriedBy(worker, { requestId: '4' }, { baggage: 'k=v' }).baggage, 'k=v');
  await visit(worker, '5', { 'sec-ch-navtrace': 'off' }, ELSEWHERE);
  assert.deepEqual(carriedBy(worker, { requestId: '6' }, { 'sec-ch-navtrace': 'off' }), {});
});

test('lightweight: no two navigations share a context', async () => {
  for (const scope of /** @type {const} */ (['session', 'tab', 'navigation'])) {
    const worker = await carrying({ scope, ...TARGETS });
    const spans = [];
    for (let n = 0; n < 40; n += 1) {
      const said = [{}, THEIRS, { 'sec-ch-navtrace': 'new-trace' }, {}, { 'sec-ch-navtrace': 'propagator=jaeger' }][n % 5] ?? {};
      const { carried, committed } = await visit(worker, `n${n}`, /** @type {Record<string, string>} */ (said), n % 7 === 3 ? ELSEWHERE : PAGE);
      spans.push(...committed.map(({ spanId }) => spanId));
      if (committed.length === 0) continue;
      const sub = carriedBy(worker, { requestId: `s${n}` });
      assert.deepEqual(sub, carried, 'the request of a page carries what its navigation did');
    }
    assert.equal(spans.length, 34);
    assert.equal(new Set(spans).size, spans.length);
  }
});

test('an invalid steering header is reported once', async () => {
  for (const granted of [false, true]) {
    const worker = await carrying({}, { granted });
    for (const requestId of ['1', '2', '3']) await visit(worker, requestId, { 'sec-ch-navtrace': 'ofd' });
    assert.deepEqual(worker.said().filter((type) => type === 'problem'), ['problem']);
  }
});
