// Closes pages and browser contexts while their requests are under way. Serves them itself: one kind is never answered, another one only when its
// page is gone. The query of an address names the step. Logs nothing.
//
//   CHROME_BIN   the browser, which `navtrace run` sets
import http from 'node:http';
import process from 'node:process';

import { chromium } from 'playwright-core';

/** @type {Map<string, http.ServerResponse>} the requests that have no answer, by step */
const waiting = new Map();
/** What the requests so far carried. @type {Set<string>} */
const contexts = new Set(['']);
const PATHS = { '/silent': null, '/kept': null, '/body': 'the start of a body' };

const server = http.createServer((request, response) => {
  const { pathname, search } = new URL(request.url, 'http://shop.test');
  const { traceparent = '' } = request.headers;
  contexts.add(traceparent);
  response.setHeader('cache-control', 'no-store');
  if (pathname === '/carried') return void response.end(traceparent);
  if (!(pathname in PATHS)) return void response.setHeader('content-type', 'text/html').end('<link rel="icon" href="data:,"><h1>page</h1>');
  if (PATHS[pathname] !== null) response.write(PATHS[pathname]);
  return void waiting.set(search.slice(1), response);
});
const port = await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
const SHOP = `http://127.0.0.1:${port}`;

const LIMIT = 60_000;

const until = async (condition) => {
  const deadline = Date.now() + LIMIT;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`not within ${LIMIT} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

/** Starts requests in a page, and waits until they have arrived. */
async function start(page, steps, code) {
  await page.evaluate(code);
  await until(() => steps.every((step) => waiting.has(step)));
}

/** Answers a request, and waits until the answer has left. */
const answer = (step) => new Promise((resolve) => waiting.get(step).on('finish', resolve).end());

async function load(page, ...steps) {
  for (const step of steps) await page.goto(`${SHOP}/?${step}`);
}

/**
 * Loads a page, and waits until its requests carry what no page before has. The extension sees events in order, so by then it has sent all of those
 * pages. What happens in the last moments of a browser may have no end.
 */
async function settle(page) {
  const before = new Set(contexts);
  await load(page, 'settling');
  await until(async () => !before.has(await page.evaluate(async () => (await fetch('/carried?settling')).text())));
}

const browser = await chromium.launch({ executablePath: process.env.CHROME_BIN });
const a = await browser.newContext();
const other = await a.newPage();
await load(other, 'other');

// A page closes, and its context goes on.
const page = await a.newPage();
await load(page, 'page');
await start(page, ['page-fetch', 'page-kept', 'page-beacon'], () => {
  void fetch('/silent?page-fetch').catch(() => null);
  void fetch('/kept?page-kept', { keepalive: true }).catch(() => null);
  navigator.sendBeacon('/kept?page-beacon', '');
});
await page.close();
await load(other, 'page-closed', 'page-over');
for (const step of ['page-kept', 'page-beacon']) await answer(step);

// A context closes, and another one goes on.
const b = await browser.newContext();
const last = await b.newPage();
await load(last, 'last');
await start(other, ['context-fetch', 'context-body', 'context-kept', 'context-worker', 'context-frame'], () => {
  void fetch('/silent?context-fetch').catch(() => null);
  void fetch('/body?context-body').then((response) => response.text()).catch(() => null);
  void fetch('/silent?context-kept', { keepalive: true }).catch(() => null);
  new Worker(URL.createObjectURL(new Blob([`fetch('${location.origin}/silent?context-worker').catch(() => null)`])));
  document.body.append(Object.assign(document.createElement('iframe'), { src: '/silent?context-frame' }));
});
await a.close();
await load(last, 'context-closed', 'context-over');

// The last context closes, with a worker that belongs to no tab.
await start(last, ['shared-worker', 'last-image'], () => {
  new SharedWorker(URL.createObjectURL(new Blob([`fetch('${location.origin}/silent?shared-worker').catch(() => null)`])));
  document.body.append(Object.assign(new Image(), { src: '/silent?last-image' }));
});
await b.close();

// The last page of a context closes, and the context goes on.
const c = await browser.newContext();
const left = await c.newPage();
await load(left, 'last-closed', 'last-over');
await start(left, ['left-kept'], () => void fetch('/kept?left-kept', { keepalive: true }).catch(() => null));
await left.close();
const next = await c.newPage();
await load(next, 'left-closed');
await answer('left-kept');
await load(next, 'left-over');
await settle(next);
await browser.close();
server.closeAllConnections();
server.close();
