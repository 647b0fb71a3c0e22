// Navigates in two pages of one browser context at once, so that their requests mix.
import { check } from 'k6';
import { browser } from 'k6/browser';

import { browserOptions, run, url } from './scenario.js';

export const options = browserOptions();

const STEPS = 3;

async function walk(page, tab) {
  for (let step = 0; step < STEPS; step++) {
    const nav = `${run()}-${tab}${step}`;
    await page.goto(url('/page', { kind: 'document', run: run(), nav, subs: 6, delay: 20 }));
    await page.waitForFunction(() => window.done === true);
    check(await page.title(), { 'the page is the one asked for': (title) => title === nav });
  }
  await page.close();
}

export default async function () {
  const context = await browser.newContext();
  try {
    // k6 can't open two pages at the same time.
    const [a, b] = [await context.newPage(), await context.newPage()];
    await Promise.all([walk(a, 'a'), walk(b, 'b')]);
  } finally {
    await context.close();
  }
}
