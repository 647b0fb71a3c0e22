import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { beforeEach, mock, test } from 'node:test';

import { VIEW_INTERVAL } from '../../extension/pages/serve.js';
import { settled } from './support/chrome.js';
import { AS_CONFIGURED, NAMED, PAGE, SENDER, TAB, answer, begin, connect, idle } from './support/popup.js';

const SETTINGS = JSON.parse(readFileSync(new URL('../fixtures/messages/settings.json', import.meta.url), 'utf8'));
const SETTINGS_VIEW = { ...SETTINGS };
delete SETTINGS_VIEW.v;
const MISMATCH = 'this page belongs to another version of the extension: reload the extension on chrome://extensions';
const CHOSEN = { ratio: 0.5, targets: null, resources: null };

beforeEach(() => {
  mock.reset();
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 1000 });
  mock.method(console, 'warn', () => {});
});

/** Opens the options page beside the popup. */
async function withOptions() {
  const worker = await begin(true);
  const page = connect(worker.browser, { name: 'options', sender: { ...SENDER, url: SENDER.url.replace('popup/popup', 'options/options') } });
  const replies = () => page.said.filter(({ type }) => type !== 'view' && type !== 'executed');
  return { ...worker, page, replies };
}

test('the settings are asked of the host', async () => {
  const { page, host, replies } = await withOptions();
  const asked = page.ask({ type: 'settings' });
  await settled();
  assert.deepEqual(host()?.sent.at(-1), { v: 1, type: 'settings' });
  host()?.receive(SETTINGS);
  await asked;
  assert.deepEqual(replies(), [SETTINGS_VIEW]);
});

test('without an answer the settings are refused', async () => {
  const { page, host, replies } = await withOptions();
  host()?.disconnect();
  await page.ask({ type: 'settings' });
  assert.deepEqual(replies(), [{ type: 'refused', command: 'settings', message: 'there is no host to ask: the host has disconnected' }]);
});

test('values are stored, and a new host reads them', async () => {
  const { browser, page, host, replies } = await withOptions();
  const values = { mode: 'auto', random_flag: true, targets: ['a'], link: null };
  const asked = page.ask({ type: 'store', values });
  await settled();
  assert.deepEqual(host()?.sent.at(-1), { v: 1, type: 'store', values });
  assert.equal(browser.ports.length, 1);
  host()?.receive(SETTINGS);
  await asked;
  assert.deepEqual(replies(), [{ type: 'stored' }, SETTINGS_VIEW]);
  assert.equal(browser.ports.length, 2);
});

test('values that the host refuses are not stored', async () => {
  const { browser, page, host, replies } = await withOptions();
  const asked = page.ask({ type: 'store', values: { mode: 'fast' } });
  await settled();
  host()?.receive({ v: 1, type: 'error', code: 'refused', message: 'mode: expected auto' });
  await asked;
  assert.deepEqual(replies(), [{ type: 'refused', command: 'store', message: 'mode: expected auto' }]);
  assert.equal(browser.ports.length, 1);
});

for (const [what, command] of /** @type {[string, Record<string, unknown>][]} */ ([
  ['no values', { type: 'store' }],
  ['a list of values', { type: 'store', values: ['a'] }],
  ['a value of another type', { type: 'store', values: { mode: 'auto', link: 7 } }],
  ['a list of other values', { type: 'store', values: { targets: [7] } }],
  ['a pause that is neither', { type: 'pause', paused: 'yes' }],
  ['a tab that is none', { type: 'watch', tabId: '7' }],
  ['no choice', { type: 'choose', ratio: 'half' }],
])) {
  test(`${what} cannot be a command`, async () => {
    const { page, host, replies } = await withOptions();
    const { length } = host()?.sent ?? [];
    await page.ask(command);
    assert.deepEqual(replies(), [{ type: 'refused', command: command.type, message: MISMATCH }]);
    assert.equal(host()?.sent.length, length);
  });
}

test('a page is told which commands were executed', async () => {
  const { page } = await withOptions();
  for (const command of [{ type: 'pause', paused: true }, { type: 'pause' }, { type: 'reconnect' }]) await page.ask(command);
  const told = page.said.filter(({ type }) => type !== 'view').map(({ type, command }) => [type, command]);
  assert.deepEqual(told, [['executed', 'pause'], ['refused', 'pause'], ['executed', 'reconnect']]);
});

test('the host is connected again on request', async () => {
  const { browser, page, replies } = await withOptions();
  await page.ask({ type: 'reconnect' });
  assert.deepEqual([browser.ports.length, replies()], [2, []]);
});

test('each page gets views while it is open', async () => {
  const { browser, popup, page } = await withOptions();
  await page.ask({ type: 'watch', tabId: null });
  assert.equal(page.view().tab, null);
  popup.close();
  const { length } = popup.said;
  const before = page.said.length;
  await page.ask({ type: 'pause', paused: true });
  assert.deepEqual([popup.said.length, page.view().paused], [length, true]);
  assert.ok(page.said.length > before);
  page.close();
  assert.deepEqual(browser.listening().filter((name) => name === 'tabs.onUpdated'), []);
});

test('a page that is open keeps its tab up to date when another closes', async () => {
  const { browser, popup, page } = await withOptions();
  await page.ask({ type: 'watch', tabId: null });
  page.close();
  browser.state.urls.set(TAB, `${PAGE}next`);
  const { length } = popup.said;
  browser.fire('tabs.onUpdated', TAB);
  mock.timers.tick(VIEW_INTERVAL);
  await idle();
  assert.equal(popup.said.length, length + 1);
  browser.fire('tabs.onUpdated', TAB + 1);
  mock.timers.tick(VIEW_INTERVAL);
  await idle();
  assert.equal(popup.said.length, length + 1, 'another tab');
});

test('a page that is closed while its view is made gets none', async () => {
  const { browser, popup } = await withOptions();
  const { length } = popup.said;
  browser.fire('tabs.onUpdated', TAB);
  mock.timers.tick(VIEW_INTERVAL);
  popup.close();
  await idle();
  assert.equal(popup.said.length, length);
});

test('a page that has gone stops no view of another', async () => {
  const { popup, page } = await withOptions();
  popup.said.push = () => {
    throw new Error('Attempting to use a disconnected port object');
  };
  await page.ask({ type: 'watch', tabId: null });
  assert.equal(page.view()?.type, 'view');
});

test('a tab that is closed is not shown', async () => {
  const { page } = await withOptions();
  await page.ask({ type: 'watch', tabId: TAB + 5 });
  assert.equal(page.view().tab, null);
});

test('a host that tells less is shown with defaults', async () => {
  const { popup, host } = await begin(true);
  host()?.receive({ ...answer(NAMED, { sampler: { ratio: 0.25, parentBased: false } }), configured: undefined });
  mock.timers.tick(VIEW_INTERVAL);
  await idle();
  const { configured, link, exporter } = popup.view();
  assert.deepEqual(configured, { ratio: 0.25, parentBased: false, targets: [], exclude: [], resources: ['all'] });
  assert.deepEqual([link, exporter], [null, null]);
  host()?.receive({ v: 1, type: 'exporter', exported: 1, kept: 0, dropped: 0, problem: 'down' });
  mock.timers.tick(VIEW_INTERVAL);
  await idle();
  assert.deepEqual(popup.view().exporter, { endpoint: null, exported: 1, kept: 0, dropped: 0, problem: 'down' });
});

/** Chooses, and lets the host go and another come. */
async function chosenBefore() {
  const worker = await begin(true);
  const asked = worker.popup.ask({ type: 'choose', ...CHOSEN });
  await settled();
  worker.host()?.receive(answer(NAMED, { baggage: 'chosen=1' }));
  await asked;
  worker.host()?.disconnect();
  mock.timers.tick(10_000);
  worker.host()?.receive(answer(NAMED, { baggage: 'configured=1' }));
  await settled();
  assert.deepEqual(worker.host()?.sent.at(-1), { v: 1, type: 'choose', ...CHOSEN });
  const view = async () => {
    mock.timers.tick(VIEW_INTERVAL);
    await idle();
    return worker.popup.view();
  };
  return { ...worker, view };
}

test('a choice that a new host cannot follow is given up', async () => {
  const { host, view } = await chosenBefore();
  host()?.receive({ v: 1, type: 'error', code: 'refused', message: 'no' });
  await idle();
  const { chosen, problems } = await view();
  assert.deepEqual([chosen, problems], [AS_CONFIGURED, ['what was chosen for this session does not hold any more: no']]);
});

test('a choice that no host has refused stays', async () => {
  const { host, view } = await chosenBefore();
  host()?.disconnect();
  await idle();
  const { chosen, problems } = await view();
  assert.deepEqual([chosen, problems], [CHOSEN, []]);
});

test('a host that comes while another answers hears of the choice', async () => {
  const { popup, host, browser } = await begin(true);
  const asked = popup.ask({ type: 'choose', ...CHOSEN });
  await settled();
  host()?.receive(answer(NAMED));
  host()?.disconnect();
  mock.timers.tick(10_000);
  await asked;
  await idle();
  assert.equal(browser.ports.length, 2);
  assert.deepEqual([popup.view().chosen, popup.said.at(-1).type], [AS_CONFIGURED, 'refused']);
});
