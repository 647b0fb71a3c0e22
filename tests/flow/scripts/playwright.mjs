// Playwright as its users start it: the browser is spoken to over a pipe.
import { chromium } from 'playwright-core';

import { browserArgs, executablePath, loadAllByPlaywright } from './clients.mjs';

const browser = await chromium.launch({ executablePath, args: browserArgs });
try {
  await loadAllByPlaywright(browser);
} finally {
  await browser.close();
}
