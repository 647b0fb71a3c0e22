// Loads the page that is instrumented with OpenTelemetry's web SDK and logs the SDK's spans.
// PROPAGATION is `own` (the default) or `server-timing`, see tests/support/sdk/web/page.js.
import { browser } from 'k6/browser';

import { browserOptions, run, url } from './scenario.js';

export const options = browserOptions();

export default async function () {
  const name = run();
  const page = await browser.newPage();
  try {
    const propagation = __ENV.PROPAGATION || 'own';
    await page.goto(url('/otel', { kind: 'document', run: name, nav: name, propagation }));
    await page.waitForFunction(() => window.done === true, { timeout: 30000 });
    const { failures, ...seen } = await page.evaluate(() => {
      return { spans: window.spans, serverTiming: window.serverTiming, failures: window.failures };
    });
    failures.forEach((failure) => console.error(failure));
    console.log(`OTEL ${JSON.stringify({ run: name, ...seen })}`);
  } finally {
    await page.close();
  }
}
