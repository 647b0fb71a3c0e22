// Loads plain pages, for soak tests.
//
//   PAGES     pages of an iteration, 1 by default
//   SECONDS   loads pages for this time instead, at least one
//   UNTIL_STOPPED   loads pages until the test stops that by a request to the site
//   SUBS      subresources of each page, 8 by default
import { check } from 'k6';
import { browser } from 'k6/browser';

import { browserOptions, run, url } from './scenario.js';

export const options = browserOptions();

/** Returns whether the test has stopped the script. The page asks, since k6's own requests would have spans of their own. */
const isStopped = (page) =>
  page.evaluate(async () => (await (await fetch('/seen?run=stop&nav=stop')).json()).stop !== undefined);

export default async function () {
  const name = run();
  const page = await browser.newPage();
  try {
    const end = Date.now() + 1000 * Number(__ENV.SECONDS || 0);
    const goesOn = (i) => i === 0 || (__ENV.SECONDS ? Date.now() < end : i < Number(__ENV.PAGES || 1));
    for (let i = 0; __ENV.UNTIL_STOPPED ? i === 0 || !(await isStopped(page)) : goesOn(i); i++) {
      const nav = `${name}-${i}`;
      await page.goto(url('/page', { kind: 'document', run: name, nav, subs: __ENV.SUBS || 8 }));
      await page.waitForFunction(() => window.done === true);
      check(await page.title(), { 'the page is the one asked for': (title) => title === nav });
    }
  } finally {
    await page.close();
  }
}
