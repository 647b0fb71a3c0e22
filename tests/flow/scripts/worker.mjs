// Loads pages one after the other through Playwright, which lets go of every worker that it finds waiting, and does something to the
// extension's worker in the middle of some loads.
//
//   SITE         the origin of the site
//   CHROME_BIN   the browser: `navtrace run` sets it
//   FAULT        kill: the worker is ended; reload: the extension is loaded anew
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { chromium } from 'playwright-core';

const { SITE, FAULT, CHROME_BIN } = process.env;
const FAULTS = 3;

/** How long pages are loaded after a fault. */
const AFTERWARDS = 2500;

const browser = await chromium.launch({ executablePath: CHROME_BIN });
const devtools = await browser.newBrowserCDPSession();
const page = await (await browser.newContext()).newPage();
let count = 0;

/** Loads a page up to its last request, and does something while its other requests are under way. */
async function load(meanwhile = async () => {}) {
  count += 1;
  const nav = `${FAULT}-${count}`;
  await page.goto(`${SITE}/page?kind=document&run=${FAULT}&nav=${nav}&subs=8&delay=50`, { waitUntil: 'commit' });
  await meanwhile();
  await page.waitForFunction(() => window.done === true, undefined, { polling: 50 });
}

async function worker() {
  for (;;) {
    const { targetInfos } = await devtools.send('Target.getTargets');
    const target = targetInfos.find(({ type }) => type === 'service_worker');
    if (target !== undefined) return target;
    await pause(20);
  }
}

async function kill() {
  await devtools.send('Target.closeTarget', { targetId: (await worker()).targetId });
}

async function reload() {
  const { targetId } = await worker();
  const { sessionId } = await devtools.send('Target.attachToTarget', { targetId, flatten: false });
  const expression = 'setTimeout(() => chrome.runtime.reload(), 0)';
  const message = JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } });
  await devtools.send('Target.sendMessageToTarget', { sessionId, message });
}

async function fault() {
  await fetch(`${SITE}/asset/empty.js?kind=fault`);
  await { kill, reload }[FAULT]();
}

await load();
for (let i = 0; i < FAULTS; i += 1) {
  await load(fault);
  const end = Date.now() + AFTERWARDS;
  while (Date.now() < end) await load();
}
await browser.close();
