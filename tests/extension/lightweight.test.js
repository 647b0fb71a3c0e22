import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { Session } from '../../extension/context/session.js';
import { Lightweight } from '../../extension/headers/lightweight.js';
import { contextsFrom } from '../../extension/headers/rules.js';
import { fakeChrome, settled } from './support/chrome.js';

const TAB = 100;
const PAGE = 'https://example.test/';
const NAMED = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '00' };

/** @param {object} [session] */
const answer = (session = NAMED) => ({ v: 1, type: 'session', host: '0.1.0', session, contexts: [] });

beforeEach(() => {
  mock.reset();
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  mock.method(console, 'warn', () => {});
  mock.method(console, 'error', () => {});
});

/** Waits for some rule updates. */
async function idle() {
  for (let n = 0; n < 5; n += 1) await settled();
}

/** @param {ReturnType<typeof fakeChrome>} browser */
function start(browser) {
  let started = false;
  const session = new Session(() => void ready.then((lightweight) => lightweight.renew()));
  const ready = Lightweight.start(session);
  void ready.then(() => (started = true));
  const port = browser.ports.at(-1);
  assert.ok(port);
  /** What the rules in force carry. */
  const inForce = () => contextsFrom([...browser.rules.values()]);
  /** @returns {string[]} */
  const said = () => port.sent.map(({ type }) => type).filter((type) => type !== 'replenish');
  return { ready, session, port, inForce, said, started: () => started };
}

/** @param {Parameters<typeof fakeChrome>[0]} [options] */
async function running(options = { tabs: [TAB], windows: [TAB - 1] }) {
  const browser = fakeChrome(options);
  const worker = start(browser);
  await settled();
  worker.port.receive(answer());
  await idle();
  return { ...browser, ...worker, lightweight: await worker.ready };
}

test('it starts when the rules for the tabs that exist are in force, and says so then', async () => {
  const browser = fakeChrome({ tabs: [TAB], windows: [TAB - 1] });
  /** @type {(value?: unknown) => void} */
  let release = () => {};
  browser.state.held = new Promise((resolve) => (release = resolve));
  const { port, said, started, inForce } = start(browser);
  await settled();
  port.receive(answer());
  await idle();
  assert.equal(browser.updates.length, 1);
  assert.equal(started(), false);
  assert.deepEqual(said(), ['hello']);
  release();
  await idle();
  assert.equal(started(), true);
  assert.deepEqual(said(), ['hello', 'armed']);
  assert.deepEqual(inForce()?.session, NAMED);
  assert.ok(inForce()?.tabs.has(TAB));
  assert.equal(browser.updates.length, 1);
});

test('a restarted worker goes on from the rules in force, without an update', async () => {
  const before = await running();
  const browser = fakeChrome({ tabs: [TAB], windows: [TAB - 1], rules: [...before.rules.values()] });
  const { ready, session, port, said } = start(browser);
  await ready;
  assert.equal(browser.updates.length, 0);
  assert.deepEqual(session.context, NAMED);
  assert.deepEqual(port.sent[0].session, NAMED);
  port.receive(answer());
  assert.deepEqual(said(), ['hello', 'armed']);
});

test('a host that answers late names the session, and hears of armed when its rules are in force', async () => {
  const browser = fakeChrome({ tabs: [TAB], windows: [TAB - 1] });
  const { ready, session, port, said, inForce } = start(browser);
  await idle();
  mock.timers.tick(1000);
  await idle();
  await ready;
  const own = session.context;
  assert.deepEqual(inForce()?.session, own);
  assert.deepEqual(said(), ['hello']);
  port.receive(answer());
  await Promise.resolve();
  assert.deepEqual(said(), ['hello'], 'the rules in force still carry the other session');
  await idle();
  assert.deepEqual(inForce()?.session, NAMED);
  assert.deepEqual(session.context, NAMED);
  assert.deepEqual(said(), ['hello', 'armed']);
  const values = JSON.stringify([...browser.rules.values()]);
  assert.ok(!values.includes(own.traceId));
});

test('a host that answers while the first rules are on their way names the session as well', async () => {
  const browser = fakeChrome({ tabs: [TAB], windows: [TAB - 1] });
  const { port, said, inForce } = start(browser);
  await idle();
  mock.timers.tick(1000);
  await Promise.resolve();
  port.receive(answer());
  await idle();
  assert.deepEqual(inForce()?.session, NAMED);
  assert.deepEqual(said(), ['hello', 'armed']);
});

test('a session that a navigation has used stays', async () => {
  const browser = fakeChrome({ tabs: [TAB], windows: [TAB - 1] });
  const { ready, session, port, said, inForce } = start(browser);
  await idle();
  mock.timers.tick(1000);
  await idle();
  const own = session.context;
  (await ready).requested(TAB, '1', null);
  port.receive(answer());
  await idle();
  port.receive(answer(own));
  await idle();
  assert.deepEqual(inForce()?.session, own);
  assert.deepEqual(said(), ['hello', 'hello', 'armed']);
  assert.equal(browser.updates.length, 1);
});

for (const name of ['getSessionRules', 'tabs.query', 'windows.getAll', 'isAllowedIncognitoAccess']) {
  test(`it starts all the same when ${name} fails`, async () => {
    const browser = fakeChrome({ tabs: [TAB], windows: [TAB - 1] });
    browser.state.broken.add(name);
    const { port, said, inForce } = start(browser);
    await settled();
    port.receive(answer());
    await idle();
    assert.deepEqual(said(), ['hello', 'armed']);
    assert.deepEqual(inForce()?.session, NAMED);
  });
}

test('a navigation costs one update and is reported', async () => {
  const { lightweight, updates, inForce, port } = await running();
  const { length } = updates;
  const next = inForce()?.tabs.get(TAB)?.next;
  assert.ok(next);
  lightweight.requested(TAB, '1', { traceId: NAMED.traceId, ...next });
  lightweight.responded(TAB, '1', PAGE);
  lightweight.committed(TAB, PAGE);
  await idle();
  assert.equal(updates.length, length + 1);
  assert.deepEqual(inForce()?.tabs.get(TAB)?.current, next);
  assert.deepEqual(port.sent.at(-1), { v: 1, type: 'navigation', tabId: TAB, spanId: next.spanId, outcome: 'committed' });
});

test('a header of another trace on a navigation is not taken for ours', async () => {
  const { lightweight, inForce, port } = await running();
  const next = inForce()?.tabs.get(TAB)?.next;
  lightweight.requested(TAB, '1', { traceId: 'f'.repeat(32), spanId: 'f'.repeat(16), flags: '01' });
  lightweight.failed(TAB, '1');
  assert.equal(port.sent.at(-1).spanId, next?.spanId);
});

test('thousands of tabs keep to the number of rules that the browser takes', async () => {
  const tabs = Array.from({ length: 3000 }, (_, n) => TAB + n);
  const { rules, said } = await running({ tabs, windows: [] });
  assert.ok(rules.size > 2000);
  assert.deepEqual(said(), ['hello', 'armed']);
});
