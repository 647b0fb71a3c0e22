// NAVIGATIONS navigations, 10 by default, over one page with many resources that may be kept: all but the first find
// them in the browser's cache. Logs what the pages themselves know of that.
//
// PAUSE waits so many milliseconds before the first of them, until the browser's own start is over.
// ROUTE=1 adds a header to every request with k6's own means instead, for comparison.
import { check } from 'k6';
import { browser } from 'k6/browser';

import { browserOptions, run, url } from './scenario.js';

export const options = browserOptions();

function hex(digits) {
  return Array.from({ length: digits }, () => Math.floor(Math.random() * 16).toString(16)).join('');
}

/** One trace, and a span id of its own for every request. What `continue` is given replaces all headers, so the others go along. */
async function addHeaders(page) {
  const trace = hex(32);
  await page.route(/./, (route) =>
    route.continue({ headers: { ...route.request().headers(), traceparent: `00-${trace}-${hex(16)}-01` } }),
  );
}

export default async function () {
  const name = run();
  const seen = { entries: 0, hits: 0 };
  const page = await browser.newPage();
  try {
    if (__ENV.ROUTE) await addHeaders(page);
    if (Number(__ENV.PAUSE) > 0) await page.waitForTimeout(Number(__ENV.PAUSE));
    for (let i = 0; i < Number(__ENV.NAVIGATIONS || 10); i++) {
      const nav = `${name}-${i}`;
      await page.goto(url('/cached', { kind: 'document', run: name, nav }), { waitUntil: 'load' });
      check(await page.title(), { 'the page is the one asked for': (title) => title === nav });
      const { entries, hits } = await page.evaluate(() => {
        const resources = performance.getEntriesByType('resource');
        const fromCache = resources.filter((entry) => entry.transferSize === 0 && entry.decodedBodySize > 0);
        return { entries: resources.length, hits: fromCache.length };
      });
      seen.entries += entries;
      seen.hits += hits;
    }
    console.log(`CACHED ${JSON.stringify({ run: name, ...seen })}`);
  } finally {
    await page.close();
  }
}
