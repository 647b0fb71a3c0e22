// Tests the page of traces in a real browser: page.mjs normal|hostile|large DIR
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const [what, dir] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const args = process.getuid() === 0 ? ['--no-sandbox'] : [];
const browser = await chromium.launch({ executablePath: process.env.CHROME_BIN ?? '/usr/bin/chromium', args });
const TRACE = '0'.repeat(31);

/** Opens a page, which must have no error. */
async function open(name, { hash = '', ...options } = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => problems.push(message.text()));
  page.on('dialog', (dialog) => problems.push(`dialog: ${dialog.message()}`));
  page.on('request', (request) => request.url().startsWith('file:') || problems.push(`request: ${request.url()}`));
  await page.goto(`${pathToFileURL(`${dir}/${name}.html`)}${hash}`);
  return { page, problems, close: () => context.close() };
}

async function violations(page) {
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() => globalThis.axe.run());
  return found.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html).join(' ')}`);
}

/** Tests the buttons that copy text. */
async function copied() {
  const { page, close } = await open('normal', { permissions: ['clipboard-read', 'clipboard-write'] });
  await page.locator('.row').nth(4).click();
  for (const [button, id] of [['#copy-trace', `${TRACE}1`], ['#details .actions button >> nth=0', '0000000000000005']]) {
    await page.locator(button).click();
    await page.locator(button).getByText('Copied').waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), id);
  }
  await close();
}

const shot = async (page, name) => {
  const folder = process.env.NAVTRACE_SCREENSHOTS;
  if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
};

const rows = (page) => page.locator('#rows').getAttribute('aria-rowcount').then(Number);
const chosen = (page) => page.locator('.row.chosen .name').textContent();

/** Tests the page of a run of several files: it shows all traces together, and leads to single ones and back. */
async function run() {
  for (const colorScheme of ['light', 'dark']) {
    for (const [width, height] of [[360, 800], [1600, 900]]) {
      const { page, problems, close } = await open('run', { colorScheme, viewport: { width, height }, bypassCSP: true });
      assert.deepEqual(await violations(page), [], `${colorScheme} ${width}, a run`);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0, 'nothing sticks out');
      await shot(page, `run-${colorScheme}-${width}`);
      assert.deepEqual(problems, []);
      await close();
    }
  }
  const { page, problems, close } = await open('run', { viewport: { width: 1400, height: 800 } });
  assert.equal(await page.locator('#run h2').textContent(), 'All traces of run nightly-7');
  assert.match(await page.locator('#run > .facts').first().textContent(), /2 files · 2 traces · 1 failed · 6 spans · 1 error · 4 requests · 1 failed · 0 from cache · browser$/);
  const row = (title, number) => page.getByRole('region', { name: title }).locator('tbody tr').nth(number).locator('td').allTextContents();
  assert.deepEqual((await row('Failures', 0)).slice(0, 5), ['1', `${TRACE}2`, 'it broke', 'request', 'browser']);
  const last = await page.getByRole('region', { name: 'Failures' }).evaluate((region) => region.scrollWidth - region.clientWidth);
  assert.equal(last, 0, 'a long operation is wrapped');
  assert.deepEqual(await row('Endpoints', 1), ['2', '0', '180 ms', '180 ms', '180 ms', '180 ms', 'request', 'browser', 'GET shop.test/a']);
  assert.deepEqual(await row('Machines', 1), ['2', '1', '180 ms', '270 ms', '270 ms', '270 ms', '1', '1', 'load-2']);
  assert.ok(await page.locator('#trace').isHidden());
  await page.getByRole('region', { name: 'Failures' }).getByRole('button').click();
  assert.equal(await page.locator('#id').textContent(), `${TRACE}2`);
  assert.match(await page.locator('#details').textContent(), /it broke/);
  assert.ok((await page.locator('#run').isHidden()) && (await page.locator('#traces button[aria-current]').count()) === 1);
  await page.locator('#show-run').click();
  assert.ok((await page.locator('#run').isVisible()) && (await page.locator('#traces button[aria-current]').count()) === 0);
  await page.goBack();
  await page.locator('#trace').waitFor();
  assert.deepEqual(problems, []);
  await close();
}

async function normal() {
  for (const colorScheme of ['light', 'dark']) {
    for (const [width, height] of [[360, 800], [1600, 900], [2560, 1300]]) {
      // Needed only to inject axe.
      const { page, problems, close } = await open('normal', { colorScheme, viewport: { width, height }, bypassCSP: true });
      assert.deepEqual(await violations(page), [], `${colorScheme} ${width}`);
      await shot(page, `${colorScheme}-${width}`);
      await page.locator('.row').nth(5).click();
      await page.locator('#errors').check();
      await page.locator('#help-button').click();
      assert.deepEqual(await violations(page), [], `${colorScheme} ${width}, with details`);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0, 'nothing sticks out');
      await shot(page, `${colorScheme}-${width}-details`);
      assert.deepEqual(problems, []);
      await close();
    }
  }

  await run();
  const { page, problems, close } = await open('normal', { viewport: { width: 1400, height: 800 } });
  assert.equal(await rows(page), 60);
  assert.equal(await page.locator('#traces li').count(), 2);
  assert.match(await page.locator('#left-out').textContent(), /^2 more traces with 7 spans /);
  assert.equal(await page.locator('#link').getAttribute('href'), 'https://jaeger.test/trace/1');
  assert.ok((await page.locator('#clocks-label').isHidden()) && (await page.locator('#notes').isHidden()));

  // Keyboard.
  await page.locator('#rows').focus();
  for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown']) await page.keyboard.press(key);
  assert.equal(await chosen(page), 'GET /2');
  await page.keyboard.press('ArrowLeft');
  assert.equal(await chosen(page), 'navigation http://shop.test/1');
  await page.keyboard.press('ArrowLeft');
  assert.equal(await rows(page), 51);
  assert.match(await page.locator('.row.chosen .note').textContent(), /9 below/);
  assert.equal(await page.locator('.row.chosen').getAttribute('aria-expanded'), 'false');
  await page.keyboard.press('ArrowRight');
  assert.equal(await rows(page), 60);
  assert.equal(await page.locator('.row.chosen').getAttribute('aria-expanded'), 'true');
  assert.equal(await page.locator('.row.chosen').getAttribute('aria-level'), '2');
  await page.keyboard.press('Enter');
  assert.ok(await page.locator('#details').isVisible());
  await page.keyboard.press('Escape');
  assert.ok(await page.locator('#details').isHidden());
  await page.keyboard.press('e');
  await page.keyboard.press('e');
  assert.equal(await chosen(page), 'GET /44');
  await page.keyboard.press('e');
  assert.equal(await chosen(page), 'GET /5');
  assert.match(await page.locator('#details').textContent(), /error: it broke/);
  await page.keyboard.press('End');
  assert.equal(await chosen(page), 'GET /59');
  const active = await page.locator('#rows').getAttribute('aria-activedescendant');
  assert.equal(await page.locator(`#${active} .name`).textContent(), 'GET /59');

  // Closing a row moves the selection to it.
  await page.keyboard.press('Home');
  for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown']) await page.keyboard.press(key);
  await page.locator('.row .toggle').nth(1).click();
  assert.equal(await chosen(page), 'navigation http://shop.test/1');
  await page.locator('.row .toggle').nth(1).click();

  // Zoomed to a navigation: its bar has the full width, and spans outside have none.
  const share = () => page.evaluate(() => document.querySelector('.row.chosen .bar').clientWidth / document.querySelector('.row.chosen .track').clientWidth);
  assert.ok((await share()) < 0.2);
  assert.deepEqual(await page.locator('.row.chosen .moment').evaluateAll((moments) => moments.map(({ title }) => title.split(':')[0])), ['commit', 'DOMContentLoaded', 'load']);
  await page.keyboard.press('z');
  await page.waitForFunction(() => document.querySelector('.row.chosen .bar').clientWidth > 50);
  assert.ok((await share()) > 0.99);
  assert.ok(await page.locator('.row .bar').nth(12).isHidden());
  await page.locator('#whole').click();
  await page.waitForFunction(() => !document.querySelectorAll('.row .bar')[12].hidden);

  const line = () => page.evaluate(() => getComputedStyle(document.querySelector('.row.critical .track'), '::after').content);
  assert.equal(await line(), '""');
  await page.locator('#critical').uncheck();
  assert.equal(await line(), 'none');
  await page.keyboard.press('?');
  assert.ok(await page.locator('#help').isVisible());

  // The rows in the document are in order at every scroll position.
  await page.locator('#rows').evaluate((grid) => grid.scrollTo(0, 500));
  await page.waitForFunction(() => document.querySelector('.row').ariaRowIndex === '10');
  const indices = await page.locator('.row').evaluateAll((all) => all.map((row) => Number(row.ariaRowIndex)));
  assert.deepEqual(indices, indices.map((_, place) => indices[0] + place));
  await page.locator('#rows').evaluate((grid) => grid.scrollTo(0, 0));
  await page.waitForFunction(() => document.querySelector('.row').ariaRowIndex === '1');

  // Filters show the ancestors of a match too.
  await page.keyboard.press('/');
  await page.keyboard.type('shop.test/44');
  assert.equal(await page.locator('#match-count').textContent(), '1 match');
  assert.equal(await rows(page), 3);
  assert.equal(await page.locator('.row.context').count(), 2);
  await page.locator('#search').fill('');
  await page.locator('#errors').check();
  assert.equal(await page.locator('#match-count').textContent(), '2 matches');
  assert.equal(await rows(page), 5);
  // Matches can be opened and closed too.
  await page.locator('.row .toggle').nth(1).click();
  assert.equal(await rows(page), 4);
  await page.locator('.row .toggle').nth(1).click();
  assert.equal(await rows(page), 5);
  await page.locator('#errors').uncheck();
  await page.locator('#uncached').check();
  assert.equal(await page.locator('#match-count').textContent(), '59 matches');
  await page.locator('#uncached').uncheck();
  await page.locator('#service').selectOption('shop');
  assert.equal(await page.locator('#match-count').textContent(), '20 matches');
  await page.locator('#kind').selectOption('client');
  assert.equal(await page.locator('#match-count').textContent(), '0 matches');

  // Locations.
  const goto = (hash) => page.evaluate((to) => { location.hash = to; }, hash);
  await goto(`${TRACE}1/${'0'.repeat(14)}0a`);
  await page.locator('.row.chosen').waitFor();
  assert.equal(await chosen(page), 'GET /9');
  await page.locator('#details a').last().click();
  await page.waitForFunction((id) => document.querySelector('#id').textContent === id, `${TRACE}2`);
  assert.equal(await chosen(page), 'GET /2');
  await goto('nonsense/%zz');
  await page.waitForFunction(() => document.querySelector('#notice').textContent.startsWith('There is no trace nonsense'));
  assert.deepEqual(problems, []);
  await close();

  // The location follows the selection after the last key.
  const located = await open('normal');
  await located.page.locator('.row').nth(4).click();
  await located.page.waitForFunction((end) => location.hash.endsWith(end), '1/0000000000000005');
  await located.page.locator('#traces button').nth(1).click();
  await located.page.waitForFunction((end) => document.querySelector('#id').textContent.endsWith(end), '2');
  await located.page.goBack();
  assert.equal(await chosen(located.page), 'GET /4');
  assert.deepEqual(located.problems, []);
  await located.close();

  await copied();
  const single = await open('single', { bypassCSP: true });
  assert.ok(await single.page.locator('#traces').isHidden());
  assert.deepEqual(await violations(single.page), []);
  await shot(single.page, 'single');
  // Spans of one id have locations of their own.
  await single.page.locator('.row').nth(3).click();
  await single.page.waitForFunction((end) => location.hash.endsWith(end), '0003~2');
  assert.equal(await chosen(single.page), 'GET /3');
  await single.page.locator('#details a').click();
  await single.page.waitForFunction((end) => location.hash.endsWith(end), '0003');
  assert.equal(await chosen(single.page), 'GET /2');
  // Clocks can be corrected, with the selected span kept. The root fills the width again.
  const widthOfRoot = () => single.page.evaluate(() => document.querySelector('.row .bar').clientWidth / document.querySelector('.row .track').clientWidth);
  const notes = () => single.page.locator('#notes').textContent();
  const clockNote = 'The clock of shop is 5.00 s ahead of that of browser.';
  assert.equal(await notes(), `1 span has times that can't be right, and is drawn at its parent. ${clockNote}`);
  assert.match(await single.page.locator('.row .note').nth(7).textContent(), /no start time/);
  assert.ok((await widthOfRoot()) < 0.1);
  await shot(single.page, 'clocks');
  await single.page.locator('#clocks').check();
  await single.page.waitForFunction(() => document.querySelector('.row .bar').clientWidth > 50);
  assert.ok((await widthOfRoot()) > 0.99);
  assert.equal(await notes(), clockNote);
  assert.equal(await chosen(single.page), 'GET /2');
  assert.deepEqual(await violations(single.page), []);
  await shot(single.page, 'clocks-corrected');
  await single.close();

  const shared = await open('normal', { hash: `#${TRACE}2/${'0'.repeat(14)}05` });
  assert.equal(await chosen(shared.page), 'GET /4');
  await shared.close();
  const empty = await open('empty', { bypassCSP: true });
  assert.deepEqual(await violations(empty.page), []);
  await shot(empty.page, 'empty');
  assert.equal(await empty.page.locator('#notice').textContent(), 'There are no traces in this file.');
  assert.deepEqual(empty.problems, []);
  await empty.close();
}

async function hostile() {
  const { page, problems, close } = await open('hostile');
  for (let row = 0; row < 12; row += 1) await page.locator('.row').nth(row).click();
  await page.locator('#search').fill('onerror');
  assert.equal(await page.locator('#match-count').textContent(), '12 matches');
  assert.match(await page.locator('#details').textContent(), /<img src=x onerror=/);
  const made = await page.evaluate(() => [globalThis.evil, document.querySelectorAll('img, #evil').length, document.scripts.length]);
  assert.deepEqual(made, [undefined, 0, 2]);
  assert.equal(await page.locator('#link').getAttribute('href'), null);
  assert.equal(await page.locator('a[href^="javascript:" i]').count(), 0);
  assert.deepEqual(problems, []);
  await close();
}

/** Scrolls a page, and returns what the frames of that were. */
async function scrolling(name) {
  const { page, problems, close } = await open(name, { viewport: { width: 1400, height: 900 } });
  const [count, opened] = [await rows(page), await page.evaluate(() => performance.getEntriesByType('navigation')[0].domComplete)];
  await page.evaluate(() => {
    globalThis.frames_ = [];
    const frame = (before) => requestAnimationFrame((now) => {
      globalThis.frames_.push(now - before);
      frame(now);
    });
    frame(performance.now());
  });
  await page.mouse.move(600, 600);
  for (let turn = 0; turn < 120; turn += 1) {
    await page.mouse.wheel(0, turn < 100 ? 2600 : -2600);
    await page.waitForTimeout(16);
  }
  const scrolled = await page.locator('#rows').evaluate((grid) => grid.scrollTop);
  await page.locator('#search').fill('/99');
  await page.locator('#search').fill('');
  const frames = (await page.evaluate(() => globalThis.frames_)).sort((a, b) => a - b);
  const elements = await page.locator('.row').count();
  const p95 = frames[Math.floor(frames.length * 0.95)];
  console.log(`${count} spans: open after ${opened.toFixed(0)} ms; ${frames.length} frames, p95 ${p95.toFixed(1)} ms, longest ${frames.at(-1).toFixed(1)} ms; ${elements} rows are elements`);
  assert.deepEqual(problems, []);
  await close();
  return { count, opened, scrolled, elements, p95 };
}

/** A page of many spans scrolls about as well as one of few. How well that is depends on what else the machine does. */
async function large() {
  const few = await scrolling('small');
  const many = await scrolling('large');
  assert.equal(many.count, 10_000);
  assert.ok(many.scrolled > 100_000 && many.elements < 100, JSON.stringify(many));
  // With 2,000 long texts a page opens about as fast as with many spans.
  const long = await scrolling('long');
  assert.equal(long.count, 2000);
  assert.ok(long.opened < 3 * many.opened, `open after ${long.opened} ms, with many spans ${many.opened} ms`);
  assert.ok(many.p95 < 4 * few.p95, `p95 ${many.p95} ms, with few spans ${few.p95} ms`);
}

try {
  await { normal, hostile, large }[what]();
} finally {
  await browser.close();
}
