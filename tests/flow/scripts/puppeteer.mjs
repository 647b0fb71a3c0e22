// Puppeteer as its users start it: it reads from the browser's standard error which port to connect to.
import puppeteer from 'puppeteer-core';

import { browserArgs, executablePath, loadAllByPuppeteer } from './clients.mjs';

const browser = await puppeteer.launch({ executablePath, args: browserArgs, headless: true });
try {
  await loadAllByPuppeteer(browser);
} finally {
  await browser.close();
}
