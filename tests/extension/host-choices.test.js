import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { askSettings } from '../../extension/channel/messages.js';
import { DEFAULT_PROPAGATION } from '../../extension/context/propagation.js';
import { AS_CONFIGURED } from '../../extension/context/session.js';
import { settled } from './support/chrome.js';
import { NAMED, answer, begin, carrying, modes, types } from './support/host.js';
import { resetMocks } from './support/worker.js';

const SETTINGS = { v: 1, type: 'settings', file: null, exists: false, settings: [] };
const CHOSEN = { ...AS_CONFIGURED, ratio: 0.5 };

/** @type {ReturnType<typeof resetMocks>} */
let warned;

beforeEach(() => {
  warned = resetMocks();
});

/** A session whose host has agreed. */
async function agreed() {
  const parts = await begin();
  parts.ports[0]?.receive(answer());
  await parts.open;
  return parts;
}

test('a question needs a host that has agreed', async () => {
  const { host, open, ports } = await begin();
  assert.equal(await host.ask(askSettings(), 'settings'), 'there is no host to ask');
  ports[0]?.disconnect();
  await open;
  assert.equal(await host.ask(askSettings(), 'settings'), 'there is no host to ask: the host has disconnected');
  assert.ok(ports.every(({ sent }) => !sent.some(({ type }) => type === 'settings')));
});

test('a question is sent and answered', async () => {
  const { host, ports } = await agreed();
  const asked = host.ask(askSettings(), 'settings');
  assert.deepEqual(ports[0]?.sent.at(-1), askSettings());
  ports[0]?.receive(SETTINGS);
  assert.deepEqual(await asked, SETTINGS);
});

test('without an answer the console says what that means', async () => {
  const { open } = await begin();
  mock.timers.tick(1000);
  await open;
  const warnings = warned.mock.calls.map(({ arguments: [text] }) => text);
  assert.deepEqual(warnings, ['navtrace: no host answers: requests carry a trace of their own, and nothing is exported']);
});

test('a browser that is not asked in time waits a second', async () => {
  const { session, open } = await begin();
  mock.timers.tick(999);
  await settled();
  assert.equal(session.contextIfOpen, null);
  mock.timers.tick(1);
  await open;
  assert.notEqual(session.contextIfOpen, null);
});

test('the state says whether incognito windows are traced', async () => {
  const { host, open, ports } = await begin();
  assert.equal(host.state.offTheRecord, true);
  ports[0]?.disconnect();
  await open;
  assert.deepEqual([host.state.connected, host.state.version, host.state.reason, host.state.mode], [false, null, 'the host has disconnected', null]);
});

test('the state names the host, the mode and the problems', async () => {
  const { host, ports } = await agreed();
  host.armed(NAMED, 'lightweight');
  host.problem('one');
  host.problem('one');
  ports[0]?.receive({ v: 1, type: 'exporter', exported: 1, kept: 2, dropped: 3, problem: 'down' });
  const { connected, version, mode, problems, exporter } = host.state;
  assert.deepEqual([connected, version, mode, problems, exporter?.kept], [true, '0.1.0', 'lightweight', ['one'], 2]);
  ports[0]?.disconnect();
  assert.equal(host.state.exporter, null);
});

test('only changes are told', async () => {
  const { host, ports, changed } = await agreed();
  const count = () => changed.mock.callCount();
  host.armed(NAMED, 'detailed');
  const before = count();
  host.armed(NAMED, 'detailed');
  assert.equal(count(), before);
  host.armed({ ...NAMED, flags: '01' }, 'detailed');
  assert.equal(count(), before + 1);
  ports[0]?.receive({ v: 1, type: 'exporter', exported: 1, kept: 0, dropped: 0, problem: null });
  assert.equal(count(), before + 2);
  ports[0]?.receive({ v: 1, type: 'received', worker: 'w', number: 1 });
  assert.equal(count(), before + 2);
});

test('armed is sent once for each mode of a connection', async () => {
  const { host, ports } = await agreed();
  host.armed(NAMED, 'detailed');
  ports[0]?.receive(answer());
  assert.deepEqual(modes(ports[0]), ['detailed'], 'an answer that changes nothing');
});

test('contexts of a host that has not agreed are not used', async () => {
  const { session, open, ports } = await begin();
  mock.timers.tick(1000);
  await open;
  session.use();
  ports[0]?.receive({ v: 1, type: 'contexts', contexts: [{ spanId: 'd'.repeat(16), flags: '01' }], traces: [] });
  assert.notEqual(session.take().spanId, 'd'.repeat(16));
});

test('a full stock asks for nothing', async () => {
  const { host, session, ports } = await agreed();
  session.fill(Array.from({ length: 200 }, (_, n) => ({ spanId: n.toString(16).padStart(16, '1'), flags: '01' })), []);
  const { count, traces } = session.missing();
  session.fill([], Array.from({ length: traces }, () => ({ ...NAMED, spanId: 'e'.repeat(16) })));
  assert.deepEqual([count, session.missing()], [0, { count: 0, traces: 0 }]);
  host.replenish();
  assert.deepEqual(types(ports[0]), ['hello']);
});

test('a stock that lacks as many contexts as traces asks for both', async () => {
  const { host, session, ports } = await agreed();
  mock.method(session, 'missing', () => ({ count: 3, traces: 3 }));
  host.replenish();
  assert.deepEqual(ports[0]?.sent.at(-1), { v: 1, type: 'replenish', count: 3, traces: 3 });
});

test('each connection asks for contexts anew', async () => {
  const { host, ports } = await agreed();
  host.replenish();
  ports[0]?.disconnect();
  mock.timers.tick(100);
  host.replenish();
  ports[1]?.receive(answer());
  host.replenish();
  host.replenish();
  assert.deepEqual(ports.map(types), [['hello', 'replenish'], ['hello', 'replenish']]);
});

test('a host that exports again is told of to the parts', async () => {
  const { session, ports, renewed } = await agreed();
  const before = renewed.mock.callCount();
  ports[0]?.receive({ ...answer(), exports: false });
  assert.deepEqual([session.exports, renewed.mock.callCount()], [false, before + 1]);
  ports[0]?.receive({ ...answer(), exports: false });
  assert.equal(renewed.mock.callCount(), before + 1);
});

test('a host that carries contexts otherwise is followed', async () => {
  const { session, ports, renewed } = await agreed();
  const before = renewed.mock.callCount();
  ports[0]?.receive(carrying({ baggage: 'a=1' }));
  assert.deepEqual([session.propagation.settings.baggage, renewed.mock.callCount()], ['a=1', before + 1]);
});

test('a new host does not undo what the user chose', async () => {
  const { session, host, ports, renewed, forgotten } = await agreed();
  assert.equal(forgotten.mock.callCount(), 0, 'nothing was chosen');
  session.chosen = CHOSEN;
  host.carryChosen(/** @type {any} */ (carrying({ baggage: 'chosen=1' })));
  ports[0]?.receive(carrying({ baggage: 'again=1' }));
  assert.equal(session.propagation.settings.baggage, 'again=1', 'this host knows the choice');
  ports[0]?.disconnect();
  mock.timers.tick(100);
  const before = renewed.mock.callCount();
  const message = carrying({ baggage: 'configured=1' });
  ports[1]?.receive(message);
  assert.deepEqual([session.propagation.settings.baggage, renewed.mock.callCount()], ['again=1', before]);
  assert.deepEqual(forgotten.mock.calls.map(({ arguments: [told] }) => told), [message]);
});

test('a host with another session is not asked to follow a choice', async () => {
  const { session, open, ports, forgotten } = await begin();
  mock.timers.tick(1000);
  await open;
  session.chosen = CHOSEN;
  session.use();
  ports[0]?.receive(answer());
  assert.equal(forgotten.mock.callCount(), 0);
});

test('a followed choice brings new contexts for the same session alone', async () => {
  const { session, host, renewed, changed } = await agreed();
  const contexts = [{ spanId: 'd'.repeat(16), flags: '01' }];
  const before = [renewed.mock.callCount(), changed.mock.callCount()];
  host.carryChosen(/** @type {any} */ (carrying({ baggage: 'a=1' }, { contexts, session: { ...NAMED, spanId: '9'.repeat(16) } })));
  assert.deepEqual([renewed.mock.callCount(), changed.mock.callCount()], before.map((count) => count + 1));
  assert.equal(session.propagation.settings.baggage, 'a=1');
  assert.notEqual(session.take().spanId, 'd'.repeat(16));
  host.carryChosen(/** @type {any} */ (carrying({}, { contexts })));
  assert.deepEqual([session.take().spanId, session.propagation.settings.baggage], ['d'.repeat(16), DEFAULT_PROPAGATION.baggage]);
});

test('a new trace is told to the host, which answers for it', async () => {
  const { session, host, ports } = await agreed();
  host.armed(NAMED, 'detailed');
  host.beginTrace();
  assert.deepEqual([host.state.connected, host.connection.agreed], [true, false]);
  host.problem('one');
  await settled();
  ports[0]?.receive(answer());
  assert.deepEqual(ports[0]?.sent.slice(2).map((message) => [message.type, message.session]), [['hello', session.context]], 'told once');
  ports[0]?.receive(answer(session.context));
  assert.deepEqual(types(ports[0])?.slice(3), ['problem']);
  host.armed(session.context, 'detailed');
  assert.deepEqual(modes(ports[0]), ['detailed', 'detailed']);
});

test('a new trace without a host connects nothing', async () => {
  const { host, open } = await begin();
  mock.timers.tick(1000);
  await open;
  host.beginTrace();
  assert.equal(host.state.connected, false);
});

test('a new trace twice is still connected', async () => {
  const { host, session, ports } = await agreed();
  host.beginTrace();
  host.beginTrace();
  assert.equal(host.state.connected, true);
  ports[0]?.receive(answer(session.context));
  assert.deepEqual([host.connection.agreed, host.connection.switching], [true, false]);
});

test('a late session is dropped by a new trace', async () => {
  const { host, open, ports } = await begin();
  mock.timers.tick(1000);
  await open;
  ports[0]?.receive(answer());
  host.beginTrace();
  assert.equal(host.acceptSession(), false);
});
