// Attaches to the first window of one new browser after the other, as soon as it answers, and loads a page there.
//
//   SITE         the origin of the page
//   CHROME_BIN   the browser, which `navtrace run` sets
//   PORT         a reserved loopback port
//   STARTS       the number of browsers
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { chromium } from 'playwright-core';

const { SITE, CHROME_BIN, PORT, STARTS, HOME } = process.env;
const ENDPOINT = `http://127.0.0.1:${PORT}`;

for (let start = 0; start < STARTS; start += 1) {
  const profile = await mkdtemp(join(HOME, 'profile-'));
  const args = ['--headless', '--no-first-run', `--remote-debugging-port=${PORT}`, `--user-data-dir=${profile}`];
  const child = spawn(CHROME_BIN, args, { stdio: 'ignore' });
  try {
    while (!(await fetch(`${ENDPOINT}/json/version`).catch(() => null))?.ok) await pause(10);
    const browser = await chromium.connectOverCDP(ENDPOINT);
    const [page] = browser.contexts()[0].pages();
    await page.goto(`${SITE}/page?kind=document&run=${start}&nav=${start}&subs=2`);
    await page.waitForFunction(() => window.done === true, undefined, { polling: 50 });
    await browser.close();
  } finally {
    const ended = once(child, 'exit');
    child.kill();
    await ended;
  }
}
