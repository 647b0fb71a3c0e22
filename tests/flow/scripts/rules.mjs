// Navigates over one page with many cached resources, and logs how often the extension changed its session rules. Uses a persistent context, in
// which Playwright shows the extension's worker.
//
//   SITE         the origin of the site
//   CHROME_BIN   the browser, which `navtrace run` sets
import process from 'node:process';

import { chromium } from 'playwright-core';

const { SITE, CHROME_BIN } = process.env;
const NAVIGATIONS = 10;

const context = await chromium.launchPersistentContext('', { executablePath: CHROME_BIN });
const [worker = await context.waitForEvent('serviceworker')] = context.serviceWorkers();
const page = await context.newPage();
const load = (i) => page.goto(`${SITE}/cached?kind=document&run=rules&nav=rules-${i}`, { waitUntil: 'load' });

await load(0);
await worker.evaluate(() => {
  const { updateSessionRules } = chrome.declarativeNetRequest;
  self.updates = 0;
  chrome.declarativeNetRequest.updateSessionRules = (...args) => {
    self.updates += 1;
    return updateSessionRules(...args);
  };
});
for (let i = 1; i <= NAVIGATIONS; i += 1) await load(i);
console.error(`RULES ${JSON.stringify({ updates: await worker.evaluate(() => self.updates) })}`);
await context.close();
