import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { EVERYTHING } from '../../extension/context/propagation.js';
import { fakeChrome, settled } from './support/chrome.js';
import { BLOCKING, CLIENT, ELSEWHERE, NAMED, OPEN, PAGE, TAB, TARGETS, THEIRS, answer, carriedBy, carrying, idle, list, observedStarts, spanOf, start, traceOf, visit } from './support/headers.js';
import { CALLS } from './support/rules.js';
import { propagating } from './support/session.js';
import { resetMocks } from './support/worker.js';

const [INJECT, RECEIVED] = /** @type {[string, string]} */ (BLOCKING);
const SENT = 'webRequest.onSendHeaders';
const ENDS = ['webRequest.onBeforeRedirect', 'webRequest.onCompleted'];
const HERE = { ...TARGETS, domains: ['example.test'] };
const STEERED = { ...THEIRS, 'sec-ch-navtrace': 'on' };
const MAIN_FRAMES = { ...EVERYTHING, types: ['main_frame'] };

beforeEach(() => void resetMocks());

/** @typedef {Awaited<ReturnType<typeof carrying>>} Worker */

/** Returns which ends of requests are listened for. @param {Pick<Worker, 'browser'>} worker */
const ends = ({ browser }) => browser.listening().filter((name) => ENDS.includes(name));

/** Has a host say something else. @param {Worker} worker @param {object} message */
async function say({ port }, message) {
  port.receive(message);
  await idle();
}

for (const granted of [false, true]) {
  const mode = granted ? 'detailed' : 'lightweight';

  test(`${mode}: an unsampled session is not observed`, async () => {
    const worker = await carrying({}, { granted, flags: '00' });
    const { carried } = await visit(worker, '1');
    assert.ok(carried.traceparent?.endsWith('-00'), 'its requests carry contexts all the same');
    carriedBy(worker, { requestId: '2' });
    assert.deepEqual([ends(worker), observedStarts(worker.browser)], [[], []]);
  });

  test(`${mode}: a sampled client in an unsampled session`, async () => {
    const worker = await carrying({}, { granted, flags: '00' });
    await visit(worker, '1', THEIRS);
    assert.deepEqual(ends(worker), ENDS);
    const { carried } = await visit(worker, '2', THEIRS);
    carriedBy(worker, { requestId: '3' }, THEIRS);
    carriedBy(worker, { requestId: '4', tabId: -1 });
    assert.equal(traceOf(carried), CLIENT.traceId);
    const requests = observedStarts(worker.browser).map(({ request }) => request);
    assert.deepEqual(requests, granted ? ['1', '2', '3'] : ['2', '3'], 'those of its tab, from when it is known');
  });

  test(`${mode}: a host that exports nothing hears of no request`, async () => {
    const browser = fakeChrome({ ...OPEN, granted });
    const worker = { ...start(browser), browser };
    await settled();
    worker.port.receive({ ...answer(), exports: false });
    const { navigations } = await worker.ready;
    assert.deepEqual(ends(worker), []);
    const { carried } = await visit({ browser, navigations }, '1');
    assert.equal(traceOf(carried), NAMED.traceId);
    assert.deepEqual(observedStarts(browser), []);
    worker.port.receive(answer());
    await idle();
    assert.deepEqual(ends(worker), ENDS);
    carriedBy(worker, { requestId: '2' });
    assert.deepEqual(observedStarts(browser).map(({ request }) => request), ['2']);
    worker.port.receive({ ...answer(), exports: false });
    await idle();
    assert.deepEqual(ends(worker), []);
  });

  test(`${mode}: listeners are registered for what the host wants`, async () => {
    const settings = { ...HERE, ...CALLS };
    const worker = await carrying(settings, { granted });
    const { browser } = worker;
    const own = granted ? INJECT : SENT;
    const filtered = () => [own, ...ENDS].map((name) => browser.filters(name).find((filter) => filter?.types?.length !== 1));
    const expected = (/** @type {object} */ wanted) => Array(3).fill(propagating(wanted).filter);
    assert.deepEqual(filtered(), expected(settings));
    for (const next of [{}, HERE, CALLS, settings, { targets: ['^https://elsewhere\\.test/'], domains: ['elsewhere.test'] }, settings]) {
      await say(worker, answer('auto', NAMED, next));
      mock.timers.tick(100);
      assert.deepEqual(filtered(), expected(next));
      const ofNavigations = granted && !('domains' in next) ? 0 : 1;
      assert.equal(browser.filters(own).length, 1 + ofNavigations);
    }
  });

  test(`${mode}: a sampled restart observes by the same filter`, async () => {
    const before = await carrying({ ...HERE, ...CALLS }, { granted });
    const worker = await carrying({ ...HERE, ...CALLS }, { granted, restarted: true, rules: [...before.browser.rules.values()] });
    const { filter } = propagating({ ...HERE, ...CALLS });
    for (const name of ENDS) assert.deepEqual(worker.browser.filters(name), [filter]);
    assert.equal(worker.browser.updates.length, 0);
  });

  test(`${mode}: beyond the domains no header of a client leaves`, async () => {
    for (const settings of [HERE, { ...HERE, ...CALLS }]) {
      const worker = await carrying(settings, { granted });
      await visit(worker, '1', THEIRS);
      for (const type of ['main_frame', 'sub_frame', 'script', 'image', 'xmlhttprequest']) {
        assert.deepEqual(carriedBy(worker, { requestId: type, url: ELSEWHERE, type }, { ...STEERED, A: '1' }), { A: '1' }, type);
      }
      const elsewhere = await visit(worker, '2', STEERED, ELSEWHERE);
      assert.deepEqual(elsewhere, { carried: {}, committed: [], ended: [] });
      assert.deepEqual(carriedBy(worker, { requestId: '3', url: ELSEWHERE, documentId: 'e' }, STEERED), {});
    }
  });

  test(`${mode}: a client is held back before its first response`, async () => {
    const worker = await carrying(HERE, { granted });
    const details = { requestId: '1', type: 'main_frame', url: PAGE, documentId: undefined, documentLifecycle: 'active' };
    if (!granted) worker.navigations.arrived({ ...details, tabId: TAB, requestHeaders: list(THEIRS) }, undefined);
    carriedBy(worker, details, THEIRS);
    await idle();
    assert.deepEqual(carriedBy(worker, { requestId: '2', url: ELSEWHERE, type: 'script' }, STEERED), {});
  });

  test(`${mode}: kinds without spans carry contexts unobserved`, async () => {
    const worker = await carrying(CALLS, { granted });
    const { committed } = await visit(worker, '1');
    const image = carriedBy(worker, { requestId: '2', type: 'image' });
    assert.equal(traceOf(image), NAMED.traceId);
    assert.equal(spanOf(image), granted ? NAMED.spanId : committed[0]?.spanId);
    carriedBy(worker, { requestId: '3', type: 'xmlhttprequest' });
    assert.deepEqual(observedStarts(worker.browser).map(({ request }) => request), ['1', '3']);
  });

  test(`${mode}: kinds without spans follow the client of their tab`, async () => {
    const worker = await carrying({ ...HERE, ...CALLS, exclude: ['/private'] }, { granted });
    await visit(worker, '1', THEIRS);
    await visit(worker, '2', THEIRS);
    const details = { requestId: '3', type: 'image' };
    const image = carriedBy(worker, { ...details, url: PAGE }, STEERED);
    assert.deepEqual([traceOf(image), image.tracestate, image['sec-ch-navtrace']], [CLIENT.traceId, 'x=1', undefined]);
    if (granted) assert.equal(spanOf(image), CLIENT.spanId);
    assert.equal(traceOf(carriedBy(worker, { ...details, url: PAGE, tabId: TAB + 1 })), NAMED.traceId, 'another tab');
    for (const url of [ELSEWHERE, `${PAGE}private`]) assert.deepEqual(carriedBy(worker, { ...details, url }, STEERED), {}, url);
    await say(worker, answer('auto', NAMED, { ...HERE, ...CALLS, otherResources: 'none' }));
    for (const url of [PAGE, ELSEWHERE]) {
      assert.deepEqual(carriedBy(worker, { ...details, url }, STEERED), {});
      assert.deepEqual(carriedBy(worker, { ...details, url, tabId: TAB + 1 }), {});
    }
    assert.ok(carriedBy(worker, { requestId: '4', type: 'xmlhttprequest' }).traceparent);
  });
}

test('detailed: navigations cost no update with other kinds either', async () => {
  const worker = await carrying({ ...HERE, ...CALLS }, { granted: true });
  for (let n = 0; n < 10; n += 1) await visit(worker, `${n}`);
  assert.equal(worker.browser.updates.length, 1);
  for (let n = 10; n < 20; n += 1) await visit(worker, `${n}`, THEIRS);
  assert.equal(worker.browser.updates.length, 2, 'a client is one change');
});

for (const granted of [false, true]) {
  test(`${granted ? 'detailed' : 'lightweight'}: a client that begins elsewhere is known`, async () => {
    const worker = await carrying(HERE, { granted });
    await visit(worker, '1', THEIRS, ELSEWHERE);
    assert.deepEqual(carriedBy(worker, { requestId: '2', url: ELSEWHERE, documentId: 'e' }, STEERED), {}, 'no rule knew of it before');
    assert.deepEqual((await visit(worker, '3', STEERED, ELSEWHERE)).carried, {});
    assert.equal(traceOf(carriedBy(worker, { requestId: '4', documentId: 'e' }, THEIRS)), CLIENT.traceId);
    assert.equal(traceOf((await visit(worker, '5', THEIRS)).carried), CLIENT.traceId);
    assert.deepEqual(observedStarts(worker.browser).map(({ request }) => request), ['4', '5']);
  });
}

test('detailed: clients are read where the listener is not asked', async () => {
  const worker = await carrying(HERE, { granted: true });
  const { browser } = worker;
  const reading = () => browser.filters(INJECT).filter((filter) => filter?.types?.length === 1);
  for (let n = 0; n < 2; n += 1) {
    assert.deepEqual(reading(), [MAIN_FRAMES]);
    assert.deepEqual(browser.filters(SENT), []);
    await say(worker, answer('detailed', NAMED, {}));
    assert.deepEqual(reading(), []);
    await say(worker, answer('lightweight', NAMED, HERE));
    assert.deepEqual(reading(), [MAIN_FRAMES]);
    await say(worker, answer('detailed', NAMED, HERE));
  }
});

test('only lightweight mode listens for all main frames', async () => {
  const worker = await carrying({}, { granted: true, mode: 'lightweight' });
  const { browser } = worker;
  const filters = () => [INJECT, SENT, RECEIVED].map((name) => (name === RECEIVED ? new Set(browser.filters(name)) : browser.filters(name)));
  const heads = { ...EVERYTHING, types: ['main_frame', 'sub_frame', 'xmlhttprequest', 'websocket'] };
  const lightweight = [[MAIN_FRAMES], [MAIN_FRAMES, EVERYTHING], new Set([MAIN_FRAMES, heads])];
  for (let n = 0; n < 3; n += 1) {
    assert.deepEqual(filters(), lightweight);
    assert.deepEqual(browser.blocking(), []);
    await say(worker, answer('detailed'));
    assert.deepEqual(filters(), [[EVERYTHING], [], new Set([MAIN_FRAMES, heads])]);
    assert.deepEqual(browser.blocking(), BLOCKING);
    await say(worker, answer('lightweight'));
  }
});
