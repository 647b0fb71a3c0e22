// Spoils what the extension, its host and its popup say to each other, and logs whether each of them goes on. It serves its own pages.
//
//   CHROME_BIN   the browser, which `navtrace run` sets
import { createServer } from 'node:http';
import process from 'node:process';

import { chromium } from 'playwright-core';

/** The limit of `extension/observe/outbox.js`. */
const MAX_IN_FLIGHT = 64;

/** Limit of each wait, in milliseconds. What does not come within it never comes. */
const LIMIT = 60_000;

const POPUP = 'chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/popup/popup.html';

/** Redirects that wait until they are released. @type {(() => void)[]} */
const held = [];
const server = createServer((request, response) => {
  response.setHeader('cache-control', 'no-store');
  const redirect = () => response.writeHead(302, { location: '/redirected' }).end();
  if (request.url === '/held') return void held.push(redirect);
  response.setHeader('content-type', 'text/html');
  return void response.end('<!doctype html><title>page</title>');
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const site = `http://127.0.0.1:${server.address().port}`;

const context = await chromium.launchPersistentContext('', { executablePath: process.env.CHROME_BIN });
const [worker = await context.waitForEvent('serviceworker')] = context.serviceWorkers();
const popup = await context.newPage();

/** Repeats a check until it holds, and returns whether it did. */
async function holds(check) {
  const end = Date.now() + LIMIT;
  while (Date.now() < end) {
    if (await check()) return true;
    await popup.waitForTimeout(20);
  }
  return false;
}

async function open(name) {
  const page = await context.newPage();
  await page.goto(`${site}/${name}`);
  return page;
}

/** Makes a page fetch a path. */
const ask = (page, path, headers = {}) => page.evaluate(async ([url, init]) => (await fetch(url, init)).status, [path, { headers }]);

/** Returns the context of a page's navigation. */
const contextOf = (page) =>
  page.evaluate(() => performance.getEntriesByType('navigation')[0].serverTiming.find(({ name }) => name === 'traceparent').description);

const other = await open('other');
const page = await open('page');

// Pages name spans as the callers of their requests.
const [own, foreign] = [await contextOf(page), await contextOf(other)];
const made = own.replace(/-\w{16}-/, '-00000000000000aa-');
for (const [path, traceparent] of Object.entries({ '/own': own, '/foreign': foreign, '/made': made })) await ask(page, path, { traceparent });

await popup.goto(POPUP);
const tabId = await popup.evaluate(async (url) => (await chrome.tabs.query({})).find((tab) => tab.url === url).id, `${site}/page`);
await popup.goto(`${POPUP}?tab=${tabId}`);
await popup.evaluate((tab) => {
  const port = chrome.runtime.connect({ name: 'popup' });
  Object.assign(window, { port, answers: [], view: null });
  port.onMessage.addListener((message) => (message.type === 'view' ? (window.view = message) : window.answers.push(message)));
  port.postMessage({ type: 'watch', tabId: tab });
}, tabId);
const send = (command) => popup.evaluate((message) => window.port.postMessage(message), command);
const view = () => popup.evaluate(() => window.view);

// The next port to the host can spoil batches.
await worker.evaluate(() => {
  Object.assign(self, { toSpoil: 0, sent: 0, received: 0 });
  const { connectNative } = chrome.runtime;
  chrome.runtime.connectNative = (name) => {
    const port = connectNative.call(chrome.runtime, name);
    const post = port.postMessage.bind(port);
    port.postMessage = (message) => {
      if (message.type === 'settings') post({ v: 1, type: 'observed', worker: 'f'.repeat(16), number: 1 });
      if (message.type !== 'observed') return post(message);
      self.sent = message.number;
      if (self.toSpoil === 0) return post(message);
      self.toSpoil -= 1;
      return post({ ...message, dropped: 'none' });
    };
    port.onMessage.addListener(({ type, number }) => {
      if (type === 'received') self.received = number;
    });
    return port;
  };
});
const isReceived = () => holds(() => worker.evaluate(() => self.sent > 0 && self.sent === self.received));
await send({ type: 'reconnect' });
const seen = { reconnected: await holds(async () => (await ask(page, '/again')) === 200 && (await isReceived())) };

// An invalid batch is before the question.
await send({ type: 'settings' });
const answer = () => popup.evaluate(() => window.answers.find(({ type, command }) => type === 'settings' || command === 'settings'));
await holds(answer);
seen.answer = (await answer())?.type;

// The host refuses as many batches as may be on their way.
await worker.evaluate((count) => (self.toSpoil = count), MAX_IN_FLIGHT);
seen.spoiled = await holds(async () => (await ask(page, '/spoiled')) === 200 && (await worker.evaluate(() => self.toSpoil === 0)));
await ask(page, '/afterwards');
seen.received = await isReceived();

// The clock is set back.
await worker.evaluate(() => {
  const { now } = Date;
  Object.assign(Date, { now: () => now() - 3_600_000, then: now });
});
await ask(page, '/set-back');
seen.shown = await holds(async () => (await view()).tab?.navigations[0].requests.some(({ url }) => url.endsWith('/set-back')));
await worker.evaluate(() => Object.assign(Date, { now: Date.then }));

// The trace changes to one that is not sampled while a redirect is under way.
const redirected = ask(page, '/held');
await holds(() => held.length > 0);
await send({ type: 'choose', ratio: 0, targets: null, resources: null });
await holds(async () => (await view()).chosen.ratio === 0);
await send({ type: 'new-trace' });
await holds(async () => (await view()).session.flags === '00');
for (const release of held) release();
await redirected;
await send({ type: 'pause', paused: true });
seen.forgotten = await holds(() => worker.evaluate(() => !chrome.webRequest.onCompleted.hasListeners()));

// The user resumes at the moment in which the worker ends.
seen.paused = await holds(async () => (await popup.locator('#pause').textContent()) === 'Resume');
await popup.evaluate(() => window.port.onDisconnect.addListener(() => document.querySelector('#pause').click()));
const devtools = await context.newCDPSession(popup);
await devtools.send('ServiceWorker.enable');
await devtools.send('ServiceWorker.stopAllWorkers');
seen.resumed = await holds(async () => (await popup.locator('#pause').textContent()) === 'Pause');

console.error(`CONVERSATION ${JSON.stringify({ own, foreign, made, ...seen })}`);
await context.close();
server.close();
