// Loads pages of the application, of which nothing can be cached.
//
//   PAGES     pages of an iteration, 3 by default
//   HEADERS   `route` adds headers by page.route, `extra` by setExtraHTTPHeaders
import { check } from 'k6';
import { browser } from 'k6/browser';

import { addByRoute, addToAll } from './client-headers.js';
import { browserOptions, run, url } from './scenario.js';

export const options = browserOptions();

export default async function () {
  const name = run();
  const page = await browser.newPage();
  try {
    if (__ENV.HEADERS === 'route') await addByRoute(page);
    for (let i = 0; i < Number(__ENV.PAGES || 3); i++) {
      const nav = `${name}-${i}`;
      if (__ENV.HEADERS === 'extra') await addToAll(page);
      await page.goto(url('/app', { kind: 'document', run: name, nav }), { waitUntil: 'load' });
      await page.evaluate(() => window.loaded);
      check(await page.title(), { 'the page is the one asked for': (title) => title === nav });
    }
  } finally {
    await page.close();
  }
}
