// Loads a page with WebdriverIO in one new browser after the other, as a user's script does.
//
//   SITE                the origin of the page
//   STARTS              the number of browsers
//   CHROMEDRIVER_PATH   the driver, which WebdriverIO itself looks up
import process from 'node:process';

import { remote } from 'webdriverio';

const { SITE, STARTS } = process.env;

for (let start = 0; start < STARTS; start += 1) {
  const browser = await remote({
    logLevel: 'error',
    capabilities: { browserName: 'chrome', 'goog:chromeOptions': { args: ['--headless'] } },
  });
  await browser.url(`${SITE}/page?kind=document&run=${start}&nav=${start}&subs=8`);
  // A browser that closes unloads extensions before pages.
  await browser.waitUntil(() => browser.execute(() => window.done === true), { timeout: 60_000 });
  await browser.deleteSession();
}
