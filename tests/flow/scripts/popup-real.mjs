// Tests the popup and the options page with the extension's real worker: popup-real.mjs traced|down|alone|options
// Logs in lines that begin with POPUP what the popup showed during a navigation.
//
//   SITE, OTHER  the origins of the site. With `traced`, only the first one is a target
//   CHROME_BIN   the browser, which `navtrace run` sets
//   EXTENSION    the folder of the extension, without navtrace
//   SHOTS        the folder for screenshots
import assert from 'node:assert/strict';
import process from 'node:process';

import { axe, checked, launch, url } from './extension-pages.mjs';

const [what] = process.argv.slice(2);
const { SITE, OTHER, SHOTS, NAVTRACE_MODE = 'auto' } = process.env;

const context = await launch();
const [worker] = context.serviceWorkers();
const page = await context.newPage();
const popup = await context.newPage();
await popup.setViewportSize({ width: 380, height: 600 });
const problems = checked(popup);

const traceId = () => popup.locator('#trace-id').textContent();
const word = (expected) => popup.locator('#word').getByText(expected, { exact: true }).waitFor();
const now = (event) => console.error(`POPUP ${JSON.stringify(event)}`);

async function load(nav, origin = SITE) {
  await page.goto(`${origin}/page?kind=document&run=popup&nav=${nav}&subs=3`);
  await page.waitForFunction(() => window.done === true, undefined, { polling: 50 });
}

/** The popup shows a change some moments later, and later still on a busy machine. */
const SHOW_LIMIT = 60_000;

/** Waits until the popup lists a navigation with its last request. */
function listed(nav) {
  const isListed = (name) => {
    const latest = document.querySelector('.navigation');
    if (!latest?.querySelector('.address').textContent.includes(`nav=${name}&`)) return false;
    const rows = [...latest.querySelectorAll('.spoken')].map(({ textContent }) => textContent);
    return rows.some((row) => row.includes('kind=fetch-late')) && !rows.some((row) => row.includes('no answer yet'));
  };
  // Not by animation frames: the popup may be behind the page.
  return popup.waitForFunction(isListed, nav, { polling: 50, timeout: SHOW_LIMIT });
}

/** Loads a page, and logs the trace that the popup shows. What is not exported is not listed, so then the popup opens anew. */
async function show(nav, { origin = SITE, isExported = what === 'traced' || what === 'down' } = {}) {
  await load(nav, origin);
  if (isExported) await listed(nav);
  else await open();
  now({ nav, traceId: await traceId() });
}

/** Opens the popup for the tab of the site. */
async function open() {
  const tabId = await worker.evaluate(async () => (await chrome.tabs.query({})).find((tab) => tab.url?.startsWith('http'))?.id);
  assert.equal(typeof tabId, 'number');
  await popup.goto(url(`popup/popup.html?tab=${tabId}`));
  await popup.locator('#trace-id').getByText(/^[0-9a-f]{32}$/).waitFor();
}

async function shot(name) {
  for (const colorScheme of ['light', 'dark']) {
    await popup.emulateMedia({ colorScheme });
    await popup.screenshot({ path: `${SHOTS}/real-${name}-${colorScheme}.png`, fullPage: true });
    assert.deepEqual(await axe(popup), [], `${name} ${colorScheme}`);
  }
}

async function press(selector, key = 'Enter') {
  await popup.bringToFront();
  await popup.locator(selector).press(key);
}

/** Pauses, resumes, and begins a new trace, which needs no host. */
async function steer() {
  await press('#pause');
  await word('Paused');
  await load('paused');
  await shot(`${what}-${NAVTRACE_MODE}-paused`);
  await press('#pause', ' ');
  await popup.locator('#pause').getByText('Pause', { exact: true }).waitFor();
  await show('resumed');
  const before = await traceId();
  await press('#new-trace');
  await popup.waitForFunction((id) => document.querySelector('#trace-id').textContent !== id, before);
  await popup.waitForFunction(() => document.querySelector('#announcement').textContent.startsWith('New trace'));
  await show('renewed');
}

async function traced() {
  await load('before');
  await open();
  await word('Tracing');
  await show('first');
  const rows = popup.locator('.navigation').first().locator('.row');
  assert.ok((await rows.count()) > 3, `${await rows.count()} rows`);
  assert.match(await rows.first().locator('.spoken').textContent(), /^GET \/page\?kind=document&run=popup&nav=first\S*, status 200, /);
  await press('#copy');
  await popup.getByText('Copied', { exact: true }).waitFor();
  assert.equal(await popup.evaluate(() => navigator.clipboard.readText()), await traceId());
  await context.route('https://jaeger.example/**', (route) => route.fulfill({ body: 'trace' }));
  const [opened] = await Promise.all([context.waitForEvent('page'), press('#open')]);
  assert.equal(opened.url(), `https://jaeger.example/trace/${await traceId()}`);
  await opened.close();
  await popup.waitForFunction(() => /^[1-9]\d* exported/.test(document.querySelector('#counts').textContent));
  await shot(`${what}-${NAVTRACE_MODE}`);
  await steer();

  // Another origin is no target until it is chosen. Then the first one is none.
  await load('outside', OTHER);
  await popup.getByText(/is not a target/).waitFor();
  await shot(`${what}-${NAVTRACE_MODE}-outside`);
  await popup.bringToFront();
  await press('#session > summary');
  await popup.locator('#targets').fill('nonsense');
  await press('#targets-apply');
  await popup.locator('#targets-error:not(:empty)').waitFor();
  await shot(`${what}-${NAVTRACE_MODE}-refused`);
  await popup.locator('#targets').fill(`${new URL(OTHER).origin}/*`);
  await press('#targets-apply');
  await popup.waitForFunction(() => document.querySelector('#tab-note').hidden);
  await show('chosen', { origin: OTHER });
  await load('no-longer');
  await popup.getByText(/is not a target/).waitFor();
  await press('#targets-reset');
  await popup.waitForFunction(() => document.querySelector('#tab-note').hidden);
  await show('again');

  // From the next trace on at the latest, nothing is sampled.
  await popup.locator('#sampling').selectOption('own');
  await popup.locator('#own').fill('0');
  await press('#own');
  await popup.locator('#choice').getByText(/^0%/).waitFor();
  const before = await traceId();
  await press('#new-trace');
  await popup.waitForFunction((id) => document.querySelector('#trace-id').textContent !== id, before);
  await show('unsampled', { isExported: false });
  await popup.getByText(/^Not sampled/).waitFor();
}

async function down() {
  await load('before');
  await open();
  await word('Not exported');
  assert.match(await popup.locator('#hints').innerText(), /Spans can't be sent/);
  await show('first');
  await shot('down');
}

async function alone() {
  await load('before');
  await open();
  await word('No host');
  assert.match(await popup.locator('#hints').innerText(), /navtrace install/);
  assert.ok(await popup.locator('#choices').evaluate((fields) => fields.disabled));
  await show('first');
  await shot('alone');
  await steer();
  await press('#hints button');
  await word('No host');
  await popup.goto(url('options/options.html'));
  await popup.locator('#no-host').waitFor();
  await popup.setViewportSize({ width: 1000, height: 700 });
  await shot('alone-options');
}

async function options() {
  await load('before');
  await popup.goto(url('options/options.html'));
  await popup.setViewportSize({ width: 1000, height: 900 });
  const link = popup.locator('#setting-link');
  await link.waitFor();
  await shot('options');
  await link.fill('nonsense');
  await link.press('Enter');
  await popup.locator('#setting-link-error:not(:empty)').waitFor();
  await shot('options-refused');
  await link.fill('https://jaeger.example/trace/{trace_id}');
  await link.press('Enter');
  await popup.getByText('Saved: link.').waitFor();
  now({ nav: 'stored', traceId: '' });
  // The popup shows the setting of the new host.
  await open();
  await popup.locator('#open[href^="https://jaeger.example/trace/"]').waitFor();
  await show('first');
  await popup.goto(url('options/options.html'));
  await popup.getByRole('button', { name: 'Back to default: link' }).click();
  await popup.locator('#save').click();
  await popup.getByText('Saved: link.').waitFor();
}

try {
  await { traced, down, alone, options }[what]();
  assert.deepEqual(problems, []);
} finally {
  await context.close();
}
