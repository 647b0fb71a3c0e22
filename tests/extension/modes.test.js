import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { DEFAULT_PROPAGATION } from '../../extension/context/propagation.js';
import { Injector } from '../../extension/headers/injector.js';
import { readRecord, recordRule } from '../../extension/headers/record.js';
import { startHeaders } from '../../extension/headers/start.js';
import { Documents } from '../../extension/observe/documents.js';
import { BATCH_DELAY } from '../../extension/observe/outbox.js';
import { Requests } from '../../extension/observe/requests.js';
import { NavigationStarts } from '../../extension/observe/navigations.js';
import { fakeChrome, observationsOf, settled } from './support/chrome.js';
import { parseTraceparent } from './support/traceparent.js';
import { connectHost } from './support/worker.js';

/** @import { Navigations } from '../../extension/headers/navigations.js' */

const TAB = 100;
const PAGE = 'https://example.test/';
const NAMED = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '00' };

/** What a browser with one tab has. */
const OPEN = { tabs: [TAB], windows: [TAB - 1] };

/** What the record keeps of a session in which nothing was asked for. */
const AS_STARTED = { paused: false, chosen: { ratio: null, targets: null }, started: 0 };

/** The rule of detailed mode. */
const AS_RECORDED = recordRule({ mode: 'detailed', session: NAMED, propagation: DEFAULT_PROPAGATION, contexts: null, kept: AS_STARTED });

const BLOCKING = ['webRequest.onBeforeSendHeaders', 'webRequest.onHeadersReceived'];

/** @param {string} [mode] @param {object} [session] @param {Partial<typeof DEFAULT_PROPAGATION>} [settings] */
const answer = (mode = 'auto', session = NAMED, settings = {}) => ({
  v: 1,
  type: 'session',
  host: '0.1.0',
  mode,
  webVitals: false,
  propagation: { ...DEFAULT_PROPAGATION, ...settings },
  session,
  contexts: [],
  traces: [],
});

/** @type {import('node:test').Mock<(...data: unknown[]) => void>} */
let warned;

beforeEach(() => {
  mock.reset();
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  warned = mock.method(console, 'warn', () => {});
  mock.method(console, 'error', () => {});
});

/** Waits for some rule updates. */
async function idle() {
  for (let n = 0; n < 5; n += 1) await settled();
}

/**
 * @param {ReturnType<typeof fakeChrome>} browser
 * @param {{ restarted?: boolean }} [options]
 */
function start(browser, { restarted = false } = {}) {
  let started = false;
  const { fallback, session, host, outbox } = connectHost({ renewed: () => void ready.then(({ mode }) => mode.renew()) });
  const requests = new Requests(outbox, new NavigationStarts(), session);
  const documents = new Documents();
  const injector = new Injector(fallback, documents, requests);
  if (restarted) injector.listen();
  const ready = startHeaders(session, host, injector, { outbox, documents, requests });
  void ready.then(() => (started = true));
  const port = browser.ports.at(-1);
  assert.ok(port);
  /** What the rules in force stand for. */
  /** What the rules say, without what the popup has a say in. */
  const inForce = () => {
    const before = readRecord([...browser.rules.values()]);
    return before && { session: before.session, mode: before.mode, propagation: before.propagation, contexts: before.contexts };
  };
  const contexts = () => inForce()?.contexts;
  /** What the host that is there now was told, besides that the stock runs low and what was observed. @returns {string[]} */
  const said = () =>
    (browser.ports.at(-1)?.sent ?? [])
      .filter(({ type }) => type !== 'replenish' && type !== 'observed')
      .map(({ type, mode }) => (type === 'armed' ? `armed ${mode}` : type));
  return { ready, session, injector, port, inForce, contexts, said, started: () => started };
}

/** @param {Parameters<typeof fakeChrome>[0] & { mode?: string }} [options] */
async function running({ mode = 'auto', ...options } = {}) {
  const browser = fakeChrome({ ...OPEN, ...options });
  const worker = start(browser);
  await settled();
  worker.port.receive(answer(mode));
  await idle();
  return { ...browser, ...worker, browser, navigations: (await worker.ready).navigations };
}

/**
 * Has the host go and another one come, which wants a mode.
 *
 * @param {ReturnType<typeof fakeChrome>} browser
 * @param {string} mode
 */
function anotherHost({ ports }, mode) {
  ports.at(-1)?.disconnect();
  mock.timers.tick(10_000);
  const port = ports.at(-1);
  assert.ok(port);
  port.receive(answer(mode));
  return port;
}

/** Makes rule updates from now on wait. @param {ReturnType<typeof fakeChrome>} browser */
function hold(browser) {
  /** @type {(value?: unknown) => void} */
  let release = () => {};
  browser.state.held = new Promise((resolve) => (release = resolve));
  return () => {
    browser.state.held = null;
    release();
  };
}

/**
 * Has requests of a tab and of none leave.
 *
 * @param {ReturnType<typeof fakeChrome>} browser
 * @param {string} traceId what each has to carry in its one header
 */
function assertCarried(browser, traceId = NAMED.traceId) {
  for (const tabId of [TAB, -1]) {
    const headers = browser.leave({ tabId, documentId: 'd' });
    const carried = headers.filter(({ name }) => name.toLowerCase() === 'traceparent');
    assert.deepEqual(carried.map(({ value }) => parseTraceparent(value)?.traceId), [traceId]);
  }
}

/** Has requests leave at every step until nothing more is due. @param {ReturnType<typeof fakeChrome>} browser */
async function assertNoGap(browser) {
  for (let n = 0; n < 12; n += 1) {
    assertCarried(browser);
    await Promise.resolve();
    assertCarried(browser);
    await settled();
  }
}

/**
 * Has a navigation take its course, as the browser's events tell it.
 *
 * @param {{ browser: ReturnType<typeof fakeChrome>, navigations: Navigations }} worker
 * @param {string} requestId
 * @param {number} [tabId]
 */
function navigate({ browser, navigations }, requestId, tabId = TAB) {
  const details = { requestId, tabId, type: 'main_frame', url: PAGE, documentLifecycle: 'active' };
  navigations.requested(tabId, requestId, navigations.carriedBy(browser.leave(details)), Date.now());
  const named = browser.fire('webRequest.onHeadersReceived', { ...details, statusCode: 200, responseHeaders: [] });
  navigations.responded(tabId, requestId, PAGE);
  const committed = navigations.committed(tabId, PAGE).map(({ spanId }) => spanId);
  return { named: /** @type {string | undefined} */ (named?.responseHeaders?.[0]?.value), committed };
}

/** @type {[why: string, options: { granted: boolean, mode: string }][]} */
const LIGHTWEIGHT = [
  ['not granted', { granted: false, mode: 'auto' }],
  ['not granted, although it is wanted', { granted: false, mode: 'detailed' }],
  ['granted and not wanted', { granted: true, mode: 'lightweight' }],
];
for (const [why, { granted, mode }] of LIGHTWEIGHT) {
  test(`detailed mode ${why}: it starts when the rules for the tabs are in force, and says so then`, async () => {
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

  test(`detailed mode ${why}: a restarted worker goes on from the rules in force, without an update`, async () => {
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

  test(`detailed mode ${why}: a navigation costs one update, and is answered with its name`, async () => {
    const { navigations, updates, contexts } = await running({ granted, mode });
    const { length } = updates;
    const next = contexts()?.tabs.get(TAB)?.next;
    assert.ok(next);
    navigations.requested(TAB, '1', { traceId: NAMED.traceId, ...next, tracestate: '', baggage: '' }, 1);
    navigations.responded(TAB, '1', PAGE);
    assert.deepEqual(navigations.committed(TAB, PAGE), [next]);
    await idle();
    assert.equal(updates.length, length + 1);
    assert.deepEqual(contexts()?.tabs.get(TAB)?.current, next);
  });
}

test('a host that answers late names the session, and hears of armed when its rules are in force', async () => {
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
  test(`a host that answers while the first rules of ${mode} mode are on their way names the session`, async () => {
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

  test(`a session that a navigation has used in ${mode} mode stays`, async () => {
    const browser = fakeChrome({ ...OPEN, granted });
    const { ready, session, port, said, inForce } = start(browser);
    await idle();
    mock.timers.tick(1000);
    await idle();
    const own = session.context;
    const { navigations } = await ready;
    browser.leave({ requestId: '1', tabId: TAB, type: 'main_frame' });
    navigations.requested(TAB, '1', null, Date.now());
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
    test(`it starts all the same when ${name} fails, ${granted ? '' : 'not '}granted`, async () => {
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

test('a browser that does not say what it grants is taken to grant nothing', async () => {
  const browser = fakeChrome({ ...OPEN, granted: true });
  browser.state.broken.add('permissions.contains');
  const { port, said } = start(browser);
  await settled();
  port.receive(answer('detailed'));
  await idle();
  assert.deepEqual(said(), ['hello', 'armed lightweight']);
  assert.deepEqual(browser.blocking(), []);
});

test('a header of another trace on a navigation is not taken for ours', async () => {
  const { navigations, contexts } = await running();
  const next = contexts()?.tabs.get(TAB)?.next;
  navigations.requested(TAB, '1', { traceId: 'f'.repeat(32), spanId: 'f'.repeat(16), flags: '01', tracestate: '', baggage: '' }, 1);
  assert.deepEqual(navigations.failed(TAB, '1'), [next]);
});

test('thousands of tabs keep to the number of rules that the browser takes', async () => {
  const tabs = Array.from({ length: 3000 }, (_, n) => TAB + n);
  const { rules, said } = await running({ tabs, windows: [] });
  assert.ok(rules.size > 2000);
  assert.deepEqual(said(), ['hello', 'armed lightweight']);
});

for (const mode of ['auto', 'detailed']) {
  test(`granted, ${mode} is detailed mode: armed once the listeners and the record are in force`, async () => {
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
    assert.deepEqual(browser.updates, [{ removeRuleIds: [], addRules: [AS_RECORDED] }]);
    assertCarried(browser);
  });
}

test('in detailed mode no tab and no navigation costs an update, and each is answered by its name', async () => {
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
    assert.deepEqual(committed.map((spanId) => `traceparent;desc="00-${NAMED.traceId}-${spanId}-00"`), [named]);
  }
  assert.equal(new Set(visits.map(({ named }) => named)).size, 100);
  assert.equal(browser.updates.length, 1);
});

test('in detailed mode a navigation that comes to nothing costs no update and is told of once', async () => {
  const { navigations, browser, said } = await running({ granted: true });
  const ended = [];
  for (const [requestId, end] of /** @type {const} */ ([
    ['1', () => navigations.failed(TAB, '1')],
    ['2', () => navigations.responded(TAB, '2', null)],
    ['3', () => [...navigations.responded(TAB, '3', PAGE), ...navigations.abandoned(TAB, PAGE, false)]],
    ['4', () => navigations.closed(TAB)],
  ])) {
    browser.leave({ requestId, tabId: TAB, type: 'main_frame', url: PAGE });
    navigations.requested(TAB, requestId, null, Date.now());
    ended.push(...end());
  }
  await idle();
  assert.deepEqual(said(), ['hello', 'armed detailed']);
  assert.equal(ended.length, 4);
  assert.equal(new Set(ended.map(({ spanId }) => spanId)).size, 4);
  assert.equal(browser.updates.length, 1);
});

for (const [wanted, mode] of [['auto', 'detailed'], ['detailed', 'detailed'], ['lightweight', 'lightweight']]) {
  test(`a host that is late and wants ${wanted} takes over a session that is in detailed mode`, async () => {
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

test('from lightweight to detailed mode: the rules go once the listeners are there', async () => {
  const { browser, said, inForce } = await running({ granted: true, mode: 'lightweight' });
  const release = hold(browser);
  anotherHost(browser, 'auto');
  await assertNoGap(browser);
  assert.deepEqual(browser.blocking(), BLOCKING);
  assert.equal(inForce()?.mode, 'lightweight');
  assert.deepEqual(said(), ['hello', 'armed lightweight']);
  release();
  await assertNoGap(browser);
  assert.deepEqual([...browser.rules.values()], [AS_RECORDED]);
  assert.deepEqual(said(), ['hello', 'armed lightweight', 'armed detailed']);
  assert.equal(browser.updates.length, 2);
});

test('from detailed to lightweight mode: the listeners go once the rules are there', async () => {
  const { browser, said, inForce, contexts } = await running({ granted: true });
  const release = hold(browser);
  anotherHost(browser, 'lightweight');
  await assertNoGap(browser);
  assert.deepEqual(browser.blocking(), BLOCKING);
  assert.equal(inForce()?.mode, 'detailed');
  assert.deepEqual(said(), ['hello', 'armed detailed']);
  release();
  await assertNoGap(browser);
  assert.deepEqual(browser.blocking(), []);
  assert.ok(contexts()?.tabs.has(TAB));
  assert.deepEqual(said(), ['hello', 'armed detailed', 'armed lightweight']);
  assert.equal(browser.updates.length, 2);
});

test('the listeners stay when the browser refuses the rules that were to take their place', async () => {
  const { browser, said, navigations } = await running({ granted: true });
  browser.state.refuse = () => true;
  anotherHost(browser, 'lightweight');
  await assertNoGap(browser);
  assert.deepEqual(browser.blocking(), BLOCKING);
  assert.deepEqual(said(), ['hello', 'armed detailed']);
  browser.state.refuse = () => false;
  navigations.opened([TAB + 200], []);
  await assertNoGap(browser);
  assert.deepEqual(browser.blocking(), []);
  assert.deepEqual(said(), ['hello', 'armed detailed', 'armed lightweight']);
});

test('the page of a tab keeps its context over a change of the mode', async () => {
  const worker = await running({ granted: true });
  const { browser, contexts } = worker;
  const { named } = navigate(worker, '1');
  anotherHost(browser, 'lightweight');
  await idle();
  assert.ok(named?.includes(String(contexts()?.tabs.get(TAB)?.current.spanId)));
});

test('a navigation that is under way when the mode changes ends once, as its response names it', async () => {
  const { browser, navigations } = await running({ granted: true, mode: 'lightweight' });
  const details = { requestId: '1', tabId: TAB, type: 'main_frame', url: PAGE, documentLifecycle: 'active' };
  const sent = navigations.carriedBy(browser.leave(details));
  navigations.requested(TAB, '1', sent, Date.now());
  anotherHost(browser, 'detailed');
  await idle();
  const hop = navigations.carriedBy(browser.leave(details));
  navigations.requested(TAB, '1', hop, Date.now());
  assert.notEqual(hop?.spanId, sent?.spanId);
  const received = { ...details, statusCode: 200, responseHeaders: [] };
  const { responseHeaders } = browser.fire('webRequest.onHeadersReceived', received);
  assert.ok(responseHeaders[0].value.includes(String(sent?.spanId)));
  navigations.responded(TAB, '1', PAGE);
  assert.deepEqual(navigations.committed(TAB, PAGE).map(({ spanId }) => spanId), [sent?.spanId]);
});

for (const [first, ...wanted] of [
  ['detailed', 'lightweight', 'detailed'],
  ['lightweight', 'detailed', 'lightweight'],
  ['detailed', 'lightweight', 'detailed', 'lightweight'],
  ['lightweight', 'detailed', 'lightweight', 'detailed'],
]) {
  const last = wanted.at(-1);
  test(`from ${first} to ${wanted.join(' to ')} mode in quick succession`, async () => {
    const { browser, port, said, inForce } = await running({ granted: true, mode: first });
    /** @type {(() => void)[]} */
    const releases = [];
    for (const mode of wanted) {
      releases.push(hold(browser));
      port.receive(answer(mode));
      await assertNoGap(browser);
    }
    assert.equal(browser.updates.length, 1 + wanted.length, 'all of them under way');
    const told = said().length;
    /** @type {unknown[]} announced before it was so */
    const early = [];
    port.sent.push = (message) => {
      if (message.type === 'armed' && message.mode !== inForce()?.mode) early.push(message);
      return Array.prototype.push.call(port.sent, message);
    };
    for (const release of releases) {
      release();
      await assertNoGap(browser);
    }
    assert.deepEqual(browser.blocking(), last === 'detailed' ? BLOCKING : []);
    assert.equal(inForce()?.mode, last);
    assert.deepEqual(said().slice(told), last === first ? [] : [`armed ${last}`]);
    assert.deepEqual(early, []);
  });
}

test('granted and never asked: lightweight mode from the first navigation that left without a header', async () => {
  const { browser, navigations, said, contexts } = await running({ granted: true, asks: false });
  assert.deepEqual(said(), ['hello', 'armed detailed']);
  mock.timers.tick(10);
  navigations.requested(TAB, '1', null, Date.now());
  assert.equal(warned.mock.callCount(), 1);
  await idle();
  assert.deepEqual(said(), ['hello', 'armed detailed', 'armed lightweight']);
  assert.deepEqual(browser.blocking(), []);
  assert.ok(contexts()?.tabs.has(TAB));
  assertCarried(browser);
  assert.equal(browser.updates.length, 2);
});

test('after that it stays in lightweight mode, whatever a host wants', async () => {
  const { browser, navigations, said } = await running({ granted: true, asks: false });
  mock.timers.tick(10);
  navigations.requested(TAB, '1', null, Date.now());
  await idle();
  anotherHost(browser, 'detailed');
  await idle();
  assert.deepEqual(said(), ['hello', 'armed lightweight']);
  assert.deepEqual(browser.blocking(), []);
});

test('a request that left before detailed mode was in force proves nothing', async () => {
  const browser = fakeChrome({ ...OPEN, granted: true, asks: false });
  const release = hold(browser);
  const { ready, port, said } = start(browser);
  await settled();
  port.receive(answer());
  mock.timers.tick(50);
  await idle();
  mock.timers.tick(50);
  release();
  const { navigations } = await ready;
  mock.timers.tick(50);
  navigations.requested(TAB, '1', null, 99);
  await idle();
  assert.deepEqual(said(), ['hello', 'armed detailed']);
  navigations.requested(TAB, '2', null, 101);
  await idle();
  assert.deepEqual(said(), ['hello', 'armed detailed', 'armed lightweight']);
});

test('a request that left before a switch to detailed mode was through proves nothing', async () => {
  const { browser, navigations, said } = await running({ granted: true, asks: false, mode: 'lightweight' });
  mock.timers.tick(50);
  const release = hold(browser);
  anotherHost(browser, 'detailed');
  await idle();
  navigations.requested(TAB, '1', null, Date.now());
  mock.timers.tick(50);
  release();
  await idle();
  navigations.requested(TAB, '2', null, Date.now() - 50);
  await idle();
  assert.deepEqual(said(), ['hello', 'armed lightweight', 'armed detailed']);
  navigations.requested(TAB, '3', null, Date.now() + 1);
  await idle();
  assert.deepEqual(said(), ['hello', 'armed lightweight', 'armed detailed', 'armed lightweight']);
});

test('listeners that were asked once are trusted', async () => {
  const { browser, navigations, said } = await running({ granted: true });
  mock.timers.tick(10);
  browser.leave({ tabId: -1 });
  navigations.requested(TAB, '1', null, Date.now());
  await idle();
  assert.deepEqual(said(), ['hello', 'armed detailed']);
});

/** @type {[before: string, after: string | null, mode: string, updates: number][]} */
const RESTARTS = [
  ['detailed', 'auto', 'detailed', 0],
  ['detailed', 'detailed', 'detailed', 0],
  ['detailed', 'lightweight', 'lightweight', 1],
  ['detailed', null, 'detailed', 0],
  ['lightweight', 'lightweight', 'lightweight', 0],
  ['lightweight', 'auto', 'detailed', 1],
  ['lightweight', 'detailed', 'detailed', 1],
  ['lightweight', null, 'lightweight', 0],
];
for (const [before, after, mode, updates] of RESTARTS) {
  const wants = after === null ? 'no host' : `a host that wants ${after}`;
  test(`a worker that is restarted in ${before} mode, with ${wants}, has ${mode} mode`, async () => {
    const { rules } = await running({ granted: true, mode: before });
    const browser = fakeChrome({ ...OPEN, granted: true, rules: [...rules.values()] });
    const { ready, session, port, said, inForce } = start(browser, { restarted: true });
    assert.deepEqual(browser.blocking(), BLOCKING);
    await ready;
    assert.deepEqual(session.context, NAMED);
    assert.equal(inForce()?.mode, before);
    assert.deepEqual(browser.blocking(), before === 'detailed' ? BLOCKING : []);
    assert.equal(browser.updates.length, 0);
    assertCarried(browser);
    if (after === null) mock.timers.tick(60_000);
    else port.receive(answer(after));
    await assertNoGap(browser);
    assert.equal(inForce()?.mode, mode);
    assert.deepEqual(browser.blocking(), mode === 'detailed' ? BLOCKING : []);
    assert.equal(browser.updates.length, updates);
    const told = after === null ? [] : [`armed ${before}`, ...(mode === before ? [] : [`armed ${mode}`])];
    assert.deepEqual(said(), ['hello', ...told]);
  });
}

test('a worker that is restarted in detailed mode without the grant goes on in lightweight mode', async () => {
  const { rules } = await running({ granted: true });
  const browser = fakeChrome({ ...OPEN, granted: false, rules: [...rules.values()] });
  const { ready, session, port, said, inForce } = start(browser, { restarted: true });
  await ready;
  assert.deepEqual(session.context, NAMED);
  assert.equal(inForce()?.mode, 'lightweight');
  assert.deepEqual(browser.blocking(), []);
  port.receive(answer());
  await idle();
  assert.deepEqual(said(), ['hello', 'armed lightweight']);
  assertCarried(browser);
});

test('restarted in detailed mode, requests have a header at once, and the one of the session in time', async () => {
  const { rules } = await running({ granted: true });
  const browser = fakeChrome({ ...OPEN, granted: true, rules: [...rules.values()] });
  const { ready } = start(browser, { restarted: true });
  const value = browser.leave({ tabId: TAB }).find(({ name }) => name === 'traceparent')?.value;
  assert.ok(parseTraceparent(value));
  await ready;
  assertCarried(browser);
});

/**
 * Has a request of a tab leave.
 *
 * @param {ReturnType<typeof fakeChrome>} browser
 * @param {string} requestId
 */
const leaveOne = (browser, requestId) =>
  parseTraceparent(browser.leave({ requestId, tabId: TAB }).find(({ name }) => name === 'traceparent')?.value);

/** @param {ReturnType<typeof fakeChrome>} browser @returns {any[]} what the host that is there now was told of requests that start */
function startsToldOf(browser) {
  mock.timers.tick(BATCH_DELAY);
  return observationsOf(browser.ports.at(-1)).filter(({ what }) => what === 'request-started');
}

test('in detailed mode a request is told of by the span id that it carries', async () => {
  const worker = await running({ granted: true });
  const { committed } = navigate(worker, '1');
  const carried = leaveOne(worker.browser, '2');
  const told = startsToldOf(worker.browser);
  assert.deepEqual(told.map(({ request, parent, traceId }) => [request, parent, traceId]), [
    ['1', committed[0], undefined],
    ['2', committed[0], undefined],
  ]);
  assert.equal(told[1].spanId, carried?.spanId);
});

test('in lightweight mode a request is told of by a span id of its own, and the navigation that it carries is its parent', async () => {
  const worker = await running();
  const { committed } = navigate(worker, '1');
  await idle();
  const carried = leaveOne(worker.browser, '2');
  const [own, sub] = startsToldOf(worker.browser);
  assert.deepEqual([own.request, own.parent, own.navigation.tabId], ['1', committed[0], TAB]);
  assert.deepEqual([sub.request, sub.parent, sub.navigation], ['2', committed[0], undefined]);
  assert.equal(carried?.spanId, committed[0]);
  assert.equal(new Set([own.spanId, sub.spanId, carried?.spanId]).size, 3);
});

for (const [first, second] of [['detailed', 'lightweight'], ['lightweight', 'detailed']]) {
  test(`each request is told of once, at every step from ${first} to ${second} mode`, async () => {
    const { browser, port } = await running({ granted: true, mode: first });
    const release = hold(browser);
    port.receive(answer(second));
    const requests = Array.from({ length: 12 }, (_, n) => String(n));
    for (const requestId of requests) {
      leaveOne(browser, requestId);
      await settled();
      if (requestId === '5') release();
    }
    assert.deepEqual(startsToldOf(browser).map(({ request }) => request), requests);
  });
}

test('a browser that does not ask the listener is observed from when rules carry the context', async () => {
  const { browser, navigations } = await running({ granted: true, asks: false });
  mock.timers.tick(10);
  leaveOne(browser, '1');
  navigations.requested(TAB, '2', null, Date.now());
  await idle();
  leaveOne(browser, '3');
  assert.deepEqual(startsToldOf(browser).map(({ request }) => request), ['3']);
});

const ELSEWHERE = 'https://elsewhere.test/';
const TARGETS = { targets: ['^https://example\\.test/'] };
const CLIENT = { traceId: '9'.repeat(32), spanId: '9'.repeat(16) };
const THEIRS = { traceparent: `00-${CLIENT.traceId}-${CLIENT.spanId}-01`, tracestate: 'x=1' };

/**
 * A worker in a browser with one tab, whose host wants contexts carried in some way.
 *
 * @param {Partial<typeof DEFAULT_PROPAGATION>} settings
 * @param {Parameters<typeof fakeChrome>[0] & { mode?: string, restarted?: boolean }} [options]
 */
async function carrying(settings, { mode = 'auto', restarted = false, ...options } = {}) {
  const browser = fakeChrome({ ...OPEN, ...options });
  const worker = start(browser, { restarted });
  await settled();
  worker.port.receive(answer(mode, { ...NAMED, flags: '01' }, settings));
  await idle();
  return { ...worker, browser, navigations: (await worker.ready).navigations };
}

/** @param {Record<string, string>} headers */
const list = (headers) => Object.entries(headers).map(([name, value]) => ({ name, value }));

/**
 * Has a request leave with headers of its own.
 *
 * @param {{ browser: ReturnType<typeof fakeChrome> }} worker
 * @param {object} details
 * @param {Record<string, string>} [headers]
 * @returns {Record<string, string | undefined>} what it carries
 */
const carriedBy = ({ browser }, details, headers = {}) =>
  Object.fromEntries(browser.leave({ tabId: TAB, documentId: 'd', ...details, requestHeaders: list(headers) }).map(({ name, value }) => [name, value]));

/**
 * Has a client navigate, with what it puts on the request, up to the document.
 *
 * @param {{ browser: ReturnType<typeof fakeChrome>, navigations: Navigations }} worker
 * @param {string} requestId
 * @param {Record<string, string>} [headers]
 * @param {string} [url]
 */
async function visit({ browser, navigations }, requestId, headers = {}, url = PAGE) {
  const details = { requestId, tabId: TAB, type: 'main_frame', url, documentLifecycle: 'active' };
  const requestHeaders = list(headers);
  navigations.arrived(TAB, requestId, requestHeaders, headers.navtrace);
  const left = browser.leave({ ...details, requestHeaders });
  if (navigations.isTarget(url)) navigations.requested(TAB, requestId, navigations.carriedBy(left), Date.now());
  const ended = navigations.responded(TAB, requestId, url);
  const committed = navigations.committed(TAB, url);
  await idle();
  return { carried: /** @type {Record<string, string | undefined>} */ (Object.fromEntries(left.map(({ name, value }) => [name, value]))), committed, ended };
}

/** @param {Record<string, string | undefined>} headers */
const traceOf = ({ traceparent }) => parseTraceparent(traceparent)?.traceId;
/** @param {Record<string, string | undefined>} headers */
const spanOf = ({ traceparent }) => parseTraceparent(traceparent)?.spanId;

test('in lightweight mode what a client puts on a navigation holds from the next one on', async () => {
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
  assert.deepEqual(startsToldOf(worker.browser).map(({ request, parent }) => [request, parent]), [
    ['1', spanOf(first.carried)],
    ['2', spanOf(first.carried)],
    ['3', spanOf(second.carried)],
    ['4', spanOf(second.carried)],
    ['5', spanOf(third.carried)],
  ]);
});

test('in lightweight mode a script steers its next navigation to other formats', async () => {
  const worker = await carrying({ baggage: 'k=v' });
  const control = { navtrace: 'propagator=b3', ...THEIRS };
  await visit(worker, '1', control);
  const { carried, committed } = await visit(worker, '2', control);
  assert.deepEqual(Object.keys(carried), ['b3']);
  const [traceId, spanId] = String(carried.b3).split('-');
  assert.deepEqual([traceId, spanId], [CLIENT.traceId, committed[0]?.spanId]);
  assert.deepEqual(carriedBy(worker, { requestId: '3' }, control), { b3: `${traceId}-${spanId}-1` });
  assert.deepEqual(startsToldOf(worker.browser).slice(1).map(({ parent }) => parent), [spanId, spanId]);
  assert.deepEqual(Object.keys(carriedBy(worker, { tabId: -1 })).sort(), ['baggage', 'traceparent'], 'and nothing else');
});

for (const headers of [{}, THEIRS]) {
  const has = 'traceparent' in headers ? 'keeps the header of its client, and is not' : 'has no header, and is not';
  test(`in lightweight mode a page that is to be left alone ${has} told of`, async () => {
    const worker = await carrying({});
    const control = { navtrace: 'off', ...headers };
    const first = await visit(worker, '1', control);
    const second = await visit(worker, '2', control);
    assert.deepEqual(second.carried, headers);
    assert.deepEqual(carriedBy(worker, { requestId: '3' }, control), headers);
    worker.browser.fire('webRequest.onErrorOccurred', { requestId: '3', url: PAGE, method: 'GET', type: 'script', timeStamp: 1, error: 'net::ERR_FAILED' });
    assert.deepEqual(startsToldOf(worker.browser).map(({ request, parent }) => [request, parent]), [['1', spanOf(first.carried)]]);
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
  test(`in ${mode} mode what is not traced has no header of ours nor of the client's, and is not told of`, async () => {
    const worker = await carrying(TARGETS, { granted });
    const home = await visit(worker, '1', THEIRS);
    assert.ok(home.carried.traceparent);
    const headers = { ...THEIRS, navtrace: 'on', A: '1' };
    for (const type of ['script', 'sub_frame', 'image']) {
      assert.deepEqual(carriedBy(worker, { requestId: '2', url: ELSEWHERE, type }, headers), { A: '1' });
    }
    const elsewhere = await visit(worker, '3', headers, ELSEWHERE);
    assert.deepEqual(elsewhere, { carried: { A: '1' }, committed: [], ended: [] });
    assert.deepEqual(carriedBy(worker, { requestId: '4', url: ELSEWHERE, documentId: 'e' }, headers), { A: '1' });
    const sub = carriedBy(worker, { requestId: '5', documentId: 'e' }, THEIRS);
    assert.equal(traceOf(sub), CLIENT.traceId, 'a target that it asks is below its client');
    const told = startsToldOf(worker.browser);
    assert.deepEqual(told.map(({ request }) => request), ['1', '5']);
    assert.equal(told[1].parent, CLIENT.spanId);
    const back = await visit(worker, '6', THEIRS);
    assert.equal(traceOf(back.carried), CLIENT.traceId);
    assert.equal(back.committed.length, 1);
  });

  for (const page of [ELSEWHERE, PAGE]) {
    test(`a worker that is restarted in ${mode} mode at ${page} lets no header of a client go to what is not traced`, async () => {
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

  test(`in ${mode} mode a host that wants contexts carried otherwise is followed, and pages keep theirs`, async () => {
    const worker = await carrying({}, { granted });
    const { committed } = await visit(worker, '1');
    worker.port.receive(answer('auto', { ...NAMED, flags: '01' }, { propagators: ['b3'], ...TARGETS }));
    await idle();
    const sub = carriedBy(worker, { requestId: '2' });
    assert.deepEqual(Object.keys(sub), ['b3']);
    if (mode === 'lightweight') assert.equal(sub.b3?.split('-')[1], committed[0]?.spanId);
    assert.deepEqual(carriedBy(worker, { requestId: '3', url: ELSEWHERE }), {});
    assert.deepEqual(startsToldOf(worker.browser).map(({ parent }) => parent), [committed[0]?.spanId, committed[0]?.spanId]);
    assert.deepEqual(worker.inForce()?.propagation, { ...DEFAULT_PROPAGATION, propagators: ['b3'], ...TARGETS });
    const { length } = worker.browser.updates;
    worker.port.receive(answer('auto', { ...NAMED, flags: '01' }, { propagators: ['b3'], ...TARGETS }));
    await idle();
    assert.equal(worker.browser.updates.length, length, 'the same again changes nothing');
  });

  test(`in ${mode} mode what has a trace of its own is told of before anything that names it`, async () => {
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

  test(`in ${mode} mode with more targets than there are rules for, navigations are told of`, async () => {
    const targets = ['^https://example\\.test/', ...Array.from({ length: 150 }, (_, n) => `^https://t${n}\\.test/`)];
    const worker = await carrying({ targets, exclude: Array.from({ length: 20 }, (_, n) => `/x${n}$`) }, { granted });
    assert.deepEqual(worker.said(), ['hello', `armed ${mode}`]);
    const { carried } = await visit(worker, '1');
    assert.equal(traceOf(carried), NAMED.traceId);
    if (mode === 'detailed') assert.equal((await visit(worker, '2')).committed.length, 1);
  });

  test(`in ${mode} mode a host with many targets may come when many tabs are there`, async () => {
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

test('in lightweight mode a restarted worker goes on with navigations that have traces of their own', async () => {
  for (const scope of /** @type {const} */ (['tab', 'navigation'])) {
    const before = await carrying({ scope });
    const { carried } = await visit(before, '1');
    const worker = await carrying({ scope }, { rules: [...before.browser.rules.values()], restarted: true });
    assert.equal(worker.browser.updates.length, 0);
    assert.deepEqual(carriedBy(worker, { requestId: '2' }), carried);
    const spare = worker.contexts()?.spare;
    const details = { requestId: '3', tabId: 9000, type: 'main_frame', url: PAGE };
    worker.navigations.requested(9000, '3', worker.navigations.carriedBy(worker.browser.leave(details)), Date.now());
    worker.navigations.responded(9000, '3', PAGE);
    assert.deepEqual(worker.navigations.committed(9000, PAGE), [spare]);
    const next = await visit(worker, '4');
    assert.equal(traceOf(next.carried) === traceOf(carried), scope === 'tab');
    const told = startsToldOf(worker.browser).map(({ request, parent }) => [request, parent]);
    assert.deepEqual(told, [['2', spanOf(carried)], ['3', spare?.spanId], ['4', spanOf(next.carried)]]);
  }
});

test('in lightweight mode a navigation that left with a context that rules have no more keeps it, with its trace', async () => {
  for (const scope of /** @type {const} */ (['session', 'tab', 'navigation'])) {
    const worker = await carrying({ scope });
    await visit(worker, '1');
    const details = { tabId: TAB, type: 'main_frame', url: PAGE, documentLifecycle: 'active' };
    const [first, second] = ['2', '3'].map((requestId) => worker.browser.leave({ ...details, requestId }));
    worker.navigations.requested(TAB, '2', worker.navigations.carriedBy(first), Date.now());
    assert.equal(worker.navigations.failed(TAB, '2').length, 1);
    worker.navigations.requested(TAB, '3', worker.navigations.carriedBy(second), Date.now());
    worker.navigations.responded(TAB, '3', PAGE);
    worker.navigations.committed(TAB, PAGE);
    await idle();
    const carried = Object.fromEntries((second ?? []).map(({ name, value }) => [name, value]));
    assert.deepEqual(carriedBy(worker, { requestId: '4' }), carried);
    assert.equal(startsToldOf(worker.browser).at(-1).parent, spanOf(carried));
  }
});

test('in lightweight mode a client that changes its mind between pages that are not traced is followed', async () => {
  const worker = await carrying(TARGETS);
  await visit(worker, '1', {}, ELSEWHERE);
  await visit(worker, '2', { baggage: 'k=v' }, ELSEWHERE);
  assert.deepEqual(carriedBy(worker, { requestId: '3', url: ELSEWHERE }, { baggage: 'k=v' }), {});
  assert.equal(carriedBy(worker, { requestId: '4' }, { baggage: 'k=v' }).baggage, 'k=v');
  await visit(worker, '5', { navtrace: 'off' }, ELSEWHERE);
  assert.deepEqual(carriedBy(worker, { requestId: '6' }, { navtrace: 'off' }), {});
});

test('in lightweight mode no two navigations have one context, and each request has the trace of its page', async () => {
  for (const scope of /** @type {const} */ (['session', 'tab', 'navigation'])) {
    const worker = await carrying({ scope, ...TARGETS });
    const spans = [];
    for (let n = 0; n < 40; n += 1) {
      const said = [{}, THEIRS, { navtrace: 'new-trace' }, {}, { navtrace: 'propagator=jaeger' }][n % 5] ?? {};
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

test('a header that can not be read is told of once, however many navigations have it', async () => {
  for (const granted of [false, true]) {
    const worker = await carrying({}, { granted });
    for (const requestId of ['1', '2', '3']) await visit(worker, requestId, { navtrace: 'ofd' });
    assert.deepEqual(worker.said().filter((type) => type === 'problem'), ['problem']);
  }
});
