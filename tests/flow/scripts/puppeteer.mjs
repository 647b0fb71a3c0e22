// Uses Puppeteer as usual, which reads the port from the browser's standard error.
import puppeteer from 'puppeteer-core';

import { browserArgs, executablePath, loadAllByPuppeteer } from './clients.mjs';

const browser = await puppeteer.launch({ executablePath, args: browserArgs, headless: true });
try {
  await loadAllByPuppeteer(browser);
} finally {
  await browser.close();
}
