import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { backOff } from '../../extension/channel/port.js';
import { Session } from '../../extension/context/session.js';
import { fakeChrome, settled } from './support/chrome.js';

const NAMED = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '00' };

/** @param {object} [session] */
const answer = (session = NAMED) => ({
  v: 1,
  type: 'session',
  host: '0.1.0',
  session,
  contexts: [{ spanId: 'c'.repeat(16), flags: '00' }],
});

/** @param {{ sent: { type: string }[] } | undefined} port */
const types = (port) => port?.sent.map(({ type }) => type);

/** @type {import('node:test').Mock<(...data: unknown[]) => void>} */
let warned;
/** @type {number} */
let renewals;

beforeEach(() => {
  mock.reset();
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout'] });
  warned = mock.method(console, 'warn', () => {});
  renewals = 0;
});

/** @param {Record<string, unknown>} [stored] */
async function begin(stored) {
  const browser = fakeChrome({ stored });
  const session = new Session(() => (renewals += 1));
  const open = session.open();
  await settled();
  return { ...browser, session, open };
}

test('the delays double, up to ten seconds, less some jitter', () => {
  assert.deepEqual([1, 2, 3, 8, 50].map((failures) => backOff(failures, 0)), [100, 200, 400, 10_000, 10_000]);
  assert.equal(backOff(1, 0.999) > 75, true);
});

test('the host names the session', async () => {
  const { session, open, ports, stored, state } = await begin();
  assert.deepEqual(ports[0]?.sent, [{ v: 1, type: 'hello', extension: '0.1.0', offTheRecord: true, session: null }]);
  ports[0]?.receive(answer());
  await open;
  assert.deepEqual(session.context, NAMED);
  assert.deepEqual(stored, { session: NAMED });
  assert.equal(session.take().spanId, 'c'.repeat(16));
  session.armed();
  session.armed();
  assert.deepEqual(types(ports[0]), ['hello', 'replenish', 'armed']);
  assert.equal(state.badge, '');
});

test('more contexts are asked for once until they come', async () => {
  const { session, open, ports } = await begin();
  ports[0]?.receive(answer());
  await open;
  session.take();
  session.take();
  assert.deepEqual(ports[0]?.sent.slice(1), [{ v: 1, type: 'replenish', count: 96 }]);
  ports[0]?.receive({ v: 1, type: 'contexts', contexts: [{ spanId: 'd'.repeat(16), flags: '00' }] });
  assert.equal(session.take().spanId, 'd'.repeat(16));
  assert.equal(ports[0]?.sent.length, 3);
});

test('without a host the session is its own, and is what a later host is told', async () => {
  const { session, open, ports, state } = await begin();
  ports[0]?.disconnect();
  await open;
  const own = session.context;
  assert.equal(own.flags, '01');
  assert.equal(state.badge, '!');
  session.armed();
  mock.timers.tick(100);
  assert.deepEqual(ports[1]?.sent[0].session, own);
  assert.deepEqual(types(ports[1]), ['hello', 'armed']);
  ports[1]?.receive(answer(own));
  assert.deepEqual(session.context, own);
  assert.equal(state.badge, '');
  assert.equal(renewals, 0);
});

test('a host that does not answer is waited for one second', async () => {
  const { session, open, ports } = await begin();
  mock.timers.tick(1000);
  await open;
  assert.notEqual(session.context.traceId, NAMED.traceId);
  ports[0]?.receive(answer());
  assert.deepEqual(session.context, NAMED, 'nothing has used the session yet, so the host still names it');
  assert.equal(renewals, 1);
});

test('a host that answers after the session was used is told which one it is', async () => {
  const { session, open, ports } = await begin();
  mock.timers.tick(1000);
  await open;
  const own = session.context;
  session.use();
  ports[0]?.receive(answer());
  ports[0]?.receive(answer());
  assert.deepEqual(session.context, own);
  assert.deepEqual(ports[0]?.sent.map((message) => message.session), [null, own]);
  assert.equal(renewals, 0);
});

test('a restarted worker continues the session without waiting', async () => {
  const { session, open, ports } = await begin({ session: NAMED });
  await open;
  assert.deepEqual(session.context, NAMED);
  assert.deepEqual(ports[0]?.sent[0].session, NAMED);
});

test('a host that stays away is tried again, ever later, and complained of once', async () => {
  const { open, ports } = await begin();
  for (const delay of [100, 200, 400]) {
    ports.at(-1)?.disconnect();
    mock.timers.tick(delay);
  }
  await open;
  assert.equal(ports.length, 4);
  const complaints = warned.mock.calls.map(({ arguments: [text] }) => text);
  assert.equal(complaints.filter((text) => String(text).includes('the host has gone')).length, 1);
});

test('messages that can not be used are said once and change nothing', async () => {
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
