import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { DEFAULT_PROPAGATION } from '../../extension/context/propagation.js';
import { VIEW_INTERVAL } from '../../extension/control/pages.js';
import { BATCH_DELAY } from '../../extension/observe/outbox.js';
import { LONGEST_REGEX, fakeChrome, settled } from './support/chrome.js';
import { parseTraceparent } from './support/traceparent.js';

const TAB = 100;
const PAGE = 'https://example.test/';
const NAMED = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '01' };
const NEXT = { traceId: 'e'.repeat(32), spanId: 'e'.repeat(16), flags: '01' };
const SENDER = { id: 'aalhdoofknlgjgclnnkjbegphicaohme', url: 'chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/popup/popup.html' };
const CONFIGURED = {
  link: null,
  endpoint: 'http://localhost:4318/v1/traces',
  ratio: 1,
  parentBased: true,
  targets: ['https://example.test/*'],
  exclude: [],
};
const AS_CONFIGURED = { ratio: null, targets: null };

let workers = 0;

beforeEach(() => {
  mock.reset();
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1000 });
  mock.method(console, 'warn', () => {});
});

/** @param {object} [session] @param {object} [settings] @returns {any} */
const answer = (session = NAMED, settings = {}) => ({
  v: 1,
  type: 'session',
  host: '0.1.0',
  mode: 'auto',
  webVitals: false,
  propagation: { ...DEFAULT_PROPAGATION, ...settings },
  session,
  contexts: [],
  traces: [NEXT],
  configured: CONFIGURED,
});

/** Waits for some rule updates. */
async function idle() {
  for (let n = 0; n < 8; n += 1) await settled();
}

/** @param {string} state */
async function importWorker(state) {
  workers += 1;
  Object.assign(globalThis, { self: { serviceWorker: { state } } });
  await import(String(new URL(`../../extension/service-worker.js?commands-${workers}`, import.meta.url)));
  await settled();
}

/**
 * A port of a page's.
 *
 * @param {ReturnType<typeof fakeChrome>} browser
 * @param {{ name?: string, sender?: object }} [options]
 */
function connect(browser, { name = 'popup', sender = SENDER } = {}) {
  /** @type {any[]} */
  const said = [];
  /** @type {((message: unknown) => void)[]} */
  const listeners = [];
  /** @type {(() => void)[]} */
  const ends = [];
  const disconnect = mock.fn();
  const port = {
    name,
    sender,
    disconnect,
    postMessage: (/** @type {unknown} */ message) => void said.push(structuredClone(message)),
    onMessage: { addListener: (/** @type {any} */ listener) => void listeners.push(listener) },
    onDisconnect: { addListener: (/** @type {any} */ listener) => void ends.push(listener) },
  };
  // The real one goes as it is.
  for (const { listener } of browser.registered.get('runtime.onConnect') ?? []) listener(port);
  /** @param {unknown} message */
  const ask = async (message) => {
    for (const listener of listeners) listener(message);
    await idle();
    mock.timers.tick(VIEW_INTERVAL);
    await idle();
  };
  const close = () => ends.forEach((end) => end());
  return { ask, said, disconnect, close, view: () => said.findLast(({ type }) => type === 'view') };
}

/** A browser with an armed session, and a popup that watches its tab. @param {boolean} granted */
async function begin(granted) {
  const browser = fakeChrome({ tabs: [TAB], windows: [TAB - 1], granted });
  browser.state.urls.set(TAB, PAGE);
  await importWorker('parsed');
  browser.ports[0]?.receive(answer());
  await idle();
  const popup = connect(browser);
  await popup.ask({ type: 'watch', tabId: TAB });
  return { browser, popup, host: () => browser.ports.at(-1) };
}

/** What a request carries. @param {ReturnType<typeof fakeChrome>} browser @param {object} [details] */
const carried = (browser, details) => parseTraceparent(browser.leave({ tabId: TAB, ...details }).find(({ name }) => name === 'traceparent')?.value);

/** Loads a page. @param {ReturnType<typeof fakeChrome>} browser @param {string} requestId */
async function load(browser, requestId) {
  const details = { tabId: TAB, requestId, type: 'main_frame', method: 'GET', url: PAGE, timeStamp: Date.now(), documentLifecycle: 'active' };
  const context = carried(browser, details);
  const response = { ...details, statusCode: 200, statusLine: 'HTTP/1.1 200 OK', fromCache: false, responseHeaders: [] };
  browser.fire('webRequest.onHeadersReceived', response);
  browser.fire('webRequest.onResponseStarted', response);
  browser.fire('webRequest.onCompleted', response);
  await idle();
  browser.fire('webNavigation.onCommitted', {
    tabId: TAB, url: PAGE, parentFrameId: -1, documentLifecycle: 'active', documentId: `d${requestId}`, timeStamp: Date.now(), transitionType: 'typed',
  });
  await idle();
  return context;
}

/** What a host was told of. @param {any} port @returns {any[]} the batches */
function batches(port) {
  mock.timers.tick(BATCH_DELAY);
  return port.sent.filter((/** @type {any} */ { type }) => type === 'observed');
}

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
      configured: { ratio: 1, parentBased: true, targets: CONFIGURED.targets, exclude: [] },
      problems: [],
    });
    const { navigations, ...rest } = tab;
    assert.deepEqual(rest, { id: TAB, traced: true, traceId: NAMED.traceId, sampled: true });
    const spanId = granted ? navigations[0].spanId : context?.spanId;
    assert.deepEqual([navigations[0].spanId, navigations[0].url, navigations[0].status], [spanId, PAGE, 200]);
  });

  test(`${mode}: while paused nothing is traced, and afterwards all goes on`, async () => {
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
    const steered = browser.leave({ tabId: TAB, requestHeaders: [{ name: 'navtrace', value: 'new-trace' }] });
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

  test(`${mode}: a worker that is restarted while paused stays so`, async () => {
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

  test(`${mode}: a new trace takes what starts after it, and leaves what is under way`, async () => {
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
    // Its parent is the document's new navigation, which the host knows.
    const committed = observed.flatMap(({ observations }) => observations).filter(({ transition }) => transition === 'new-trace');
    const { parent } = observed.flatMap(({ observations }) => observations).find(({ request }) => request === '2') ?? {};
    assert.deepEqual(committed.map(({ spanId, url }) => [spanId, url]), [[parent, PAGE]]);
    assert.notEqual(parent, before?.spanId);
    assert.equal((await load(browser, '3'))?.traceId, NEXT.traceId);
  });

  test(`${mode}: a navigation under way stays in its trace, and its document goes on in the new one`, async () => {
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

test('a choice is the host\'s to make', async () => {
  const { browser, popup, host } = await begin(true);
  const asked = popup.ask({ type: 'choose', ratio: 0.5, targets: ['https://other.test/*'] });
  await settled();
  assert.deepEqual(host()?.sent.at(-1), { v: 1, type: 'choose', ratio: 0.5, targets: ['https://other.test/*'] });
  const chosen = { sampler: { ratio: 0.5, parentBased: true }, targets: ['^https://other\\.test/'] };
  host()?.receive(answer(NAMED, chosen));
  await asked;
  assert.deepEqual(popup.view().chosen, { ratio: 0.5, targets: ['https://other.test/*'] });
  assert.equal(popup.view().tab.traced, false);
  assert.equal(carried(browser), null);

  // Another host is told of it, and nothing changes until it has answered.
  host()?.disconnect();
  mock.timers.tick(10_000);
  const updates = browser.updates.length;
  host()?.receive(answer());
  await idle();
  assert.equal(carried(browser), null);
  assert.deepEqual(host()?.sent.filter((sent) => sent.type === 'choose').length, 1);
  host()?.receive(answer(NAMED, chosen));
  await idle();
  assert.equal(browser.updates.length, updates);

  // A worker that is restarted knows it too.
  const next = fakeChrome({ tabs: [TAB], windows: [TAB - 1], granted: true, rules: [...browser.rules.values()] });
  await importWorker('activated');
  await idle();
  next.ports[0]?.receive(answer());
  await idle();
  assert.deepEqual(next.ports[0]?.sent.at(-1).targets, ['https://other.test/*']);
  assert.equal(carried(next), null);
});

test('what can not be chosen is refused with the sentence', async () => {
  const { popup, host } = await begin(true);
  const asked = popup.ask({ type: 'choose', ratio: null, targets: ['shop'] });
  await settled();
  host()?.receive({ v: 1, type: 'error', code: 'refused', message: '"shop" is wrong' });
  await asked;
  assert.deepEqual(popup.said.at(-1), { type: 'refused', command: 'choose', message: '"shop" is wrong' });
  assert.deepEqual(popup.view().chosen, AS_CONFIGURED);
  const waiting = popup.ask({ type: 'choose', ratio: 0, targets: null });
  await settled();
  host()?.disconnect();
  await waiting;
  assert.equal(popup.said.filter(({ type }) => type === 'refused').at(-1).message, 'the host has gone before it answered');
  await popup.ask({ type: 'choose', ratio: 0, targets: null });
  assert.match(popup.said.filter(({ type }) => type === 'refused').at(-1).message, /^there is no host to ask: /);
});

/** Chooses a target that rules of the browser refuse. @param {boolean} granted */
async function chooseLong(granted) {
  const worker = await begin(granted);
  const targets = ['https://example.test/*', 'https://long.test/*'];
  const asked = worker.popup.ask({ type: 'choose', ratio: null, targets });
  await settled();
  worker.host()?.receive(answer(NAMED, { targets: ['^https://example\\.test/', 'x'.repeat(LONGEST_REGEX + 1)] }));
  await settled();
  return { ...worker, asked, targets };
}

test('lightweight: a chosen target that rules refuse is not accepted', async () => {
  const { browser, popup, host, asked } = await chooseLong(false);
  assert.deepEqual(host()?.sent.at(-1), { v: 1, type: 'choose', ...AS_CONFIGURED }, 'the host goes back to the choice before');
  host()?.receive(answer());
  await asked;
  const message =
    'the target "https://long.test/*" is too long or complex for a rule of the browser, so it gets no headers: shorten it, or use detailed mode';
  assert.deepEqual(popup.said.at(-1), { type: 'refused', command: 'choose', message });
  assert.deepEqual(popup.view().chosen, AS_CONFIGURED);
  assert.equal(carried(browser)?.traceId, NAMED.traceId);
});

test('detailed: a chosen target that rules refuse is accepted', async () => {
  const { popup, asked, targets } = await chooseLong(true);
  await asked;
  assert.deepEqual(popup.view().chosen, { ratio: null, targets });
});

test('a reconnection is at once, and what the old host still says is not heard', async () => {
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

test('what is wrong is on the button', async () => {
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

test('a page that is closed before the worker is ready is not watched for', async () => {
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
  assert.deepEqual([popup.said, browser.calls.filter((call) => call === 'tabs.get')], [[], []]);
});

test('contexts that were asked for before a new trace are not for it', async () => {
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

test('nobody else is served', async () => {
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

test('what is no command is refused', async () => {
  const { popup } = await begin(true);
  for (const command of [null, {}, { type: 'toString' }, { type: 'pause' }, { type: 'watch', tabId: '1' }, { type: 'choose', ratio: '1', targets: null }]) {
    await popup.ask(command);
    assert.equal(popup.said.findLast(({ type }) => type === 'refused')?.message.includes('reload the extension'), true, JSON.stringify(command));
    popup.said.length = 0;
  }
});
