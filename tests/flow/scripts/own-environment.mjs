// Starts a browser with an environment of its own, which has nothing of `navtrace run`. Nothing here tells Playwright where the browser is.
//
//   SITE    the origin of the page
//   OTHER   another origin
import process from 'node:process';

import { chromium } from 'playwright';

const { SITE, OTHER, PATH, HOME, TMPDIR } = process.env;

const browser = await chromium.launch({ env: { PATH, HOME, TMPDIR } });
const page = await browser.newPage();
await page.goto(`${SITE}/page?kind=document&run=0&nav=0&subs=2`);
await page.evaluate(async (url) => {
  for (let i = 0; i < 9; i++) await fetch(`${url}/empty?kind=other&run=0&nav=0&i=${i}`, { mode: 'no-cors' });
}, OTHER);
await browser.close();
