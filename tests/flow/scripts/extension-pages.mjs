// Helpers for the extension's own pages in a real browser: start, axe, and keyboard navigation.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import process from 'node:process';

import { chromium } from 'playwright-core';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const ORIGIN = 'chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme';

export const url = (path) => `${ORIGIN}/${path}`;

/** Starts navtrace's browser or, if EXTENSION is set, Chromium with that folder and no host. */
export async function launch(options = {}) {
  const { CHROME_BIN, EXTENSION } = process.env;
  const args = EXTENSION ? [`--load-extension=${EXTENSION}`, ...(process.getuid() === 0 ? ['--no-sandbox'] : [])] : [];
  const context = await chromium.launchPersistentContext('', {
    executablePath: CHROME_BIN ?? '/usr/bin/chromium',
    args,
    ...(EXTENSION ? { ignoreDefaultArgs: ['--disable-extensions'] } : {}),
    ...options,
  });
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  if (context.serviceWorkers().length === 0) await context.waitForEvent('serviceworker');
  return context;
}

/** Collects the errors of a page from now on. */
export function checked(page) {
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => problems.push(message.text()));
  page.on('dialog', (dialog) => problems.push(`dialog: ${dialog.message()}`));
  return problems;
}

/** Returns the violations that axe finds. */
export async function axe(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(' ')}`);
}

/** Returns the elements at which Tab stops, and those at which it should stop. */
export async function stops(page) {
  const expected = await page.evaluate(() => {
    const all = document.querySelectorAll('a[href], button:enabled, input:enabled, select:enabled, textarea:enabled, summary, [tabindex="0"]');
    const seen = [...all].filter((element) => element.checkVisibility());
    seen.forEach((element, place) => { element.dataset.stop = String(place); });
    document.activeElement?.blur();
    getSelection()?.removeAllRanges();
    scrollTo(0, 0);
    return seen.map((element, place) => `${place} ${element.tagName} ${element.id}`);
  });
  const reached = [];
  for (let turn = 0; turn < expected.length * 2 + 20 && reached.length < expected.length; turn += 1) {
    await page.keyboard.press('Tab');
    const stop = await page.evaluate(() => {
      const element = document.activeElement;
      if (element === null || element === document.body || element.dataset.stop === undefined) return null;
      const style = getComputedStyle(element);
      const shown = style.outlineStyle !== 'none' && Number.parseFloat(style.outlineWidth) >= 1;
      return `${element.dataset.stop} ${element.tagName} ${element.id}${shown ? '' : ' without a visible focus'}`;
    });
    if (stop !== null) reached.push(stop);
  }
  return { reached, expected };
}
