// Loads three plain pages by Playwright or Puppeteer, and logs what `server-timing.js` logs, and the context of each request by the client's own means.
// The server of the last page has a `Server-Timing` of its own.
//
//   SITE         the origin of the pages
//   CLIENT       `playwright` or `puppeteer`
//   CHROME_BIN   the browser, which `navtrace run` sets
import process from 'node:process';

import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';

const { SITE, CLIENT, CHROME_BIN: executablePath } = process.env;
const isPlaywright = CLIENT === 'playwright';

const browser = await (isPlaywright ? chromium : puppeteer).launch({ executablePath });
const page = await browser.newPage();
for (let i = 0; i < 3; i += 1) {
  const response = await page.goto(`${SITE}/page?kind=document&run=0&nav=${i}&subs=2${i === 2 ? '&timing=1' : ''}`);
  const named = await page.evaluate(() => performance.getEntriesByType('navigation')[0].serverTiming.findLast(({ name }) => name === 'traceparent')?.description);
  const sent = isPlaywright ? (await response.request().allHeaders()).traceparent : response.request().headers().traceparent;
  const navigation = await page.evaluate(() =>
    performance.getEntriesByType('navigation')[0].serverTiming.map(({ name, description, duration }) => `${name};desc=${description};dur=${duration}`),
  );
  console.error(`TIMING ${JSON.stringify({ nav: String(i), named, sent, navigation, resources: [] })}`);
}
await browser.close();
