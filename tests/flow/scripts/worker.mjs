// Loads pages one after the other through Playwright, which resumes every paused worker, and ends or reloads the extension during some loads. A
// request to the site marks the time just before each fault, and another one when the worker has gone.
//
//   SITE             the origin of the site
//   CHROME_BIN       the browser, which `navtrace run` sets
//   FAULT            `kill` ends the worker, `reload` reloads the extension
//   FAULTS           number of faults
//   FAULT_INTERVAL   milliseconds for which pages are loaded after each fault
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { chromium } from 'playwright-core';

const { SITE, FAULT, FAULTS, FAULT_INTERVAL, CHROME_BIN } = process.env;
const ORIGIN = 'chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/';

/** Limit of the start and the end of the worker. */
const TIMEOUT = 10_000;

/** Limit of a worker's answer. A worker that is ending never answers. */
const ANSWER = 1000;

const browser = await chromium.launch({ executablePath: CHROME_BIN });
const devtools = await browser.newBrowserCDPSession();
const page = await (await browser.newContext()).newPage();
let count = 0;

/** Loads a page, calls `meanwhile` during its requests, and waits for the last one. */
async function load(meanwhile = async () => {}) {
  count += 1;
  const nav = `${FAULT}-${count}`;
  await page.goto(`${SITE}/page?kind=document&run=${FAULT}&nav=${nav}&subs=8&delay=50`, { waitUntil: 'commit' });
  await meanwhile();
  await page.waitForFunction(() => window.done === true, undefined, { polling: 50 });
}

/** Repeats a function until its result is not undefined. */
async function until(what, attempt) {
  const deadline = Date.now() + TIMEOUT;
  while (Date.now() < deadline) {
    const result = await attempt();
    if (result !== undefined) return result;
    await pause(20);
  }
  throw new Error(`${what}: not within ${TIMEOUT} ms`);
}

/** Returns the extension's worker, or undefined if none runs. */
async function worker() {
  const { targetInfos } = await devtools.send('Target.getTargets');
  return targetInfos.find(({ type, url }) => type === 'service_worker' && url.startsWith(ORIGIN))?.targetId;
}

/** Evaluates an expression in a worker. Returns undefined if the worker does not answer. */
async function evaluated(targetId, expression) {
  let sessionId;
  let answered;
  const answer = new Promise((resolve) => (answered = resolve));
  const listener = (event) => {
    const { id, result } = JSON.parse(event.message);
    if (event.sessionId === sessionId && id === 1) answered(result?.result?.value);
  };
  devtools.on('Target.receivedMessageFromTarget', listener);
  try {
    ({ sessionId } = await devtools.send('Target.attachToTarget', { targetId, flatten: false }));
    const message = JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } });
    await devtools.send('Target.sendMessageToTarget', { sessionId, message });
    return await Promise.race([answer, pause(ANSWER)]);
  } catch {
    return undefined;
  } finally {
    devtools.off('Target.receivedMessageFromTarget', listener);
    if (sessionId !== undefined) await devtools.send('Target.detachFromTarget', { sessionId }).catch(() => {});
  }
}

const actions = {
  kill: (targetId) => devtools.send('Target.closeTarget', { targetId }),
  // Later, since otherwise the answer would be lost with the worker.
  reload: (targetId) => evaluated(targetId, 'setTimeout(() => chrome.runtime.reload(), 0)'),
};

/** Causes a fault, waits until the running worker has ended, and returns the time of the fault. */
async function fault() {
  // A variable in the worker's memory identifies it, since the next worker may have the same target id.
  const marked = await until('a worker that can be marked', async () => {
    const targetId = await worker();
    if (targetId !== undefined && (await evaluated(targetId, 'self.marked = true'))) return targetId;
  });
  let done;
  await load(async () => {
    await fetch(`${SITE}/asset/empty.js?kind=fault`);
    done = Date.now();
    await actions[FAULT](marked);
  });
  await until('the worker has gone', async () => {
    const targetId = await worker();
    if (targetId === undefined || (await evaluated(targetId, 'self.marked === undefined'))) return true;
  });
  await fetch(`${SITE}/asset/empty.js?kind=fault-over`);
  return done;
}

await load();
for (let i = 0; i < Number(FAULTS); i += 1) {
  const end = (await fault()) + Number(FAULT_INTERVAL);
  while (Date.now() < end) await load();
}
await browser.close();
