// Uses Playwright as its documentation shows it, which connects to the browser over a pipe.
import process from 'node:process';

import { chromium } from 'playwright';

import { loadAllByPlaywright } from './clients.mjs';

// Under navtrace there is no such variable: nothing here tells Playwright where the browser is.
const browser = await chromium.launch({ executablePath: process.env.PLAIN_BROWSER });
try {
  await loadAllByPlaywright(browser);
} finally {
  await browser.close();
}
