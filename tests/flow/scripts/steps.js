// Performs the steps of a test, and logs the context that each response names.
//
//   STEPS   JSON: a list of { nav, headers, path, origin, tab }. Only `nav` is required. `headers` are the extra HTTP headers from now on, `path` is
//           the page to load (`/page` by default, in lightweight mode `/settled`), `origin` is `main` or `other`, and `tab` is the number of the tab
import { browser } from 'k6/browser';

import { browserOptions, run, url } from './scenario.js';

export const options = browserOptions();

// The first requests of a page may overtake the change of the rules in lightweight mode.
const PAGE = __ENV.NAVTRACE_MODE === 'lightweight' ? '/settled' : '/page';

export default async function () {
  const context = await browser.newContext();
  const pages = [];
  try {
    for (const { nav, headers, path = PAGE, origin = 'main', tab = 0 } of JSON.parse(__ENV.STEPS)) {
      pages[tab] = pages[tab] || (await context.newPage());
      const page = pages[tab];
      if (headers !== undefined) await page.setExtraHTTPHeaders(headers);
      const at = origin === 'main' ? __ENV.SITE : __ENV.OTHER;
      await page.goto(url(path, { kind: 'document', run: run(), nav, subs: 4 }, at));
      await page.waitForFunction(() => window.done === true, { timeout: 30000 });
      // The page knows, and k6 now and then has no response for a page that it has loaded.
      const timing = await page.evaluate(() => {
        const [{ serverTiming }] = performance.getEntriesByType('navigation');
        return serverTiming.filter(({ name }) => name === 'traceparent').at(-1)?.description ?? null;
      });
      console.log(`STEP ${JSON.stringify({ nav, timing })}`);
    }
  } finally {
    await context.close();
  }
}
