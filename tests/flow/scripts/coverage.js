// Loads the page with every kind of request and logs the failures, to compare runs with and without tracing.
import { browser } from 'k6/browser';

import { browserOptions, run, url } from './scenario.js';

/** The time after which a request counts as failed, in milliseconds: enough for a busy machine. */
const LIMIT = 60_000;

export const options = browserOptions();

export default async function () {
  const name = run();
  const page = await browser.newPage();
  try {
    await page.goto(url('/coverage', { kind: 'document', run: name, nav: name, limit: LIMIT }));
    await page.waitForFunction(() => window.done === true, { timeout: 2 * LIMIT });
    const results = await page.evaluate(() => window.results);
    console.log(`COVERAGE ${JSON.stringify({ run: name, results })}`);
  } finally {
    await page.close();
  }
}
