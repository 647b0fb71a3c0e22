// Uses Playwright as usual, which connects to the browser over a pipe.
import { chromium } from 'playwright-core';

import { browserArgs, executablePath, loadAllByPlaywright } from './clients.mjs';

const browser = await chromium.launch({ executablePath, args: browserArgs });
try {
  await loadAllByPlaywright(browser);
} finally {
  await browser.close();
}
