// Asks the browser which regular expressions its rules accept.
//
//   REGEXES      the expressions, as JSON
//   CHROME_BIN   the browser, which `navtrace run` sets
import process from 'node:process';

import { chromium } from 'playwright-core';

const { REGEXES, CHROME_BIN } = process.env;

const context = await chromium.launchPersistentContext('', { executablePath: CHROME_BIN });
const [worker = await context.waitForEvent('serviceworker')] = context.serviceWorkers();
const refused = await worker.evaluate(async (regexes) => {
  const answers = await Promise.all(
    regexes.map((regex) => chrome.declarativeNetRequest.isRegexSupported({ regex, isCaseSensitive: true })),
  );
  return regexes.filter((_, n) => !answers[n].isSupported);
}, JSON.parse(REGEXES));
console.error(`REFUSED ${JSON.stringify(refused)}`);
await context.close();
