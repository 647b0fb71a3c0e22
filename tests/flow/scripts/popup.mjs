// Tests the popup and the options page in a real browser with a fake worker: popup.mjs popup|options
//
//   CHROME_BIN  the browser, /usr/bin/chromium by default
//   EXTENSION   the folder of the extension
//   SHOTS       the folder for screenshots
import assert from 'node:assert/strict';
import process from 'node:process';

import { axe as violations, checked, launch, stops, url } from './extension-pages.mjs';
import { TRACE } from '../../extension/support/views.js';
import { settings, shop, states, view } from './views.mjs';

const [what] = process.argv.slice(2);

/** A fake worker, which sends a view when a page watches, and records the messages that it receives. */
function play(told) {
  globalThis.heard = [];
  globalThis.ports = [];
  Object.defineProperty(chrome.runtime, 'connect', {
    configurable: true,
    value: ({ name }) => {
      const listeners = [];
      const port = {
        name,
        postMessage: (message) => {
          globalThis.heard.push(message);
          const answers = told[message.type] ?? [];
          for (const answer of answers) setTimeout(() => listeners.forEach((listener) => listener(answer)));
        },
        onMessage: { addListener: (listener) => listeners.push(listener) },
        onDisconnect: { addListener: () => undefined },
      };
      globalThis.tell = (message) => listeners.forEach((listener) => listener(message));
      globalThis.ports.push(port);
      return port;
    },
  });
}

const browsers = [];

/** Opens a page of the extension with a fake worker. */
async function open(path, told, settled = {}) {
  const context = await launch({ viewport: { width: 380, height: 600 }, ...settled });
  browsers.push(context);
  await context.addInitScript(play, told);
  const page = await context.newPage();
  const problems = checked(page);
  await page.goto(url(path));
  return { page, problems, context };
}

const heard = (page) => page.evaluate(() => globalThis.heard.filter(({ type }) => type !== 'watch'));
const tell = (page, message) => page.evaluate((told) => globalThis.tell(told), message);

async function popup() {
  const { page, problems, context } = await open('popup/popup.html?tab=7', {});
  const shot = (name) => page.screenshot({ path: `${process.env.SHOTS}/popup-${name}.png`, fullPage: true });
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    for (const name of Object.keys(states(0))) {
      await page.reload();
      const state = states(Date.now())[name];
      if (state !== null) await tell(page, state);
      await page.waitForTimeout(50);
      await shot(`${name}-${colorScheme}`);
      assert.deepEqual(await violations(page), [], `${name} ${colorScheme}`);
      for (const part of await page.locator('details:visible').all()) await part.evaluate((details) => { details.open = true; });
      assert.deepEqual(await violations(page), [], `${name} ${colorScheme}, all open`);
      await sticksIn(page, name);
      if (['detailed', 'no-host', 'lightweight', 'many'].includes(name)) await shot(`${name}-${colorScheme}-open`);
      if (state !== null) await assertReachable(page, name);
    }
  }

  // Zoomed to 200 %, which leaves half the width.
  await page.setViewportSize({ width: 300, height: 600 });
  await page.reload();
  await tell(page, states(Date.now()).many);
  await page.evaluate(() => document.querySelectorAll('details').forEach((details) => { details.open = true; }));
  await sticksIn(page, 'narrow');
  await shot('many-narrow');
  await page.setViewportSize({ width: 380, height: 600 });

  await texts(page);
  await addresses(page);
  await keepsItsPlace(page);
  await actions(page, context);
  assert.deepEqual(problems, []);
}

/** Each state is described in words. */
async function texts(page) {
  const says = {
    connecting: /Starting.*do not get trace headers yet/s,
    detailed: /Tracing.*Each request carries its own span id.*Spans go to http:\/\/localhost:4318\/v1\/traces.*1,284 exported/s,
    lightweight: /Tracing.*Requests carry the span id of their navigation.*Incognito windows are not traced/s,
    'not-granted': /Detailed mode is configured.*navtrace launch/s,
    paused: /Paused.*Requests get no trace headers/s,
    'no-host': /No host.*Requests get trace headers, but nothing is exported.*navtrace install.*Specified native messaging host not found/s,
    'exporter-down': /Not exported.*sent later.*connection refused.*96 exported, 41 kept, 2 dropped/s,
    'no-exporter': /nowhere.*Not sampled/s,
    mismatch: /0\.2\.0.*0\.1\.0.*reload the extension/s,
    'not-a-target': /not a target/,
    'no-tab': /Session/,
  };
  for (const [name, said] of Object.entries(says)) {
    await page.reload();
    await tell(page, states(Date.now())[name]);
    assert.match(await page.locator('body').innerText(), said, name);
    const isOff = name === 'no-host';
    assert.equal(await page.locator('#choices').evaluate((fields) => fields.disabled), isOff, name);
    for (const button of ['#pause', '#new-trace', '#copy']) assert.ok(await page.locator(button).isEnabled(), `${name} ${button}`);
  }
  // Screen readers get sentences.
  await page.reload();
  await tell(page, states(Date.now()).detailed);
  const rows = await page.locator('.navigation').first().locator('.row .spoken').allTextContents();
  assert.equal(rows[0], 'GET /cart?step=2, status 200, 118 ms, starts at 2 ms');
  assert.equal(rows[1], 'GET /assets/shop.css, status 200, from the cache, starts at 124 ms');
  assert.equal(rows[5], 'POST /api/price, failed: 503, 61 ms, starts at 180 ms');
  assert.equal(rows[7], 'GET metrics.example/collect?v=2, failed: net::ERR_CONNECTION_REFUSED, 12 ms, starts at 300 ms');
}

/** Whole addresses can be read by keyboard alone. */
async function addresses(page) {
  await page.reload();
  const state = states(Date.now()).detailed;
  const [navigation] = state.tab.navigations;
  const full = `${navigation.requests[0].url}&long=${'x'.repeat(100)}`;
  await tell(page, { ...state, tab: { ...state.tab, navigations: [{ ...navigation, url: full, requests: [{ ...navigation.requests[0], url: full }] }] } });
  const item = page.locator('.navigation').first();
  const shown = () => item.evaluate((element) => element.innerText.replaceAll('\n', ' '));
  assert.ok((await shown()).includes(full), await shown());
  await item.locator('summary').first().focus();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  assert.ok((await shown()).includes(`GET ${full} span ${navigation.requests[0].spanId}`), await shown());
}

/** A later view changes neither the focus nor what is open or typed. */
async function keepsItsPlace(page) {
  const now = Date.now();
  await page.reload();
  const first = states(now).detailed;
  await tell(page, first);
  const details = page.locator('.navigation > details');
  assert.deepEqual(await details.evaluateAll((all) => all.map(({ open: isOpen }) => isOpen)), [true, false, false]);
  await details.nth(1).locator('> summary').focus();
  await page.keyboard.press('Enter');
  await page.locator('#session > summary').click();
  await page.locator('#targets').fill('https://typed.example/*');
  await details.nth(1).locator('> summary').focus();
  const same = await page.locator('.row').first().elementHandle();
  await tell(page, { ...first, exporter: { ...first.exporter, exported: 1300 }, tab: { ...first.tab, navigations: [shop(now + 5000), ...first.tab.navigations] } });
  assert.equal(await page.locator('#counts').textContent(), '1,300 exported');
  // The new navigation is open. The one before, which was opened automatically, is closed. What the user opened stays open.
  assert.deepEqual(await details.evaluateAll((all) => all.map(({ open: isOpen }) => isOpen)), [true, false, true, false]);
  assert.ok(await details.nth(2).locator('> summary').evaluate((summary) => summary === document.activeElement));
  assert.equal(await page.locator('#targets').inputValue(), 'https://typed.example/*');
  assert.ok(await same.evaluate((row) => row.isConnected));
}

async function actions(page, context) {
  await page.reload();
  const state = states(Date.now()).detailed;
  await tell(page, state);
  await page.locator('#copy').focus();
  await page.keyboard.press('Enter');
  await page.getByText('Copied', { exact: true }).waitFor();
  assert.equal(await page.locator('#announcement').textContent(), 'Trace id copied');
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), TRACE);

  await context.route('https://jaeger.example/**', (route) => route.fulfill({ body: 'trace' }));
  const before = Date.now();
  const [opened] = await Promise.all([context.waitForEvent('page'), page.locator('#open').press('Enter')]);
  const address = new URL(opened.url());
  assert.equal(`${address.origin}${address.pathname}`, `https://jaeger.example/trace/${TRACE}`);
  assert.equal(address.searchParams.get('start'), '1700000000000');
  assert.equal(address.searchParams.get('span'), '00f067aa0ba902b7');
  const end = Number(address.searchParams.get('end')) * 1000;
  assert.ok(end >= before && end < before + 20_000, `${end}`);
  await opened.close();

  await page.locator('#pause').press(' ');
  await page.locator('#new-trace').press('Enter');
  assert.deepEqual(await heard(page), [{ type: 'pause', paused: true }, { type: 'new-trace' }]);
  await tell(page, { ...state, paused: true, session: { ...state.session, traceId: 'f'.repeat(32) } });
  assert.equal(await page.locator('#announcement').textContent(), `New trace ${'f'.repeat(32)}`);
  assert.equal(await page.locator('#pause').textContent(), 'Resume');

  // Sampling and targets.
  await page.evaluate(() => { globalThis.heard.length = 0; });
  await page.locator('#session > summary').press('Enter');
  await page.locator('#sampling').selectOption('0.1');
  await page.locator('#sampling').selectOption('own');
  await page.locator('#own').fill('120');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('#sampling-error').textContent(), 'Enter a number from 0 to 100.');
  assert.equal(await page.locator('#own').getAttribute('aria-invalid'), 'true');
  await page.locator('#own').fill('2.5 %');
  await page.keyboard.press('Enter');
  await page.locator('#targets').fill('https://a.example/*\n\n nonsense ');
  await page.locator('#targets-apply').press('Enter');
  const chosen = (ratio, targets = null, resources = null) => ({ type: 'choose', ratio, targets, resources });
  assert.deepEqual(await heard(page), [chosen(0.1), chosen(0.025), chosen(0.025, ['https://a.example/*', 'nonsense'])]);
  await tell(page, { type: 'refused', command: 'choose', message: 'nonsense: expected a scheme at character 1' });
  await tell(page, { ...state, chosen: { ratio: 0.025, targets: null, resources: null } });
  assert.equal(await page.locator('#targets-error').textContent(), 'nonsense: expected a scheme at character 1');
  assert.equal(await page.locator('#targets').getAttribute('aria-invalid'), 'true');
  assert.match(await page.locator('#targets').getAttribute('aria-describedby'), /targets-error/);
  assert.match(await page.locator('#targets').inputValue(), /nonsense/);
  assert.equal(await page.locator('#choice').textContent(), '2.5%, 2 targets');
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: `${process.env.SHOTS}/popup-refused-${colorScheme}.png`, fullPage: true });
    assert.deepEqual(await violations(page), [], `refused ${colorScheme}`);
  }
  await page.locator('#targets-reset').click();
  assert.equal(await page.locator('#targets').inputValue(), '');
  assert.equal(await page.locator('#targets').getAttribute('aria-invalid'), null);
  assert.deepEqual((await heard(page)).at(-1), chosen(0.025));
  await page.locator('#resources').selectOption('calls');
  assert.deepEqual((await heard(page)).at(-1), chosen(0.025, null, ['calls']));

  // There is no link without a template, or with a template that must not be opened.
  for (const link of [null, 'javascript:alert({trace_id})']) {
    await tell(page, { ...state, link });
    assert.equal(await page.locator('#open').getAttribute('href'), null);
    assert.equal(await page.locator('#open').getAttribute('aria-disabled'), 'true');
  }
  assert.equal(await page.evaluate(() => globalThis.evil), undefined);
}

async function options() {
  const connected = view();
  const missing = states(Date.now())['no-host'];
  const told = { watch: [connected], settings: [settings] };
  const { page, problems, context } = await open('options/options.html', told, { viewport: { width: 1000, height: 800 } });
  const shot = async (name) => {
    // As high as the page, since its buttons stay visible.
    const { width } = page.viewportSize();
    await page.setViewportSize({ width, height: await page.evaluate(() => document.documentElement.scrollHeight) });
    await page.screenshot({ path: `${process.env.SHOTS}/options-${name}.png` });
    await page.setViewportSize({ width, height: 800 });
  };
  await page.locator('.setting').first().waitFor();
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await shot(colorScheme);
    assert.deepEqual(await violations(page), [], colorScheme);
  }
  await assertReachable(page, 'options');
  await page.setViewportSize({ width: 400, height: 800 });
  await sticksIn(page, 'options');
  await shot('narrow');
  await page.setViewportSize({ width: 1000, height: 800 });

  const text = await page.locator('main').innerText();
  assert.match(text, /Saved in \/home\/me\/\.config\/navtrace\/config\.toml/);
  assert.match(text, /In use: detailed, set by the environment variable NAVTRACE_MODE, which overrides the value in the file\./);
  assert.match(text, /In use: https:\/\/shop\.example\/health, set by a command-line option, which overrides the file\./);
  assert.ok(await page.locator('#save').isDisabled());

  // Only changes are stored. A secret stays unless it is edited.
  await page.getByLabel('link', { exact: true }).fill('nonsense');
  await page.getByLabel('web_vitals', { exact: true }).selectOption('off');
  await page.getByLabel('targets', { exact: true }).fill('https://a.example/*\nhttps://b.example/*\n');
  await page.getByRole('button', { name: 'Back to default: mode' }).press('Enter');
  await page.getByRole('button', { name: 'Back to default: otel.exporter_otlp_headers' }).click();
  await page.getByText('5 settings changed').waitFor();
  await page.getByLabel('link', { exact: true }).press('Enter');
  const values = { mode: null, web_vitals: false, link: 'nonsense', targets: ['https://a.example/*', 'https://b.example/*'], 'otel.exporter_otlp_headers': null };
  assert.deepEqual((await heard(page)).at(-1), { type: 'store', values });
  await tell(page, { type: 'refused', command: 'store', message: 'link can’t be used: it must hold {trace_id}, such as http://localhost:16686/trace/{trace_id}' });
  assert.equal(await page.locator('#result').textContent(), 'Nothing was saved.');
  const link = page.getByLabel('link', { exact: true });
  assert.equal(await link.getAttribute('aria-invalid'), 'true');
  assert.match(await page.locator('#setting-link-error').textContent(), /must hold/);
  assert.ok(await link.evaluate((control) => control === document.activeElement));
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await shot(`refused-${colorScheme}`);
    assert.deepEqual(await violations(page), [], `refused ${colorScheme}`);
  }
  // A host that reconnects sends settings again. Typed text stays.
  await tell(page, settings);
  assert.equal(await link.inputValue(), 'nonsense');
  await link.fill('https://t.example/{trace_id}');
  await page.locator('#save').click();
  await tell(page, { type: 'stored' });
  const stored = { link: 'https://t.example/{trace_id}', mode: null, web_vitals: false, targets: values.targets };
  const now = settings.settings.map((setting) => ({ ...setting, ...(setting.key in stored ? { stored: stored[setting.key] } : {}), ...(setting.secret ? { source: 'default' } : {}) }));
  await tell(page, { ...settings, settings: now });
  assert.match(await page.locator('#result').textContent(), /^Saved: mode, web_vitals, link, targets, otel\.exporter_otlp_headers\./);
  assert.ok(await page.locator('#save').isDisabled());
  assert.equal(await page.locator('.setting.changed').count(), 0);
  assert.equal(await page.getByLabel('targets', { exact: true }).inputValue(), 'https://a.example/*\nhttps://b.example/*');

  // Without a host, nothing can be stored.
  await tell(page, missing);
  assert.ok(await page.locator('#fields').evaluate((fields) => fields.disabled));
  assert.ok(await page.locator('#no-host').isVisible());
  await context.addInitScript(play, { watch: [missing] });
  await page.reload();
  await page.locator('#no-host').waitFor();
  assert.match(await page.locator('#no-host').innerText(), /nothing can be saved.*navtrace install.*Specified native messaging host not found/s);
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await shot(`no-host-${colorScheme}`);
    assert.deepEqual(await violations(page), [], `no host ${colorScheme}`);
  }
  await assertReachable(page, 'options without a host');
  await page.locator('#reconnect').press('Enter');
  assert.deepEqual((await heard(page)).at(-1), { type: 'reconnect' });
  assert.deepEqual(problems, []);
}

/** Asserts that a page never scrolls sideways. */
async function sticksIn(page, name) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(over, 0, `${name}: something sticks out`);
}

/** Asserts that Tab reaches every control in the order of the page. */
async function assertReachable(page, name) {
  const { reached, expected } = await stops(page);
  assert.deepEqual(reached, expected, name);
}

try {
  await { popup, options }[what]();
} finally {
  for (const browser of browsers) await browser.close();
}
