// Loads pages one after the other through Playwright, which lets go of every worker that it finds waiting, and does
// something to the extension's worker in the middle of some loads. The site is told right before, by a request.
//
//   SITE         the origin of the site
//   CHROME_BIN   the browser: `navtrace run` sets it
//   FAULT        kill: the worker is ended; reload: the extension is loaded anew
//   FAULTS       how many times
//   AFTERWARDS   how long pages are loaded after each time, in milliseconds
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { chromium } from 'playwright-core';

const { SITE, FAULT, FAULTS, AFTERWARDS, CHROME_BIN } = process.env;
const ORIGIN = 'chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/';

/** How long the worker may take to come, or to go. */
const PATIENCE = 10_000;

/** How long a worker may take to answer: one that is on its way out never does. */
const ANSWER = 1000;

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

/** Tries until it gets something that is not undefined. */
async function until(what, attempt) {
  const deadline = Date.now() + PATIENCE;
  while (Date.now() < deadline) {
    const result = await attempt();
    if (result !== undefined) return result;
    await pause(20);
  }
  throw new Error(`in vain for ${PATIENCE} ms: ${what}`);
}

/** The extension's worker, undefined when none runs. */
async function worker() {
  const { targetInfos } = await devtools.send('Target.getTargets');
  return targetInfos.find(({ type, url }) => type === 'service_worker' && url.startsWith(ORIGIN))?.targetId;
}

/** What an expression is in a worker, undefined when it does not answer. */
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
  // Later, since the answer would go with the worker.
  reload: (targetId) => evaluated(targetId, 'setTimeout(() => chrome.runtime.reload(), 0)'),
};

/** Does it to the worker that runs, makes sure that this very one has gone, and tells when it was done. */
async function fault() {
  // What a worker has in memory goes with it. The name of its target may stay the same.
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
  return done;
}

await load();
for (let i = 0; i < Number(FAULTS); i += 1) {
  const end = (await fault()) + Number(AFTERWARDS);
  while (Date.now() < end) await load();
}
await browser.close();
