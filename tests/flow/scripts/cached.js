// Navigates over one page with many cacheable resources, and logs how many of them came from the cache.
//
//   NAVIGATIONS   number of navigations, 10 by default
//   PAUSE         milliseconds before the first one, until the browser has started completely
//   PAINTED=1     goes on only when a page has been painted, which a busy machine has no time for otherwise
//   ROUTE=1       adds a header to every request by k6's own page.route, for comparison
import { check } from 'k6';
import { browser } from 'k6/browser';

import { addByRoute } from './client-headers.js';
import { browserOptions, run, url } from './scenario.js';

export const options = browserOptions();

export default async function () {
  const name = run();
  const seen = { entries: 0, hits: 0 };
  const page = await browser.newPage();
  try {
    if (__ENV.ROUTE) await addByRoute(page);
    if (Number(__ENV.PAUSE) > 0) await page.waitForTimeout(Number(__ENV.PAUSE));
    for (let i = 0; i < Number(__ENV.NAVIGATIONS || 10); i++) {
      const nav = `${name}-${i}`;
      await page.goto(url('/cached', { kind: 'document', run: name, nav }), { waitUntil: 'load' });
      check(await page.title(), { 'the page is the one asked for': (title) => title === nav });
      if (__ENV.PAINTED) await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint').length > 0);
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
