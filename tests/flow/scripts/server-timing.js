// Loads two plain pages and logs the context of each navigation as scripts can read it, from the response and in the page.
import { browser } from 'k6/browser';

import { browserOptions, run, url } from './scenario.js';

export const options = browserOptions();

export default async function () {
  const page = await browser.newPage();
  try {
    for (let i = 0; i < 2; i++) {
      const nav = `${run()}-${i}`;
      const response = await page.goto(url('/page', { kind: 'document', run: run(), nav, subs: 4 }));
      await page.waitForFunction(() => window.done === true);
      const header = (await response.allHeaders())['server-timing'];
      const seen = await page.evaluate(() => {
        const timings = (type) =>
          performance
            .getEntriesByType(type)
            .flatMap(({ serverTiming }) => serverTiming.map(({ name, description }) => `${name}=${description}`));
        return { navigation: timings('navigation'), resources: timings('resource') };
      });
      console.log(`TIMING ${JSON.stringify({ nav, header, ...seen })}`);
    }
  } finally {
    await page.close();
  }
}
