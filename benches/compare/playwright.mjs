// Loads the pages of a flow with Playwright, as k6 does: each of USERS starts a browser for each of its iterations, of which there are ITERATIONS.
import { readFileSync } from 'node:fs';
import process from 'node:process';

import { chromium } from 'playwright';

import { iterate } from './flows.js';

const { FLOW: flow, WAY: way, SITE: site, SDK, USERS, ITERATIONS, PLAIN_BROWSER } = process.env;
const sdk = SDK ? readFileSync(SDK, 'utf8') : '';
let next = 0;

async function user() {
  while (next < Number(ITERATIONS)) {
    const run = `0-${next++}`;
    // Under navtrace there is no such variable.
    const browser = await chromium.launch({ executablePath: PLAIN_BROWSER });
    try {
      await iterate(() => browser.newPage(), { flow, way, site, sdk }, run, (line) => console.error(line));
    } finally {
      await browser.close();
    }
  }
}

await Promise.all(Array.from({ length: Number(USERS) }, user));
