// An ordinary k6 browser test. It knows nothing of navtrace.

import { check } from 'k6';
import { browser } from 'k6/browser';

export const options = {
  scenarios: {
    visitors: {
      // Of all runners together.
      executor: 'constant-vus',
      vus: 8,
      duration: '2m',
      options: { browser: { type: 'chromium' } },
    },
  },
};

export default async function () {
  const page = await browser.newPage();
  try {
    const response = await page.goto(__ENV.TARGET_URL);
    check(response, { 'the page answers': (answer) => answer.status() === 200 });
  } finally {
    await page.close();
  }
}
