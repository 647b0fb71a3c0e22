// Loads the page with every kind of request and logs the failures, to compare runs with and without tracing.
// LIMIT is the time after which a request counts as failed, 10000 ms by default, which is enough for a busy machine.
import { browser } from 'k6/browser';

import { browserOptions, run, url } from './scenario.js';

export const options = browserOptions();

export default async function () {
  const name = run();
  const page = await browser.newPage();
  try {
    await page.goto(url('/coverage', { kind: 'document', run: name, nav: name, limit: __ENV.LIMIT || 10000 }));
    await page.waitForFunction(() => window.done === true, { timeout: 30000 });
    const results = await page.evaluate(() => window.results);
    console.log(`COVERAGE ${JSON.stringify({ run: name, results })}`);
  } finally {
    await page.close();
  }
}
