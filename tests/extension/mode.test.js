import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { fakeChrome, settled } from './support/chrome.js';
import { AS_RECORDED, BLOCKING, ELSEWHERE, NAMED, OPEN, PAGE, TAB, anotherHost, answer, assertCarried, assertNoGap, carrying, hold, idle, navigate, running, start } from './support/headers.js';
import { parseTraceparent } from './support/traceparent.js';
import { resetMocks } from './support/worker.js';

/** @type {ReturnType<typeof resetMocks>} */
let warned;

beforeEach(() => {
  warned = resetMocks();
});

test('to detailed mode: the rules go once the listeners are there', async () => {
  const { browser, said, inForce } = await running({ granted: true, mode: 'lightweight' });
  const release = hold(browser);
  anotherHost(browser, 'auto');
  await assertNoGap(browser);
  assert.deepEqual(browser.blocking(), BLOCKING);
  assert.equal(inForce()?.mode, 'lightweight');
  assert.deepEqual(said(), ['hello', 'armed lightweight']);
  release();
  await assertNoGap(browser);
  assert.deepEqual([...browser.rules.keys()].sort(), [1, 2]);
  assert.deepEqual(browser.rules.get(1), AS_RECORDED);
  assert.deepEqual(said(), ['hello', 'armed lightweight', 'armed detailed']);
  assert.equal(browser.updates.length, 2);
});

test('to lightweight mode: the listeners go once rules are there', async () => {
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

test('the listeners stay when the browser refuses the rules', async () => {
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

test('a page keeps its context over a change of mode', async () => {
  const worker = await running({ granted: true });
  const { browser, contexts } = worker;
  const { named } = navigate(worker, '1');
  anotherHost(browser, 'lightweight');
  await idle();
  assert.ok(named?.includes(String(contexts()?.tabs.get(TAB)?.current.spanId)));
});

test('a navigation ends once over a change of mode', async () => {
  const { browser, navigations } = await running({ granted: true, mode: 'lightweight' });
  const details = { requestId: '1', tabId: TAB, type: 'main_frame', url: PAGE, documentLifecycle: 'active' };
  const sent = navigations.carriedBy(browser.leave(details));
  navigations.requested(TAB, '1', sent);
  anotherHost(browser, 'detailed');
  await idle();
  const hop = navigations.carriedBy(browser.leave(details));
  navigations.requested(TAB, '1', hop);
  assert.notEqual(hop?.spanId, sent?.spanId);
  const received = { ...details, statusCode: 200, responseHeaders: [] };
  const { responseHeaders } = browser.fire('webRequest.onHeadersReceived', received);
  assert.ok(responseHeaders[0].value.includes(String(sent?.spanId)));
  navigations.responded(TAB, '1', PAGE, null);
  assert.deepEqual(navigations.committed(TAB, PAGE).map(({ spanId }) => spanId), [sent?.spanId]);
});

for (const [first, ...wanted] of [
  ['detailed', 'lightweight', 'detailed'],
  ['lightweight', 'detailed', 'lightweight'],
  ['detailed', 'lightweight', 'detailed', 'lightweight'],
  ['lightweight', 'detailed', 'lightweight', 'detailed'],
]) {
  const last = wanted.at(-1);
  test(`${[first, ...wanted].join(', ')} in succession`, async () => {
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

test('granted but never asked: lightweight mode takes over', async () => {
  const { browser, navigations, said, contexts } = await running({ granted: true, asks: false });
  assert.deepEqual(said(), ['hello', 'armed detailed']);
  mock.timers.tick(10);
  navigations.responded(TAB, '1', PAGE, Date.now());
  assert.equal(warned.mock.callCount(), 1);
  await idle();
  assert.deepEqual(said(), ['hello', 'armed detailed', 'armed lightweight']);
  assert.deepEqual(browser.blocking(), []);
  assert.ok(contexts()?.tabs.has(TAB));
  assertCarried(browser);
  assert.equal(browser.updates.length, 2);
});

test('a denied grant stays denied, whatever a host wants', async () => {
  const { browser, navigations, said } = await running({ granted: true, asks: false });
  mock.timers.tick(10);
  navigations.responded(TAB, '1', PAGE, Date.now());
  await idle();
  anotherHost(browser, 'detailed');
  await idle();
  assert.deepEqual(said(), ['hello', 'armed lightweight']);
  assert.deepEqual(browser.blocking(), []);
});

test('a request from before detailed mode proves no denial', async () => {
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
  navigations.responded(TAB, '1', PAGE, 99);
  await idle();
  assert.deepEqual(said(), ['hello', 'armed detailed']);
  navigations.responded(TAB, '2', PAGE, 101);
  await idle();
  assert.deepEqual(said(), ['hello', 'armed detailed', 'armed lightweight']);
});

test('a request from before a switch to detailed proves no denial', async () => {
  const { browser, navigations, said } = await running({ granted: true, asks: false, mode: 'lightweight' });
  mock.timers.tick(50);
  const release = hold(browser);
  anotherHost(browser, 'detailed');
  await idle();
  navigations.responded(TAB, '1', PAGE, Date.now());
  mock.timers.tick(50);
  release();
  await idle();
  navigations.responded(TAB, '2', PAGE, Date.now() - 50);
  await idle();
  assert.deepEqual(said(), ['hello', 'armed lightweight', 'armed detailed']);
  navigations.responded(TAB, '3', PAGE, Date.now() + 1);
  await idle();
  assert.deepEqual(said(), ['hello', 'armed lightweight', 'armed detailed', 'armed lightweight']);
});

test('listeners that were asked once are trusted', async () => {
  const { browser, navigations, said } = await running({ granted: true });
  mock.timers.tick(10);
  browser.leave({ tabId: -1 });
  navigations.responded(TAB, '1', PAGE, Date.now());
  await idle();
  assert.deepEqual(said(), ['hello', 'armed detailed']);
});

for (const [what, url, begun] of /** @type {[string, string | null, number | null][]} */ ([
  ['a file', 'file:///a.html', 20],
  ['an address that is no target', ELSEWHERE, 20],
  ['a download', null, 20],
  ['a navigation that another listener has observed', PAGE, null],
])) {
  test(`${what} proves no denial`, async () => {
    const { browser, navigations, said } = await carrying({ exclude: ['^https://elsewhere\\.test/'] }, { granted: true, asks: false });
    navigations.responded(TAB, '1', url, begun);
    await idle();
    assert.deepEqual(said(), ['hello', 'armed detailed']);
    assert.deepEqual(browser.blocking(), BLOCKING);
    navigations.responded(TAB, '2', PAGE, 20);
    await idle();
    assert.deepEqual(said(), ['hello', 'armed detailed', 'armed lightweight']);
  });
}

test('a navigation of the listener proves no denial', async () => {
  const { browser, navigations, said } = await running({ granted: true });
  const details = { requestId: '1', tabId: TAB, type: 'main_frame', url: PAGE };
  browser.leave(details);
  for (let n = 0; n < 2; n += 1) navigations.responded(TAB, '1', PAGE, 20);
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
  const wants = after === null ? 'no host' : `wanted ${after}`;
  test(`restarted in ${before}, ${wants}: ${mode}`, async () => {
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

test('restarted in detailed mode without the grant: lightweight', async () => {
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

test('restarted in detailed mode, requests have headers at once', async () => {
  const { rules } = await running({ granted: true });
  const browser = fakeChrome({ ...OPEN, granted: true, rules: [...rules.values()] });
  const { ready } = start(browser, { restarted: true });
  const value = browser.leave({ tabId: TAB }).find(({ name }) => name === 'traceparent')?.value;
  assert.ok(parseTraceparent(value));
  await ready;
  assertCarried(browser);
});

test('contexts to come are made anew by other settings', async () => {
  const settings = (/** @type {number} */ ratio) => ({ samplePer: /** @type {const} */ ('navigation'), sampler: { ratio, parentBased: false } });
  const { port, contexts } = await carrying(settings(1));
  const next = () => contexts()?.tabs.get(TAB)?.next;
  const before = next();
  assert.equal(before?.flags, '01');
  port.receive(answer('auto', NAMED, settings(1)));
  await idle();
  assert.deepEqual(next(), before);
  port.receive(answer('auto', NAMED, settings(0)));
  await idle();
  assert.equal(next()?.flags, '00');
});
