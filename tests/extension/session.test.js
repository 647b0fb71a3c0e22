import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { DEFAULT_PROPAGATION } from '../../extension/context/propagation.js';
import { fakeChrome, settled } from './support/chrome.js';
import { NAMED, begin, carrying, types } from './support/host.js';
import { connectHost, resetMocks } from './support/worker.js';

beforeEach(() => void resetMocks());

test('contexts are carried by the settings of the latest host', async () => {
  const { session, open, ports } = await begin();
  assert.deepEqual(session.propagation.settings, DEFAULT_PROPAGATION);
  ports[0]?.receive(carrying({ propagators: ['b3'], targets: ['^https://shop\\.test/'] }));
  await open;
  assert.deepEqual([...session.propagation.fields], ['b3']);
  assert.equal(session.propagation.isTarget('https://other.test/'), false);
  const { propagation } = session;
  ports[0]?.disconnect();
  assert.equal(session.propagation, propagation);
});

test('a restarted worker keeps its settings until a host differs', async () => {
  const browser = fakeChrome();
  const renewed = mock.fn();
  const { session, host } = connectHost({ renewed });
  const propagation = { ...DEFAULT_PROPAGATION, propagators: /** @type {any} */ (['jaeger']) };
  await host.openSession(Promise.resolve({ session: NAMED, propagation, kept: null }));
  assert.deepEqual([...session.propagation.fields], ['uber-trace-id']);
  const [port] = browser.ports;
  port?.receive(carrying({ propagators: ['jaeger'] }));
  assert.equal(renewed.mock.callCount(), 1, 'for the mode');
  port?.receive(carrying({ propagators: ['jaeger'] }));
  assert.equal(renewed.mock.callCount(), 1);
  port?.receive(carrying({ propagators: ['jaeger'], baggage: 'k=v' }));
  port?.receive(carrying({ propagators: ['jaeger'], baggage: 'k=v' }));
  assert.equal(renewed.mock.callCount(), 2);
  assert.equal(session.propagation.settings.baggage, 'k=v');
});

/** @param {number} n */
const trace = (n) => ({ traceId: String(n).repeat(32), spanId: String(n).repeat(16), flags: '01' });

test('each trace of the host is used once, then new ones are made', async () => {
  const { session, open, ports } = await begin();
  ports[0]?.receive(carrying({}, { traces: [trace(1), trace(2)] }));
  await open;
  assert.deepEqual([session.takeTrace(), session.takeTrace()], [trace(1), trace(2)]);
  const [a, b] = [session.takeTrace(), session.takeTrace()];
  assert.equal(new Set([a.traceId, b.traceId, NAMED.traceId]).size, 3);
  assert.equal(new Set([a.spanId, b.spanId]).size, 2);
});

/** @type {[what: string, sampler: object, randomFlag: boolean, flags: string][]} */
const DECISIONS = [
  ['sampled', { ratio: 1, parentBased: true }, false, '01'],
  ['not sampled', { ratio: 0, parentBased: true }, false, '00'],
  ['sampled and random', { ratio: 1, parentBased: false }, true, '03'],
  ['random', { ratio: 0, parentBased: false }, true, '02'],
];
for (const [what, sampler, randomFlag, flags] of DECISIONS) {
  test(`a trace without a host is ${what} by the sampler`, async () => {
    const { session, open, ports } = await begin();
    ports[0]?.receive(carrying({ sampler, randomFlag }));
    await open;
    assert.equal(session.takeTrace().flags, flags);
  });
}

test('a navigation without a host is sampled as its trace or alone', async () => {
  for (const [samplePer, ratio, context, flags] of /** @type {[string, number, string, string][]} */ ([
    ['trace', 1, '00', '00'],
    ['trace', 0, '01', '01'],
    ['navigation', 1, '00', '01'],
    ['navigation', 0, '01', '00'],
  ])) {
    const { session, open, ports } = await begin();
    const sampler = { ratio, parentBased: true };
    ports[0]?.receive(carrying({ samplePer, sampler }, { session: { ...NAMED, flags: context }, contexts: [] }));
    await open;
    assert.equal(session.take().flags, flags, `${samplePer} ${ratio}`);
  }
});

/** @type {[scope: string, traces: number, asked: number][]} */
const STOCKS = [
  ['session', 8, 0],
  ['session', 4, 8 - 3],
  ['tab', 8, 96 - 7],
  ['navigation', 48, 96 - 47],
  ['navigation', 96, 0],
];
test('the stock asks for traces as the scope needs them', async () => {
  for (const [scope, there, asked] of STOCKS) {
    const { session, open, ports } = await begin();
    const contexts = Array.from({ length: 96 }, (_, n) => ({ spanId: `${n + 1}`.padStart(16, '0'), flags: '01' }));
    const traces = contexts.slice(0, there).map((context) => ({ ...context, traceId: context.spanId.padStart(32, '0') }));
    ports[0]?.receive(carrying({ scope }, { contexts, traces }));
    await open;
    session.takeTrace();
    assert.deepEqual(types(ports[0]), ['hello'], 'not while somebody waits for one');
    await settled();
    const expected = asked === 0 ? [] : [{ v: 1, type: 'replenish', count: 0, traces: asked }];
    assert.deepEqual(ports[0]?.sent.slice(1), expected, `${scope} with ${there}`);
    session.takeTrace();
    await settled();
    assert.equal(ports[0]?.sent.length, 1 + expected.length);
    if (asked === 0) continue;
    ports[0]?.receive({ v: 1, type: 'contexts', contexts: [], traces: [] });
    session.takeTrace();
    await settled();
    assert.equal(ports[0]?.sent.length, 3, 'it had none to give');
  }
});
