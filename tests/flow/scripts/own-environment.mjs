// Starts a browser with an environment of its own, which has nothing of `navtrace run`.
//
//   SITE         the origin of the page
//   CHROME_BIN   the browser, which `navtrace run` sets
import process from 'node:process';

import { chromium } from 'playwright-core';

const { SITE, CHROME_BIN, PATH, HOME, TMPDIR } = process.env;

const browser = await chromium.launch({ executablePath: CHROME_BIN, env: { PATH, HOME, TMPDIR } });
const page = await browser.newPage();
await page.goto(`${SITE}/page?kind=document&run=0&nav=0&subs=2`);
await browser.close();
