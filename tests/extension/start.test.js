import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { DEFAULT_PROPAGATION } from '../../extension/context/propagation.js';
import { fakeChrome, settled } from './support/chrome.js';
import { AS_RECORDED, BLOCKING, NAMED, OPEN, PAGE, TAB, answer, assertCarried, hold, idle, navigate, running, start } from './support/headers.js';
import { ids } from './support/rules.js';
import { resetMocks } from './support/worker.js';

beforeEach(() => void resetMocks());

/** @type {[why: string, options: { granted: boolean, mode: string }][]} */
const LIGHTWEIGHT = [
  ['not granted', { granted: false, mode: 'auto' }],
  ['wanted, not granted', { granted: false, mode: 'detailed' }],
  ['granted, not wanted', { granted: true, mode: 'lightweight' }],
];
for (const [why, { granted, mode }] of LIGHTWEIGHT) {
  test(`${why}: armed when rules are in force`, async () => {
    const browser = fakeChrome({ ...OPEN, granted });
    const release = hold(browser);
    const { port, said, started, inForce, contexts } = start(browser);
    await settled();
    port.receive(answer(mode));
    await idle();
    assert.equal(browser.updates.length, 1);
    assert.equal(started(), false);
    assert.deepEqual(said(), ['hello']);
    release();
    await idle();
    assert.equal(started(), true);
    assert.deepEqual(said(), ['hello', 'armed lightweight']);
    assert.deepEqual(inForce()?.session, NAMED);
    assert.ok(contexts()?.tabs.has(TAB));
    assert.equal(browser.updates.length, 1);
    assert.deepEqual(browser.blocking(), [], 'no request waits');
    assertCarried(browser);
  });

  test(`${why}: a restarted worker makes no update`, async () => {
    const before = await running({ granted, mode });
    const browser = fakeChrome({ ...OPEN, granted, rules: [...before.rules.values()] });
    const { ready, session, port, said } = start(browser, { restarted: true });
    await ready;
    assert.equal(browser.updates.length, 0);
    assert.deepEqual(browser.blocking(), []);
    assert.deepEqual(session.context, NAMED);
    assert.deepEqual(port.sent[0].session, NAMED);
    port.receive(answer(mode));
    assert.deepEqual(said(), ['hello', 'armed lightweight']);
    await idle();
    assert.equal(browser.updates.length, 0);
    assert.deepEqual(said(), ['hello', 'armed lightweight']);
  });

  test(`${why}: a navigation costs one update`, async () => {
    const { navigations, updates, contexts } = await running({ granted, mode });
    const { length } = updates;
    const next = contexts()?.tabs.get(TAB)?.next;
    assert.ok(next);
    navigations.requested(TAB, '1', { traceId: NAMED.traceId, ...next, tracestate: '', baggage: '' });
    navigations.responded(TAB, '1', PAGE, null);
    assert.deepEqual(navigations.committed(TAB, PAGE), [next]);
    await idle();
    assert.equal(updates.length, length + 1);
    assert.deepEqual(contexts()?.tabs.get(TAB)?.current, next);
  });
}

test('a late host hears armed after its rules', async () => {
  const browser = fakeChrome(OPEN);
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
  assert.deepEqual(said(), ['hello', 'armed lightweight']);
  const values = JSON.stringify([...browser.rules.values()]);
  assert.ok(!values.includes(own.traceId));
});

for (const granted of [false, true]) {
  const mode = granted ? 'detailed' : 'lightweight';
  test(`${mode}: a host may answer during the first rules`, async () => {
    const browser = fakeChrome({ ...OPEN, granted });
    const { port, said, inForce } = start(browser);
    await idle();
    mock.timers.tick(1000);
    await Promise.resolve();
    port.receive(answer());
    await idle();
    assert.deepEqual(inForce()?.session, NAMED);
    assert.deepEqual(said(), ['hello', `armed ${mode}`]);
    assertCarried(browser);
  });

  test(`${mode}: a session that a navigation has used stays`, async () => {
    const browser = fakeChrome({ ...OPEN, granted });
    const { ready, session, port, said, inForce } = start(browser);
    await idle();
    mock.timers.tick(1000);
    await idle();
    const own = session.context;
    const { navigations } = await ready;
    browser.leave({ requestId: '1', tabId: TAB, type: 'main_frame' });
    navigations.requested(TAB, '1', null);
    port.receive(answer());
    await idle();
    port.receive(answer('auto', own));
    await idle();
    assert.deepEqual(inForce()?.session, own);
    assert.deepEqual(said(), ['hello', 'hello', `armed ${mode}`]);
    assert.equal(browser.updates.length, 1);
    assertCarried(browser, own.traceId);
  });
}

for (const granted of [false, true]) {
  for (const name of ['getSessionRules', 'tabs.query', 'windows.getAll', 'isAllowedIncognitoAccess']) {
    test(`${granted ? 'detailed' : 'lightweight'}: starts when ${name} fails`, async () => {
      const browser = fakeChrome({ ...OPEN, granted });
      browser.state.broken.add(name);
      const { port, said, inForce } = start(browser);
      await settled();
      port.receive(answer());
      await idle();
      assert.deepEqual(said(), ['hello', granted ? 'armed detailed' : 'armed lightweight']);
      assert.deepEqual(inForce()?.session, NAMED);
      assertCarried(browser);
    });
  }
}

test('without an answer about the grant there is none', async () => {
  const browser = fakeChrome({ ...OPEN, granted: true });
  browser.state.broken.add('permissions.contains');
  const { port, said } = start(browser);
  await settled();
  port.receive(answer('detailed'));
  await idle();
  assert.deepEqual(said(), ['hello', 'armed lightweight']);
  assert.deepEqual(browser.blocking(), []);
});

test('a foreign header on a navigation is not ours', async () => {
  const { navigations, contexts } = await running();
  const next = contexts()?.tabs.get(TAB)?.next;
  navigations.requested(TAB, '1', { traceId: 'f'.repeat(32), spanId: 'f'.repeat(16), flags: '01', tracestate: '', baggage: '' });
  assert.deepEqual(navigations.failed(TAB, '1'), [next]);
});

test("thousands of tabs keep to the browser's limit of rules", async () => {
  const tabs = Array.from({ length: 3000 }, (_, n) => TAB + n);
  const { rules, said } = await running({ tabs, windows: [] });
  assert.ok(rules.size > 2000);
  assert.deepEqual(said(), ['hello', 'armed lightweight']);
});

for (const mode of ['auto', 'detailed']) {
  test(`granted, ${mode}: armed with listener and record`, async () => {
    const browser = fakeChrome({ ...OPEN, granted: true });
    const release = hold(browser);
    const { port, said, started, inForce } = start(browser);
    await settled();
    assert.deepEqual(browser.blocking(), [], 'not before it is known what is wanted');
    port.receive(answer(mode));
    await idle();
    assert.deepEqual(browser.blocking(), BLOCKING);
    assert.equal(started(), false);
    assert.deepEqual(said(), ['hello']);
    release();
    await idle();
    assert.equal(started(), true);
    assert.deepEqual(said(), ['hello', 'armed detailed']);
    assert.deepEqual(inForce(), { session: NAMED, mode: 'detailed', propagation: DEFAULT_PROPAGATION, contexts: null });
    const [record, ...others] = browser.updates.flatMap(({ removeRuleIds = [], addRules = [] }) => [...addRules, ...removeRuleIds]);
    assert.deepEqual(record, AS_RECORDED);
    assert.deepEqual(ids(others), [2]);
    assertCarried(browser);
  });
}

test('in detailed mode navigations cost no update and are named', async () => {
  const worker = await running({ granted: true });
  const { navigations, browser } = worker;
  const visits = [];
  for (let n = 0; n < 50; n += 1) {
    navigations.opened([TAB + n], [TAB + 1000 + n]);
    visits.push(navigate(worker, `a${n}`, TAB + n), navigate(worker, `b${n}`, TAB + n));
    navigations.closed(TAB + n - 10);
    await settled();
  }
  for (const { named, committed } of visits) {
    assert.deepEqual(committed.map((spanId) => `traceparent;desc="00-${NAMED.traceId}-${spanId}-01"`), [named]);
  }
  assert.equal(new Set(visits.map(({ named }) => named)).size, 100);
  assert.equal(browser.updates.length, 1);
});

test('detailed: a navigation without a document is observed once', async () => {
  const { navigations, browser, said } = await running({ granted: true });
  const ended = [];
  for (const [requestId, end] of /** @type {const} */ ([
    ['1', () => navigations.failed(TAB, '1')],
    ['2', () => navigations.responded(TAB, '2', null, null)],
    ['3', () => [...navigations.responded(TAB, '3', PAGE, null), ...navigations.abandoned(TAB, PAGE, false)]],
    ['4', () => navigations.closed(TAB)],
  ])) {
    browser.leave({ requestId, tabId: TAB, type: 'main_frame', url: PAGE });
    navigations.requested(TAB, requestId, null);
    ended.push(...end());
  }
  await idle();
  assert.deepEqual(said(), ['hello', 'armed detailed']);
  assert.equal(ended.length, 4);
  assert.equal(new Set(ended.map(({ spanId }) => spanId)).size, 4);
  assert.equal(browser.updates.length, 1);
});

for (const [wanted, mode] of [['auto', 'detailed'], ['detailed', 'detailed'], ['lightweight', 'lightweight']]) {
  test(`a late host that wants ${wanted} takes over detailed mode`, async () => {
    const browser = fakeChrome({ ...OPEN, granted: true });
    const { ready, session, port, said, inForce } = start(browser);
    await idle();
    mock.timers.tick(1000);
    await ready;
    const own = session.context;
    assert.deepEqual(inForce(), { session: own, mode: 'detailed', propagation: DEFAULT_PROPAGATION, contexts: null });
    assertCarried(browser, own.traceId);
    const release = hold(browser);
    port.receive(answer(wanted));
    await idle();
    assert.deepEqual(said(), ['hello'], 'the rules in force are not those of this session');
    release();
    await idle();
    assert.deepEqual(said(), ['hello', `armed ${mode}`]);
    assert.equal(inForce()?.mode, mode);
    assert.deepEqual(inForce()?.session, NAMED);
    assert.equal(browser.updates.length, 2);
    assert.deepEqual(browser.blocking(), mode === 'detailed' ? BLOCKING : []);
    assertCarried(browser);
    assert.ok(!JSON.stringify([...browser.rules.values()]).includes(own.traceId));
  });
}

test('the first tab of a window that has none is prepared for', async () => {
  const browser = fakeChrome({ windows: [TAB - 1] });
  const { port, contexts } = start(browser);
  await settled();
  port.receive(answer('auto'));
  await idle();
  assert.ok(contexts()?.tabs.has(TAB));
});

test("detailed: a navigation has another span than its request that left too early", async () => {
  const { navigations } = await running({ granted: true });
  const sent = { traceId: NAMED.traceId, spanId: '9'.repeat(16), flags: '01', tracestate: '', baggage: '' };
  navigations.requested(TAB, '1', sent);
  navigations.responded(TAB, '1', PAGE, null);
  assert.deepEqual(navigations.committed(TAB, PAGE).map(({ spanId }) => spanId === sent.spanId), [false]);
});
