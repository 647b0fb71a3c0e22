import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';

import { fakeChrome, settled } from './support/chrome.js';
import { AS_CONFIGURED, NAMED, TAB, answer, begin, carried, idle, importWorker } from './support/popup.js';
import { MAX_REGEX_LENGTH } from './support/rule-engine.js';

beforeEach(() => {
  mock.reset();
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1000 });
  mock.method(console, 'warn', () => {});
});

test("a choice needs the host's answer", async () => {
  const { browser, popup, host } = await begin(true);
  const asked = popup.ask({ type: 'choose', ratio: 0.5, targets: ['https://other.test/*'], resources: null });
  await settled();
  assert.deepEqual(host()?.sent.at(-1), { v: 1, type: 'choose', ratio: 0.5, targets: ['https://other.test/*'], resources: null });
  const chosen = { sampler: { ratio: 0.5, parentBased: true }, targets: ['^https://other\\.test/'] };
  host()?.receive(answer(NAMED, chosen));
  await asked;
  assert.deepEqual(popup.view().chosen, { ratio: 0.5, targets: ['https://other.test/*'], resources: null });
  assert.equal(popup.view().tab.traced, false);
  assert.equal(carried(browser), null);

  // Another host is told, and nothing changes until it has answered.
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

  // A restarted worker knows the choice too.
  const next = fakeChrome({ tabs: [TAB], windows: [TAB - 1], granted: true, rules: [...browser.rules.values()] });
  await importWorker('activated');
  await idle();
  next.ports[0]?.receive(answer());
  await idle();
  assert.deepEqual(next.ports[0]?.sent.at(-1).targets, ['https://other.test/*']);
  assert.equal(carried(next), null);
});

test('an invalid choice is refused with a reason', async () => {
  const { popup, host } = await begin(true);
  const asked = popup.ask({ type: 'choose', ratio: null, targets: ['shop'], resources: null });
  await settled();
  host()?.receive({ v: 1, type: 'error', code: 'refused', message: '"shop" is not a valid pattern' });
  await asked;
  assert.deepEqual(popup.said.at(-1), { type: 'refused', command: 'choose', message: '"shop" is not a valid pattern' });
  assert.deepEqual(popup.view().chosen, AS_CONFIGURED);
  const waiting = popup.ask({ type: 'choose', ratio: 0, targets: null, resources: null });
  await settled();
  host()?.disconnect();
  await waiting;
  assert.equal(popup.said.filter(({ type }) => type === 'refused').at(-1).message, 'the host disconnected before it answered');
  await popup.ask({ type: 'choose', ratio: 0, targets: null, resources: null });
  assert.match(popup.said.filter(({ type }) => type === 'refused').at(-1).message, /^there is no host to ask: /);
});

for (const granted of [true, false]) {
  test(`${granted ? 'detailed' : 'lightweight'}: the choice of resources is sent and followed`, async () => {
    const { browser, popup, host } = await begin(granted);
    const [kinds, chosen] = [['main_frame', 'xmlhttprequest'], { ratio: null, targets: null, resources: ['calls'] }];
    const asked = popup.ask({ type: 'choose', ...chosen });
    await settled();
    assert.deepEqual(host()?.sent.at(-1), { v: 1, type: 'choose', ...chosen });
    host()?.receive(answer(NAMED, { resources: kinds }));
    await asked;
    assert.deepEqual(popup.view().chosen, chosen);
    assert.deepEqual(popup.view().configured.resources, ['all']);
    assert.deepEqual(browser.filters('webRequest.onCompleted'), [{ urls: ['<all_urls>'], types: kinds }]);
    assert.equal(carried(browser, { type: 'image' })?.traceId, NAMED.traceId);

    // A restarted worker tells its host again.
    const next = fakeChrome({ tabs: [TAB], windows: [TAB - 1], granted, rules: [...browser.rules.values()] });
    await importWorker('activated');
    await idle();
    next.ports[0]?.receive(answer());
    await idle();
    assert.deepEqual(next.ports[0]?.sent.at(-1), { v: 1, type: 'choose', ...chosen });
  });
}

test('resources that the host does not know are refused', async () => {
  const { popup, host } = await begin(true);
  const asked = popup.ask({ type: 'choose', ...AS_CONFIGURED, resources: ['pictures'] });
  await settled();
  host()?.receive({ v: 1, type: 'error', code: 'refused', message: 'pictures is not a kind of request' });
  await asked;
  assert.deepEqual(popup.said.at(-1), { type: 'refused', command: 'choose', message: 'pictures is not a kind of request' });
  assert.deepEqual(popup.view().chosen, AS_CONFIGURED);
});

/** Chooses a target that rules of the browser refuse. @param {boolean} granted */
async function chooseLong(granted) {
  const worker = await begin(granted);
  const targets = ['https://example.test/*', 'https://long.test/*'];
  const asked = worker.popup.ask({ type: 'choose', ratio: null, targets, resources: null });
  await settled();
  worker.host()?.receive(answer(NAMED, { targets: ['^https://example\\.test/', 'x'.repeat(MAX_REGEX_LENGTH + 1)] }));
  await settled();
  return { ...worker, asked, targets };
}

test('lightweight: a target that rules refuse is not accepted', async () => {
  const { browser, popup, host, asked } = await chooseLong(false);
  assert.deepEqual(host()?.sent.at(-1), { v: 1, type: 'choose', ...AS_CONFIGURED }, 'the host goes back to the choice before');
  host()?.receive(answer());
  await asked;
  const message =
    'the target "https://long.test/*" is too long or complex for a rule of the browser, so it gets no headers: shorten it, or use detailed mode with NAVTRACE_RESOURCES=all';
  assert.deepEqual(popup.said.at(-1), { type: 'refused', command: 'choose', message });
  assert.deepEqual(popup.view().chosen, AS_CONFIGURED);
  assert.equal(carried(browser)?.traceId, NAMED.traceId);
});

test('detailed: a chosen target that rules refuse is accepted', async () => {
  const { popup, asked, targets } = await chooseLong(true);
  await asked;
  assert.deepEqual(popup.view().chosen, { ratio: null, targets, resources: null });
});

test('detailed: rules of other kinds may refuse a target as well', async () => {
  const { popup, host } = await begin(true);
  const targets = ['https://long.test/*'];
  const asked = popup.ask({ type: 'choose', ratio: null, targets, resources: ['calls'] });
  await settled();
  host()?.receive(answer(NAMED, { targets: ['x'.repeat(MAX_REGEX_LENGTH + 1)], resources: ['main_frame'] }));
  await settled();
  host()?.receive(answer());
  await asked;
  assert.match(popup.said.at(-1).message, /^the target "https:\/\/long\.test\/\*" is too long or complex for a rule/);
  assert.deepEqual(popup.view().chosen, AS_CONFIGURED);
});
