import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { backOff } from '../../extension/channel/port.js';
import { DEFAULT_PROPAGATION } from '../../extension/context/propagation.js';
import { BATCH_DELAY } from '../../extension/observe/outbox.js';
import { NAVIGATOR, fakeChrome, observationsOf, settled } from './support/chrome.js';
import { NAMED, answer, begin, modes, observation, types } from './support/host.js';
import { connectHost, resetMocks } from './support/worker.js';

/** @import { SessionContext } from '../../extension/protocol.d.ts' */

/** @type {ReturnType<typeof resetMocks>} */
let warned;

beforeEach(() => {
  warned = resetMocks();
});

test('the delays double, up to ten seconds, less some jitter', () => {
  assert.deepEqual([1, 2, 3, 8, 50].map((failures) => backOff(failures, 0)), [100, 200, 400, 10_000, 10_000]);
  assert.equal(backOff(1, 0.999) > 75, true);
});

test('the host names the session', async () => {
  const { session, host, open, ports, state } = await begin();
  const { browser, ...hello } = ports[0]?.sent[0] ?? {};
  assert.deepEqual(hello, { v: 1, type: 'hello', extension: '0.1.0', offTheRecord: true, session: null });
  assert.equal(browser.userAgent, NAVIGATOR.userAgent);
  ports[0]?.receive(answer());
  await open;
  assert.deepEqual(session.context, NAMED);
  assert.equal(session.take().spanId, 'c'.repeat(16));
  host.armed(NAMED, 'detailed');
  host.armed(NAMED, 'detailed');
  assert.deepEqual(ports[0]?.sent.slice(1), [{ v: 1, type: 'armed', mode: 'detailed' }]);
  assert.equal(state.badge, '');
  assert.equal(state.title, 'navtrace: detailed mode');
});

test('the host names the test that drives the browser', async () => {
  const { session, open, ports, testChanged } = await begin();
  ports[0]?.receive(answer());
  await open;
  assert.equal(session.test, null);
  const running = { traceId: 'd'.repeat(32), spanId: 'e'.repeat(16), flags: '01', tracestate: '' };
  ports[0]?.receive({ v: 1, type: 'test', test: running });
  assert.deepEqual(session.test, running);
  ports[0]?.receive({ v: 1, type: 'test', test: null });
  assert.equal(session.test, null);
  assert.equal(testChanged.mock.callCount(), 2);
});

test('a host that wants pages measured holds up the session', async () => {
  const { session, open, ports, measurePages } = await begin();
  /** @type {() => void} */
  let measured = () => {};
  measurePages.mock.mockImplementation(() => new Promise((resolve) => (measured = () => resolve())));
  let opened = false;
  void open.then(() => (opened = true));
  ports[0]?.receive(answer(NAMED, 'auto', true));
  await settled();
  assert.deepEqual(session.context, NAMED);
  assert.equal(opened, false);
  measured();
  await open;
  ports[0]?.receive(answer(NAMED, 'auto', true));
  assert.equal(measurePages.mock.callCount(), 1);
});

test('pages are left alone unless a host wants them measured', async () => {
  const { open, ports, measurePages } = await begin();
  ports[0]?.receive(answer());
  await open;
  assert.equal(measurePages.mock.callCount(), 0);
});

test('the host is connected at once, and hello is sent when known', async () => {
  const { calls, ports } = fakeChrome();
  const { host } = connectHost();
  assert.deepEqual(calls, ['connectNative']);
  /** @type {(record: { session: SessionContext, propagation: typeof DEFAULT_PROPAGATION, kept: null }) => void} */
  let read = () => {};
  const open = host.openSession(new Promise((resolve) => (read = resolve)));
  await settled();
  assert.equal(ports[0]?.sent.length, 0);
  read({ session: NAMED, propagation: DEFAULT_PROPAGATION, kept: null });
  await open;
  assert.deepEqual(ports[0]?.sent[0].session, NAMED);
});

test('without an answer about incognito, hello denies it', async () => {
  const { state, ports } = fakeChrome();
  state.broken.add('isAllowedIncognitoAccess');
  void connectHost().host.openSession(Promise.resolve(null));
  await settled();
  assert.equal(ports[0]?.sent[0]?.offTheRecord, false);
});

test('more contexts are asked for once until they come', async () => {
  const { session, open, ports } = await begin();
  ports[0]?.receive(answer());
  await open;
  session.take();
  session.take();
  assert.deepEqual(types(ports[0]), ['hello'], 'not while somebody waits for a context');
  await settled();
  assert.deepEqual(ports[0]?.sent.slice(1), [{ v: 1, type: 'replenish', count: 96, traces: 8 }]);
  session.take();
  await settled();
  assert.equal(ports[0]?.sent.length, 2);
  ports[0]?.receive({ v: 1, type: 'contexts', contexts: [{ spanId: 'd'.repeat(16), flags: '00' }], traces: [] });
  assert.equal(session.take().spanId, 'd'.repeat(16));
  await settled();
  assert.equal(ports[0]?.sent.length, 3);
});

test('the fallback session is reported to a later host', async () => {
  const { session, host, open, ports, state } = await begin();
  ports[0]?.disconnect();
  await open;
  const own = session.context;
  assert.equal(own.flags, '01');
  host.armed(own, 'lightweight');
  assert.equal(state.badge, '!');
  assert.equal(state.title, 'navtrace: lightweight mode; no host, nothing is exported');
  mock.timers.tick(100);
  assert.deepEqual(ports[1]?.sent[0].session, own);
  assert.deepEqual(types(ports[1]), ['hello'], 'armed waits for the answer');
  ports[1]?.receive(answer(own));
  assert.deepEqual(types(ports[1]), ['hello', 'armed']);
  assert.deepEqual(session.context, own);
  assert.equal(state.badge, '');
  assert.equal(state.title, 'navtrace: lightweight mode');
  assert.equal(host.acceptSession(), false, 'the host goes by the same session');
});

test('after one second the fallback is used until a late host', async () => {
  const { session, host, open, ports, state, renewed } = await begin();
  mock.timers.tick(1000);
  await open;
  const own = session.context;
  host.armed(own, 'detailed');
  assert.equal(state.badge, '!');
  ports[0]?.receive(answer());
  assert.equal(renewed.mock.callCount(), 1);
  assert.deepEqual(session.context, own, 'until the rules can be replaced');
  assert.equal(host.acceptSession(), true);
  assert.equal(host.acceptSession(), false);
  assert.deepEqual(session.context, NAMED);
  assert.equal(state.badge, '');
  host.armed(own, 'detailed');
  assert.deepEqual(types(ports[0]), ['hello']);
  host.armed(NAMED, 'detailed');
  assert.deepEqual(types(ports[0]), ['hello', 'armed']);
});

for (const [when, uses] of Object.entries({ before: [true, false], 'just after': [false, true] })) {
  test(`a late host learns the session used ${when} its answer`, async () => {
    const { session, host, open, ports } = await begin();
    mock.timers.tick(1000);
    await open;
    const own = session.context;
    host.armed(own, 'detailed');
    if (uses[0]) session.use();
    ports[0]?.receive(answer());
    if (uses[1]) session.use();
    assert.equal(host.acceptSession(), false);
    ports[0]?.receive(answer());
    assert.deepEqual(session.context, own);
    assert.deepEqual(ports[0]?.sent.map((message) => message.session), [null, own]);
    ports[0]?.receive(answer(own));
    assert.deepEqual(types(ports[0]), ['hello', 'hello', 'armed']);
  });
}

test('an answer of a host that has gone names nothing', async () => {
  const { host, open, ports } = await begin();
  mock.timers.tick(1000);
  await open;
  ports[0]?.receive(answer());
  ports[0]?.disconnect();
  assert.equal(host.acceptSession(), false);
});

test('a restarted worker continues the session without waiting', async () => {
  const { session, open, ports } = await begin(NAMED);
  await open;
  assert.deepEqual(session.context, NAMED);
  assert.deepEqual(ports[0]?.sent[0].session, NAMED);
});

test('armed is sent for each change of mode and each connection', async () => {
  const { host, open, ports } = await begin(NAMED);
  await open;
  host.armed(NAMED, 'lightweight');
  assert.deepEqual(modes(ports[0]), [], 'no host has agreed');
  ports[0]?.receive(answer());
  host.armed(NAMED, 'lightweight');
  assert.deepEqual(modes(ports[0]), ['lightweight']);
  host.armed(NAMED, 'detailed');
  host.armed(NAMED, 'detailed');
  assert.deepEqual(modes(ports[0]), ['lightweight', 'detailed']);
  host.armed(NAMED, 'lightweight');
  assert.deepEqual(modes(ports[0]), ['lightweight', 'detailed', 'lightweight']);
  ports[0]?.disconnect();
  mock.timers.tick(100);
  ports[1]?.receive(answer());
  assert.deepEqual(modes(ports[1]), ['lightweight']);
});

test('the wanted mode stays known when the host goes', async () => {
  const { host, open, ports, renewed } = await begin();
  assert.equal(host.facts.wantedMode, null);
  ports[0]?.receive(answer(NAMED, 'lightweight'));
  await open;
  assert.equal(host.facts.wantedMode, 'lightweight');
  assert.equal(renewed.mock.callCount(), 1);
  ports[0]?.disconnect();
  assert.equal(host.facts.wantedMode, 'lightweight');
  mock.timers.tick(100);
  ports[1]?.receive(answer(NAMED, 'lightweight'));
  assert.equal(renewed.mock.callCount(), 1, 'the same mode as before');
  ports[1]?.disconnect();
  mock.timers.tick(1000);
  ports[2]?.receive(answer(NAMED, 'detailed'));
  assert.equal(host.facts.wantedMode, 'detailed');
  assert.equal(renewed.mock.callCount(), 2);
});

test('a late host still decides the mode', async () => {
  const { session, host, open, ports, renewed } = await begin();
  mock.timers.tick(1000);
  await open;
  session.use();
  ports[0]?.receive(answer(NAMED, 'lightweight'));
  assert.equal(host.facts.wantedMode, 'lightweight');
  assert.equal(renewed.mock.callCount(), 1);
  assert.equal(host.acceptSession(), false);
});

test('observations wait for a host that continues the session', async () => {
  const { host, outbox, open, ports } = await begin(NAMED);
  await open;
  outbox.observe(observation(1));
  mock.timers.tick(BATCH_DELAY);
  assert.deepEqual(types(ports[0]), ['hello']);
  ports[0]?.receive(answer());
  host.armed(NAMED, 'detailed');
  assert.deepEqual(types(ports[0]), ['hello', 'observed', 'armed']);
  ports[0]?.receive(answer());
  assert.deepEqual(observationsOf(ports[0]), [observation(1)]);
});

test('unacknowledged batches go to the next host', async () => {
  const { outbox, open, ports } = await begin(NAMED);
  await open;
  ports[0]?.receive(answer());
  for (const time of [1, 2]) {
    outbox.observe(observation(time));
    mock.timers.tick(BATCH_DELAY);
  }
  ports[0]?.receive({ v: 1, type: 'received', worker: ports[0].sent[1].worker, number: 1 });
  ports[0]?.disconnect();
  outbox.observe(observation(3));
  mock.timers.tick(100);
  assert.deepEqual(types(ports[1]), ['hello']);
  ports[1]?.receive(answer());
  assert.deepEqual(ports[1]?.sent.slice(1).map(({ number }) => number), [2, 3]);
  assert.deepEqual(observationsOf(ports[1]), [observation(2), observation(3)]);
});

test('a host with another session gets no observations', async () => {
  const { session, outbox, open, ports } = await begin();
  mock.timers.tick(1000);
  await open;
  session.use();
  outbox.observe(observation(1));
  mock.timers.tick(BATCH_DELAY);
  ports[0]?.receive(answer());
  assert.deepEqual(types(ports[0]), ['hello', 'hello']);
  ports[0]?.receive(answer(session.context));
  assert.deepEqual(types(ports[0]), ['hello', 'hello', 'observed']);
});

test('a lost host is retried with growing delays and one warning', async () => {
  const { open, ports } = await begin();
  for (const delay of [100, 200, 400]) {
    ports.at(-1)?.disconnect();
    mock.timers.tick(delay);
  }
  await open;
  assert.equal(ports.length, 4);
  const complaints = warned.mock.calls.map(({ arguments: [text] }) => text);
  assert.equal(complaints.filter((text) => String(text).includes('the host has disconnected')).length, 1);
});

test('only a host that lived for a while is retried at once', async () => {
  mock.method(Math, 'random', () => 0);
  const { open, ports } = await begin(NAMED);
  await open;
  for (const delay of [100, 200, 400]) {
    ports.at(-1)?.receive(answer());
    ports.at(-1)?.disconnect();
    const { length } = ports;
    mock.timers.tick(delay - 1);
    assert.equal(ports.length, length);
    mock.timers.tick(1);
    assert.equal(ports.length, length + 1);
  }
  mock.timers.tick(5000);
  ports.at(-1)?.disconnect();
  mock.timers.tick(100);
  assert.equal(ports.length, 5);
});

test('invalid messages are logged once and change nothing', async () => {
  const { session, open, ports } = await begin();
  ports[0]?.receive({ v: 1, type: 'hullo' });
  ports[0]?.receive({ v: 1, type: 'hullo' });
  ports[0]?.receive(null);
  ports[0]?.receive({ v: 1, type: 'error', code: 'invalid', message: 'no' });
  assert.equal(warned.mock.callCount(), 3);
  ports[0]?.receive(answer());
  await open;
  assert.deepEqual(session.context, NAMED);
});

test('the question about browser contexts is asked until a host has answered it', async () => {
  const { host, open, ports, contextsKept } = await begin(NAMED);
  await open;
  const asked = (/** @type {{ sent: any[] } | undefined} */ port) =>
    port?.sent.filter(({ type }) => type === 'overlap').map(({ opened }) => opened);
  const reply = (/** @type {number} */ opened) => ({ v: 1, type: 'overlap', opened, kept: true, closed: false });
  host.keepContexts(2);
  assert.deepEqual(asked(ports[0]), [], 'there is no session yet');
  ports[0]?.receive(answer());
  assert.deepEqual(asked(ports[0]), [2]);
  host.keepContexts(3);
  ports[0]?.receive(reply(2));
  ports[0]?.disconnect();
  mock.timers.tick(100);
  ports[1]?.receive(answer());
  assert.deepEqual(asked(ports[1]), [3], 'the answer was about fewer contexts');
  ports[1]?.receive(reply(3));
  ports[1]?.receive({ v: 1, type: 'received', worker: 'another', number: 1 });
  ports[1]?.disconnect();
  mock.timers.tick(200);
  ports[2]?.receive(answer());
  assert.deepEqual(asked(ports[2]), []);
  assert.deepEqual(contextsKept.mock.calls.map(({ arguments: [message] }) => message.opened), [2, 3]);
});

test('names to redact are those of the host at hand', async () => {
  const { host, open, ports } = await begin(NAMED);
  await open;
  for (const redact of [['sid'], undefined]) {
    ports[0]?.receive({ ...answer(), redact });
    assert.deepEqual(host.facts.redact, redact ?? null);
  }
});

test('each problem is sent once, to a host that has agreed', async () => {
  const { host, open, ports } = await begin(NAMED);
  await open;
  host.problem('one');
  host.problem('two');
  host.problem('one');
  assert.deepEqual(types(ports[0]), ['hello']);
  ports[0]?.receive(answer());
  const problems = (/** @type {{ sent: any[] } | undefined} */ port) =>
    port?.sent.filter(({ type }) => type === 'problem').map(({ message }) => message);
  assert.deepEqual(problems(ports[0]), ['one', 'two']);
  host.problem('two');
  host.problem('three');
  await settled();
  assert.deepEqual(problems(ports[0]), ['one', 'two', 'three']);
  ports[0]?.disconnect();
  mock.timers.tick(100);
  host.problem('four');
  ports[1]?.receive(answer());
  assert.deepEqual(problems(ports[1]), ['four']);
  const warnings = warned.mock.calls.map(({ arguments: [text] }) => text);
  for (const word of ['one', 'two', 'three', 'four']) assert.equal(warnings.filter((text) => text === `navtrace: ${word}`).length, 1);
});

test('problems are limited', async () => {
  const { host, open, ports } = await begin(NAMED);
  await open;
  ports[0]?.receive(answer());
  for (let n = 0; n < 1000; n += 1) host.problem(String(n));
  await settled();
  assert.equal(types(ports[0])?.filter((type) => type === 'problem').length, 20);
});

test('no problem is reported to a host with another session', async () => {
  const { session, host, open, ports } = await begin();
  mock.timers.tick(1000);
  await open;
  session.use();
  host.problem('one');
  ports[0]?.receive(answer());
  assert.deepEqual(types(ports[0]), ['hello', 'hello']);
  ports[0]?.receive(answer(session.context));
  assert.deepEqual(types(ports[0]), ['hello', 'hello', 'problem']);
});
