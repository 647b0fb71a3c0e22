// Opens a page and follows a link on it, without any word about tracing. k6 exports spans of both actions.
import { browser } from 'k6/browser';

import { browserOptions, run, url } from './scenario.js';

export const options = browserOptions();

const target = (nav) => url('/page', { kind: 'document', run: run(), nav, subs: 2 });

export default async function () {
  const page = await browser.newPage();
  try {
    await page.goto(target('goto'));
    await page.waitForFunction(() => window.done === true);
    await page.evaluate((address) => {
      document.body.innerHTML = `<a href="${address}">next</a>`;
    }, target('click'));
    await Promise.all([page.waitForNavigation(), page.locator('a').click()]);
    await page.waitForFunction(() => window.done === true);
  } finally {
    await page.close();
  }
}
