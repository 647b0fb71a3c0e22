// Opens a page that uses hosts which nobody has named: one answers, and two cannot be reached.
//
//   SITE         the origin of the site on 127.0.0.1
//   OTHER        its origin on localhost, which is reached by the names of other hosts too
//   DEAD         an origin on localhost at which nothing listens
//   CHROME_BIN   the browser, which `navtrace run` sets
import process from 'node:process';

import { chromium } from 'playwright-core';

const { SITE, OTHER, DEAD, CHROME_BIN } = process.env;
const at = (origin, host) => origin.replace('localhost', `${host}.localhost`);

const browser = await chromium.launch({ executablePath: CHROME_BIN });
const page = await (await browser.newContext()).newPage();
await page.goto(`${SITE}/page?kind=document&nav=page&subs=2`, { waitUntil: 'load' });
await page.evaluate(async (urls) => {
  for (const url of urls) await fetch(url, { mode: 'no-cors' }).catch(() => {});
}, [`${at(OTHER, 'open')}/carried`, `${at(DEAD, 'dead')}/`, `${at(DEAD, 'gone')}/`]);
await page.waitForFunction(() => window.done === true, undefined, { polling: 50 });
await browser.close();
