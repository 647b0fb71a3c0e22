// Opens a page on which it waits for what never comes, so that k6 interrupts the iteration.
import { browser } from 'k6/browser';

import { run, url } from './scenario.js';

const VUS = Number(__ENV.VUS || 1);

export const options = {
  scenarios: {
    browser: {
      executor: 'per-vu-iterations',
      vus: VUS,
      maxDuration: '20s',
      gracefulStop: '0s',
      options: { browser: { type: 'chromium' } },
    },
  },
};

export default async function () {
  const page = await browser.newPage();
  try {
    await page.goto(url('/page', { kind: 'document', run: run(), nav: 'goto', subs: 0 }));
    await page.waitForFunction(() => false, { timeout: 120_000 });
  } finally {
    await page.close();
  }
}
