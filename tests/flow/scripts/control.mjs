// Sends the popup's commands from a page of the extension: pause, new trace, targets and sampling. Loads a page of the site after each, and logs
// the worker's answers.
//
//   SITE         the origin of the site
//   CHROME_BIN   the browser, which `navtrace run` sets
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { chromium } from 'playwright-core';

const { SITE, CHROME_BIN } = process.env;
const POPUP = 'chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/popup/popup.html';

/** The site, by the name that stands in the rule of the record. */
const { port } = new URL(SITE);
const args = ['--host-resolver-rules=MAP *.invalid 127.0.0.1'];
const RECORD_SITES = ['navtrace.invalid', 'x.navtrace.invalid'].map((name) => `http://${name}:${port}`);

// The header must leave in no state of the extension.
const extraHTTPHeaders = { 'sec-ch-navtrace': 'on' };
const context = await chromium.launchPersistentContext('', { executablePath: CHROME_BIN, args, extraHTTPHeaders });
const page = await context.newPage();
const popup = await context.newPage();
let count = 0;

async function load(run, site = SITE) {
  count += 1;
  await page.goto(`${site}/page?kind=document&run=${run}&nav=${run}-${count}&subs=3`, { waitUntil: 'load' });
  await page.waitForFunction(() => window.done === true, undefined, { polling: 50 });
}

/** Makes the page of the site fetch a URL. */
const ask = (path, headers = {}) => page.evaluate(async ([url, init]) => (await fetch(url, init)).status, [`${SITE}${path}`, { headers }]);

/** Connects as the popup does and watches the tab of the site. */
const connect = () =>
  popup.evaluate(async (site) => {
    const tabs = await chrome.tabs.query({});
    const tabId = tabs.find(({ url }) => url?.startsWith(site))?.id ?? null;
    window.port = chrome.runtime.connect({ name: 'popup' });
    window.gone = false;
    window.port.onDisconnect.addListener(() => void (window.gone = true));
    window.answers = [];
    window.view = null;
    window.port.onMessage.addListener((message) => {
      if (message.type === 'view') window.view = message;
      else if (message.type !== 'executed') window.answers.push(message);
    });
    window.port.postMessage({ type: 'watch', tabId });
  }, SITE);

const send = (wanted) => popup.evaluate((message) => window.port.postMessage(message), wanted);
const view = () => popup.evaluate(() => window.view);
const until = (what) => popup.waitForFunction(what, undefined, { polling: 50, timeout: 10_000 });

/** Returns the `traceparent` of a request that the open page makes; empty if none. */
const carried = () => page.evaluate(async (url) => (await fetch(url)).text(), `${SITE}/carried?run=settling`);

/** Waits until a request of the open page carries what it should, for changed rules and listeners take a while to be in place. */
async function inForce(isRight) {
  while (!isRight(await carried())) await pause(20);
}

/** Sends a command and waits until it has taken effect. */
async function make(message, what, isRight) {
  await send(message);
  await until(what);
  await inForce(isRight);
}

const none = (header) => header === '';
const some = (header) => header !== '';

await load('before');
await popup.goto(POPUP);
await connect();
await until(() => window.view?.host.state === 'connected' && window.view.exporter !== null);
const first = await view();

for (const site of RECORD_SITES) await load('record', site);
await load('settling');
await make({ type: 'pause', paused: true }, () => window.view.paused, none);
for (const site of RECORD_SITES) await load('record', site);
await load('paused');
await ask('/page?run=paused', { navtrace: 'off' });
const devtools = await context.newCDPSession(popup);
await devtools.send('ServiceWorker.enable');
await devtools.send('ServiceWorker.stopAllWorkers');
await until(() => window.gone);
await connect();
await until(() => window.view?.host.state === 'connected');
const killed = await view();
await load('killed');
await make({ type: 'pause', paused: false }, () => !window.view.paused, some);
await load('resumed');

const slow = ask('/slow?ms=2000&run=slow&nav=slow&kind=slow');
while (!(await (await fetch(`${SITE}/seen?run=slow&nav=slow`)).json()).slow) await pause(20);
const before = (await view()).session;
await send({ type: 'new-trace' });
await popup.waitForFunction((traceId) => window.view.session.traceId !== traceId, before.traceId, { polling: 50 });
await inForce((header) => !header.includes(before.traceId));
await ask('/page?run=same-document');
await slow;
await load('new-trace');
const second = (await view()).session;

await make({ type: 'choose', ratio: null, targets: ['shop'], resources: null }, () => window.answers.length === 1, some);
await make({ type: 'choose', ratio: null, targets: ['http://elsewhere.test/*'], resources: null }, () => window.view.chosen.targets?.length === 1, none);
await load('elsewhere');
await make({ type: 'choose', ratio: 0, targets: null, resources: null }, () => window.view.chosen.ratio === 0, some);
await make({ type: 'new-trace' }, () => window.view.session.flags === '00', (header) => header.endsWith('-00'));
await load('unsampled');
await send({ type: 'reconnect' });
// Only the next host answers this. Until it is there, the question is refused.
await popup.waitForFunction(
  () => {
    window.port.postMessage({ type: 'settings' });
    return window.answers.some(({ type }) => type === 'settings');
  },
  undefined,
  { polling: 50 },
);
await load('reconnected');
await make({ type: 'choose', ratio: null, targets: null, resources: null }, () => window.view.chosen.ratio === null, some);

const refusals = await popup.evaluate(() => window.answers);
const sessions = [first.session, before, second, (await view()).session].map(({ traceId }) => traceId);
console.error(`CONTROL ${JSON.stringify({ first, killed, sessions, refusals, last: await view() })}`);
await context.close();
