import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { VIEW_INTERVAL } from '../../extension/pages/serve.js';
import { fakeChrome } from './support/chrome.js';
import { AS_CONFIGURED, CONFIGURED, NAMED, NEXT, PAGE, SENDER, TAB, answer, batches, begin, carried, connect, idle, importWorker, load } from './support/popup.js';

beforeEach(() => {
  mock.reset();
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1000 });
  mock.method(console, 'warn', () => {});
});

for (const granted of [true, false]) {
  const mode = granted ? 'detailed' : 'lightweight';

  test(`${mode}: a view says how it stands`, async () => {
    const { browser, popup, host } = await begin(granted);
    const context = await load(browser, '1');
    host()?.receive({ v: 1, type: 'exporter', exported: 3, kept: 2, dropped: 1, problem: null });
    mock.timers.tick(VIEW_INTERVAL);
    await idle();
    const { tab, ...view } = popup.view();
    assert.deepEqual(view, {
      type: 'view',
      version: '0.1.0',
      mode,
      wantedMode: 'auto',
      offTheRecord: true,
      paused: false,
      host: { state: 'connected', version: '0.1.0', reason: null },
      exporter: { endpoint: CONFIGURED.endpoint, exported: 3, kept: 2, dropped: 1, problem: null },
      link: null,
      session: { ...NAMED, started: 1000 },
      chosen: AS_CONFIGURED,
      configured: { ratio: 1, parentBased: true, targets: CONFIGURED.targets, exclude: [], resources: ['all'] },
      problems: [],
    });
    const { navigations, ...rest } = tab;
    assert.deepEqual(rest, { id: TAB, traced: true, traceId: NAMED.traceId, sampled: true });
    const spanId = granted ? navigations[0].spanId : context?.spanId;
    assert.deepEqual([navigations[0].spanId, navigations[0].url, navigations[0].status], [spanId, PAGE, 200]);
  });

  test(`${mode}: a pause stops all tracing until its end`, async () => {
    const { browser, popup, host } = await begin(granted);
    await load(browser, '1');
    const before = carried(browser);
    const told = batches(host()).length;
    await popup.ask({ type: 'pause', paused: true });
    assert.equal(popup.view().paused, true);
    assert.equal(popup.view().tab.traced, false);
    assert.deepEqual(browser.blocking(), []);
    assert.equal(browser.state.badge, 'off');
    await load(browser, '2');
    assert.equal(carried(browser), null);
    const steered = browser.leave({ tabId: TAB, requestHeaders: [{ name: 'sec-ch-navtrace', value: 'new-trace' }] });
    assert.deepEqual(steered, [], 'what a script steers by does not leave either');
    assert.equal(batches(host()).length, told);
    await popup.ask({ type: 'pause', paused: false });
    assert.equal(browser.state.badge, '');
    assert.equal(carried(browser)?.traceId, before?.traceId);
    const again = await load(browser, '3');
    assert.equal(again?.traceId, NAMED.traceId);
    assert.ok(batches(host()).length > told);
    assert.equal(browser.ports.length, 1);
  });

  test(`${mode}: while paused only requests under way are observed`, async () => {
    const { browser, popup, host } = await begin(granted);
    const ends = () => browser.listening().filter((name) => /onCompleted|onBeforeRedirect/.test(name) && name.startsWith('webRequest.')).length;
    await load(browser, '1');
    const slow = { tabId: TAB, requestId: 'slow', type: 'image', method: 'GET', url: `${PAGE}slow`, documentId: 'd1', timeStamp: Date.now() };
    carried(browser, slow);
    await popup.ask({ type: 'pause', paused: true });
    assert.equal(ends(), 2);
    carried(browser, { ...slow, requestId: 'later' });
    browser.fire('webRequest.onCompleted', { ...slow, statusCode: 200, fromCache: false });
    assert.equal(ends(), 0);
    const told = batches(host()).flatMap(({ observations }) => observations).filter(({ request }) => ['slow', 'later'].includes(request));
    assert.deepEqual(told.map(({ what, request }) => [what, request]), [['request-started', 'slow'], ['request-completed', 'slow']]);
    await popup.ask({ type: 'pause', paused: false });
    assert.equal(ends(), 2);
  });

  test(`${mode}: a worker restarted while paused stays so`, async () => {
    const { browser, popup } = await begin(granted);
    await load(browser, '1');
    await popup.ask({ type: 'pause', paused: true });
    const rules = [...browser.rules.values()];
    const next = fakeChrome({ tabs: [TAB], windows: [TAB - 1], granted, rules });
    await importWorker('activated');
    await idle();
    next.ports[0]?.receive(answer());
    await idle();
    assert.deepEqual(next.blocking(), []);
    assert.equal(carried(next), null);
    const popupAgain = connect(next);
    await popupAgain.ask({ type: 'watch', tabId: null });
    assert.equal(popupAgain.view().paused, true);
    await popupAgain.ask({ type: 'pause', paused: false });
    assert.equal(carried(next)?.traceId, NAMED.traceId);
  });

  test(`${mode}: a new trace takes only what starts after it`, async () => {
    const { browser, popup, host } = await begin(granted);
    await load(browser, '1');
    const slow = { tabId: TAB, requestId: 'slow', type: 'image', method: 'GET', url: `${PAGE}slow`, documentId: 'd1', timeStamp: Date.now() };
    const before = carried(browser, slow);
    assert.equal(before?.traceId, NAMED.traceId);
    mock.timers.tick(5000);
    await popup.ask({ type: 'new-trace' });
    assert.deepEqual(popup.view().session, { ...NEXT, started: popup.view().session.started });
    assert.ok(popup.view().session.started >= 6000);
    assert.deepEqual(host()?.sent.filter(({ type }) => type === 'hello').map(({ session }) => session), [null, NEXT]);
    host()?.receive(answer(NEXT));
    await idle();
    const after = carried(browser, { documentId: 'd1', requestId: '2' });
    assert.equal(after?.traceId, NEXT.traceId);
    browser.fire('webRequest.onCompleted', { ...slow, statusCode: 200, statusLine: 'HTTP/1.1 200 OK', fromCache: false, responseHeaders: [] });
    const observed = batches(host());
    /** @param {string} what @param {string} [request] */
    const sessionOf = (what, request) => {
      const all = observed.filter(({ observations }) => observations.some((/** @type {any} */ one) => one.what === what && one.request === request));
      return all.at(-1)?.session ?? null;
    };
    assert.deepEqual(sessionOf('request-completed', 'slow'), NAMED);
    assert.equal(sessionOf('request-started', '2'), null);
    // The parent is the document's new navigation, which the host knows.
    const committed = observed.flatMap(({ observations }) => observations).filter(({ transition }) => transition === 'new-trace');
    const { parent } = observed.flatMap(({ observations }) => observations).find(({ request }) => request === '2') ?? {};
    assert.deepEqual(committed.map(({ spanId, url }) => [spanId, url]), [[parent, PAGE]]);
    assert.notEqual(parent, before?.spanId);
    assert.equal((await load(browser, '3'))?.traceId, NEXT.traceId);
  });

  test(`${mode}: a document goes on in the new trace`, async () => {
    const { browser, popup, host } = await begin(granted);
    browser.state.urls.set(TAB, 'about:blank');
    const details = { tabId: TAB, requestId: '1', type: 'main_frame', method: 'GET', url: PAGE, timeStamp: Date.now(), documentLifecycle: 'active' };
    assert.equal(carried(browser, details)?.traceId, NAMED.traceId);
    await popup.ask({ type: 'new-trace' });
    host()?.receive(answer(NEXT));
    await idle();
    const response = { ...details, statusCode: 200, statusLine: 'HTTP/1.1 200 OK', fromCache: false, responseHeaders: [] };
    browser.fire('webRequest.onResponseStarted', response);
    browser.fire('webRequest.onCompleted', response);
    await idle();
    browser.fire('webNavigation.onCommitted', {
      tabId: TAB, url: PAGE, parentFrameId: -1, documentLifecycle: 'active', documentId: 'd1', timeStamp: Date.now(), transitionType: 'typed',
    });
    await idle();
    assert.equal(carried(browser, { documentId: 'd1', requestId: '2' })?.traceId, NEXT.traceId);
    const committed = batches(host()).flatMap(({ session, observations }) =>
      observations.filter((/** @type {any} */ { what }) => what === 'navigation-committed').map((/** @type {any} */ { transition }) => [transition, session?.traceId ?? null]),
    );
    assert.deepEqual(committed.sort(), [['new-trace', null], ['typed', NAMED.traceId]]);
  });
}

test('after a reconnection the old host is not heard', async () => {
  const { browser, popup, host } = await begin(true);
  const old = host();
  await popup.ask({ type: 'reconnect' });
  assert.equal(browser.ports.length, 2);
  assert.deepEqual(host()?.sent[0]?.session, NAMED);
  old?.receive({ v: 1, type: 'exporter', exported: 9, kept: 0, dropped: 0, problem: null });
  host()?.receive(answer());
  await idle();
  mock.timers.tick(VIEW_INTERVAL);
  await idle();
  assert.equal(popup.view().host.state, 'connected');
  assert.equal(popup.view().exporter, null);
});

test('the badge shows problems', async () => {
  const { browser, host } = await begin(true);
  host()?.receive({ v: 1, type: 'exporter', exported: 0, kept: 5, dropped: 0, problem: 'spans can\'t be sent' });
  assert.deepEqual([browser.state.badge, browser.state.title], ['!', "navtrace: detailed mode; spans can't be sent"]);
  host()?.receive({ v: 1, type: 'exporter', exported: 5, kept: 0, dropped: 0, problem: null });
  assert.deepEqual([browser.state.badge, browser.state.title], ['', 'navtrace: detailed mode']);
});

test('views come at most so often, and none while nobody watches', async () => {
  const { browser, popup } = await begin(true);
  const count = () => popup.said.length;
  const before = count();
  for (let n = 0; n < 50; n += 1) carried(browser, { requestId: `r${n}` });
  await idle();
  assert.equal(count(), before);
  mock.timers.tick(VIEW_INTERVAL);
  await idle();
  assert.equal(count(), before + 1);
  const gets = () => browser.calls.filter((call) => call === 'tabs.get').length;
  popup.close();
  const asked = gets();
  carried(browser, { requestId: 'last' });
  mock.timers.tick(10 * VIEW_INTERVAL);
  await idle();
  assert.deepEqual([count(), gets()], [before + 1, asked]);
});

test('a navigation without a trace is shown too', async () => {
  const { browser, popup } = await begin(true);
  const before = popup.said.length;
  for (const tabId of [TAB, TAB + 1]) {
    browser.fire('tabs.onUpdated', tabId, { status: 'complete' });
    mock.timers.tick(VIEW_INTERVAL);
    await idle();
    assert.equal(popup.said.length, before + 1);
  }
  popup.close();
  assert.equal(browser.fire('tabs.onUpdated', TAB, { status: 'complete' }), undefined);
});

test('a page closed before the worker is ready is not watched', async () => {
  const browser = fakeChrome({ tabs: [TAB], windows: [TAB - 1], granted: true });
  await importWorker('parsed');
  const popup = connect(browser);
  await popup.ask({ type: 'watch', tabId: TAB });
  popup.close();
  browser.ports[0]?.receive(answer());
  await idle();
  mock.timers.tick(VIEW_INTERVAL);
  await idle();
  carried(browser);
  mock.timers.tick(VIEW_INTERVAL);
  await idle();
  assert.deepEqual([popup.said.filter(({ type }) => type === 'view'), browser.calls.filter((call) => call === 'tabs.get')], [[], []]);
});

test('contexts asked for before a new trace are not for it', async () => {
  const { browser, popup, host } = await begin(true);
  await load(browser, '1');
  assert.equal(host()?.sent.filter(({ type }) => type === 'replenish').length, 1);
  await popup.ask({ type: 'new-trace' });
  host()?.receive({ v: 1, type: 'contexts', contexts: Array(96).fill({ spanId: '9'.repeat(16), flags: '00' }), traces: [] });
  host()?.receive(answer(NEXT));
  await idle();
  for (const requestId of ['2', '3', '4']) {
    const { traceId, flags } = (await load(browser, requestId)) ?? {};
    assert.deepEqual([traceId, flags], [NEXT.traceId, '01']);
  }
  assert.equal(host()?.sent.filter(({ type }) => type === 'replenish').length, 2);
});

test('a new trace does not look as though the host had gone', async () => {
  const { browser, popup, host } = await begin(true);
  await popup.ask({ type: 'new-trace' });
  assert.deepEqual([popup.view().host.state, browser.state.badge], ['connected', '']);
  host()?.disconnect();
  mock.timers.tick(VIEW_INTERVAL);
  await idle();
  assert.deepEqual([popup.view().host.state, browser.state.badge], ['missing', '!']);
});

test("only the extension's pages are served", async () => {
  const { browser } = await begin(true);
  for (const options of [
    { sender: { ...SENDER, id: 'z'.repeat(32) } },
    { sender: { ...SENDER, url: PAGE } },
    { sender: { id: SENDER.id } },
    { name: 'other' },
  ]) {
    const port = connect(browser, options);
    assert.equal(port.disconnect.mock.callCount(), 1);
    await port.ask({ type: 'watch', tabId: TAB });
    assert.deepEqual(port.said, []);
  }
});

test('an unknown command is refused', async () => {
  const { popup } = await begin(true);
  for (const command of [null, {}, { type: 'toString' }, { type: 'pause' }, { type: 'watch', tabId: '1' }, { type: 'choose', ratio: '1', targets: null, resources: null }, { type: 'choose', ratio: 1, targets: null }]) {
    await popup.ask(command);
    assert.equal(popup.said.findLast(({ type }) => type === 'refused')?.message.includes('reload the extension'), true, JSON.stringify(command));
    popup.said.length = 0;
  }
});
