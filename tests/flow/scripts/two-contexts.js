// Uses two browser contexts one after the other, since k6 allows only one at a time.
import { check } from 'k6';
import { browser } from 'k6/browser';

import { browserOptions, run, url } from './scenario.js';

export const options = browserOptions();

export default async function () {
  for (const name of ['a', 'b']) {
    const context = await browser.newContext();
    try {
      const page = await context.newPage();
      const nav = `${run()}-${name}`;
      await page.goto(url('/page', { kind: 'document', run: run(), nav, subs: 6 }));
      await page.waitForFunction(() => window.done === true);
      check(await page.title(), { 'the page is the one asked for': (title) => title === nav });
      await page.close();
    } finally {
      await context.close();
    }
  }
}
