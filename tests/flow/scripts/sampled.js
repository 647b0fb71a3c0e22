// Loads a page in each iteration. The last but one also asks for something that is missing, and the last for something slow.
import { check } from 'k6';
import { browser } from 'k6/browser';

import { browserOptions, url } from './scenario.js';

export const options = browserOptions();

export default async function () {
  const left = Number(__ENV.ITERATIONS) - __ITER;
  const name = { 2: 'failed', 1: 'slow' }[left] || `ordinary-${left}`;
  const path = { failed: '/missing', slow: '/slow' }[name] || '/carried';
  const page = await browser.newPage();
  try {
    await page.goto(url('/page', { kind: 'document', run: name, nav: name }));
    await page.waitForFunction(() => window.done === true);
    const address = url(path, { ms: 1500, run: name, nav: name });
    const answered = await page.evaluate(async (asked) => (await fetch(asked)).status, address);
    check(answered, { 'it answers': (status) => status === (name === 'failed' ? 404 : 200) });
  } finally {
    await page.close();
  }
}
