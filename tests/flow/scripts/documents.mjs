// Has documents make requests whose navigation the worker did not see: a script or an opener wrote them into an empty tab, or they are older than
// the worker or the extension. Each request names its step as `run`.
//
//   SITE         the origin of the site
//   CHROME_BIN   the browser, which `navtrace run` sets
import process from 'node:process';

import { chromium } from 'playwright-core';

const { SITE, CHROME_BIN, NAVTRACE_MODE } = process.env;
// In lightweight mode, the first requests of a page may be sent before the rules that name its navigation are in force.
const PAGE = NAVTRACE_MODE === 'lightweight' ? '/settled' : '/page';
const POPUP = 'chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/popup/popup.html';

const context = await chromium.launchPersistentContext('', { executablePath: CHROME_BIN });
const page = await context.newPage();

/** Loads a page, and waits for its requests. */
async function load(tab, run) {
  await tab.goto(`${SITE}${PAGE}?kind=document&run=${run}&nav=${run}&subs=2`, { waitUntil: 'load' });
  await tab.waitForFunction(() => window.done === true, undefined, { polling: 50 });
}

/** Makes a document send a request. */
const ask = (frame, run) => frame.evaluate((url) => fetch(url, { mode: 'no-cors' }), `${SITE}/asset/empty.js?kind=fetch&run=${run}`);

/** Writes a document with an image into a tab. */
const write = (tab, run) => tab.setContent(`<img src="${SITE}/asset/pixel.png?kind=image&run=${run}">`, { waitUntil: 'load' });

/**
 * Makes a page of the extension watch the tab of `page` as the popup does, until the worker knows a navigation of it and its host has the spans
 * of the host before.
 */
async function watch(popup) {
  await popup.evaluate(async (address) => {
    const tabs = await chrome.tabs.query({});
    const tabId = tabs.find(({ url }) => url === address).id;
    window.port = chrome.runtime.connect({ name: 'popup' });
    window.view = null;
    window.port.onMessage.addListener((message) => {
      if (message.type === 'view') window.view = message;
    });
    window.port.postMessage({ type: 'watch', tabId });
  }, page.url());
  await popup.waitForFunction(
    () => window.view?.tab?.navigations.length > 0 && window.view.exporter !== null && window.view.exporter.exported + window.view.exporter.kept > 10,
    undefined,
    { polling: 50 },
  );
}

/** Opens a page of the extension, once that is there. */
async function openPopup() {
  const popup = await context.newPage();
  for (;;) {
    const failure = await popup.goto(POPUP).then(() => null, (error) => error);
    if (failure === null) return popup;
    // The error page of the attempt before may come only now.
    if (!/ERR_BLOCKED_BY_CLIENT|ERR_FAILED|interrupted by another navigation/.test(failure.message)) throw failure;
    await popup.waitForTimeout(50);
  }
}

// Documents that a script or an opener writes.
const written = await context.newPage();
await write(written, 'written');
await ask(written, 'written');
const rewritten = await context.newPage();
await load(rewritten, 'loaded');
await write(rewritten, 'loaded');
const emptied = await context.newPage();
await load(emptied, 'left');
await emptied.goto('about:blank');
await write(emptied, 'emptied');
await load(page, 'page');
const [blank] = await Promise.all([
  context.waitForEvent('page'),
  page.evaluate((url) => window.open('').document.write(`<img src="${url}">`), `${SITE}/asset/pixel.png?kind=image&run=blank`),
]);
await blank.waitForFunction(() => document.images[0]?.complete, undefined, { polling: 50 });
await ask(blank, 'blank');
await page.evaluate(async (src) => {
  const frame = document.createElement('iframe');
  await new Promise((resolve) => document.body.append(Object.assign(frame, { src, onload: resolve })));
}, `${SITE}/asset/frame.html?kind=iframe&run=page`);
const frame = page.frames()[1];

// A worker that starts anew, and an extension that does. Frames and tabs ask before the worker knows them, and after that.
const ASKING = [
  [page, ''],
  [frame, ''],
  [blank, '-blank'],
  [written, '-written'],
];
const askAll = async (run) => {
  for (const [tab, which] of ASKING) await ask(tab, `${run}${which}`);
};

let popup = await openPopup();
await watch(popup);
const devtools = await context.newCDPSession(popup);
await devtools.send('ServiceWorker.enable');
await devtools.send('ServiceWorker.stopAllWorkers');
await askAll('restarting');
await watch(popup);
await askAll('restarted');
// The last batch of a worker may be lost, so this is not it.
await load(emptied, 'between');
await popup.evaluate(() => setTimeout(() => chrome.runtime.reload(), 0));
await popup.waitForEvent('close');
popup = await openPopup();
await watch(popup);
await askAll('reloaded');
// A navigation in such a tab is one as always.
await load(page, 'next');
await context.close();
