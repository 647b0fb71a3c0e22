// Loads three plain pages and logs the context of each navigation as scripts can read it by the recipe of docs/spans.md, with all that the page sees.
// The server of the last page has a `Server-Timing` of its own.
import { browser } from 'k6/browser';

import { browserOptions, run, url } from './scenario.js';

export const options = browserOptions();

export default async function () {
  const page = await browser.newPage();
  try {
    for (let i = 0; i < 3; i++) {
      const nav = `${run()}-${i}`;
      await page.goto(url('/page', { kind: 'document', run: run(), nav, subs: 4, ...(i === 2 ? { timing: 1 } : {}) }));
      await page.waitForFunction(() => window.done === true);
      const named = await page.evaluate(() => performance.getEntriesByType('navigation')[0].serverTiming.findLast(({ name }) => name === 'traceparent')?.description);
      const seen = await page.evaluate(() => {
        const timings = (type) =>
          performance
            .getEntriesByType(type)
            .flatMap(({ serverTiming }) => serverTiming.map(({ name, description, duration }) => `${name};desc=${description};dur=${duration}`));
        return { navigation: timings('navigation'), resources: timings('resource') };
      });
      console.log(`TIMING ${JSON.stringify({ nav, named, ...seen })}`);
    }
  } finally {
    await page.close();
  }
}
