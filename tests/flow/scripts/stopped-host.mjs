// Stops the host while a page makes requests, continues it, and logs what the worker had sent without an answer. The worker's port is wrapped,
// and counts.
//
//   SITE         the origin of the site
//   CHROME_BIN   the browser, which `navtrace run` sets
//   TMPDIR       tells this browser's host from others
//   SECONDS      how long the host is stopped
import { readFileSync, readdirSync } from 'node:fs';
import process from 'node:process';

import { chromium } from 'playwright-core';

const { SITE, CHROME_BIN, TMPDIR, SECONDS } = process.env;
const ORIGIN = 'chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/';

/** Returns the processes with this script's temporary directory whose arguments satisfy a condition. */
function processes(condition) {
  const found = [];
  for (const id of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${id}/environ`, 'utf8').split('\0').includes(`TMPDIR=${TMPDIR}`)) continue;
      if (condition(readFileSync(`/proc/${id}/cmdline`, 'utf8').split('\0'))) found.push(Number(id));
    } catch {
      // It has exited.
    }
  }
  return found;
}

/** Returns the memory of a process in MiB. */
const memory = (id) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1]) / 1024;

const context = await chromium.launchPersistentContext('', { executablePath: CHROME_BIN });
const [worker = await context.waitForEvent('serviceworker')] = context.serviceWorkers();
const page = await context.newPage();
const view = await context.newPage();
await page.goto(`${SITE}/page?kind=document&run=stopped&nav=stopped`, { waitUntil: 'load' });
await worker.evaluate(() => {
  const { connectNative } = chrome.runtime;
  Object.assign(self, { waiting: 0, mostWaiting: 0, sent: 0, dropped: 0, received: 0 });
  chrome.runtime.connectNative = (name) => {
    const port = connectNative.call(chrome.runtime, name);
    const { postMessage } = port;
    port.postMessage = (message) => {
      if (message.type === 'observed') {
        self.sent += 1;
        self.dropped = message.dropped;
        self.waiting += 1;
        self.mostWaiting = Math.max(self.mostWaiting, self.waiting);
      }
      postMessage.call(port, message);
    };
    port.onMessage.addListener(({ type }) => {
      if (type === 'received') self.waiting -= 1;
      if (type === 'received') self.received += 1;
    });
    return port;
  };
});
await view.goto(`${ORIGIN}popup/popup.html`);
await view.evaluate(() => chrome.runtime.connect({ name: 'popup' }).postMessage({ type: 'reconnect' }));
const counts = () => worker.evaluate(() => ({ sent: self.sent, received: self.received, mostWaiting: self.mostWaiting, dropped: self.dropped }));
const until = async (holds) => {
  const end = Date.now() + 20_000;
  while (!holds(await counts())) {
    if (Date.now() > end) throw new Error(`not within 20 s: ${holds} ${JSON.stringify(await counts())}`);
    await page.waitForTimeout(50);
  }
};

let count = 0;
/** Asks for a batch of requests, and returns how many were answered. */
const ask = async () => {
  count += 1;
  const urls = Array.from({ length: 10 }, (_, n) => `${SITE}/asset/empty.js?kind=fetch&run=stopped&nav=stopped&n=${count}-${n}`);
  return page.evaluate(async (all) => (await Promise.all(all.map(async (url) => (await fetch(url)).ok))).filter(Boolean).length, urls);
};
await ask();
await until(({ sent, received }) => sent > 0 && sent === received);

const isHost = ([, origin]) => origin === ORIGIN;
const [host] = processes(isHost);
const isBrowser = (words) => words.some((word) => word.startsWith('--user-data-dir=')) && !words.some((word) => word.startsWith('--type='));
const browser = processes(isBrowser)[0];
const sizes = () => (browser === undefined ? [] : [browser, host].map((id) => Math.round(memory(id))));
process.kill(host, 'SIGSTOP');
let answered = 0;
const samples = [sizes()];
const end = Date.now() + Number(SECONDS) * 1000;
let next = Date.now() + 1000;
while (Date.now() < end) {
  answered += await ask();
  if (Date.now() < next) continue;
  samples.push(sizes());
  next = Date.now() + Math.max(1000, Number(SECONDS) * 100);
}
const stopped = await counts();
process.kill(host, 'SIGCONT');
await until(({ sent, received }) => sent === received);
const continued = await counts();
console.error(`STOPPED ${JSON.stringify({ asked: (count - 1) * 10, answered, stopped, continued, samples })}`);
await context.close();
