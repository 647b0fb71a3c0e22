// Uses several browser contexts, at once and one after the other. The name of each page begins with that of its context.
//
//   OFF       whether a page that opens while two contexts are open is steered to carry nothing
//   POPUPS    whether a page of the first context opens popups while two contexts are open
//   RESTART   whether the extension's worker is ended while two contexts are open
//   SETTLE    whether the first page of a context waits until its tab has rules of its own, without which it can leave in lightweight mode
import process from 'node:process';

import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';

import { browserArgs, executablePath } from './clients.mjs';
import { done, settle, until } from './settle.mjs';

const { SITE, CLIENT, OFF, POPUPS, RESTART, SETTLE } = process.env;
const ORIGIN = 'chrome-extension://aalhdoofknlgjgclnnkjbegphicaohme/';

const playwright = async () => {
  const browser = await chromium.launch({ executablePath, args: browserArgs });
  return { newContext: () => browser.newContext(), close: () => browser.close(), devtools: () => browser.newBrowserCDPSession() };
};
const puppeteerBrowser = async () => {
  const browser = await puppeteer.launch({ executablePath, args: browserArgs });
  return { newContext: () => browser.createBrowserContext(), close: () => browser.close() };
};

const address = (nav) => `${SITE}/page?kind=document&run=contexts&nav=${nav}&subs=3`;

async function load(page, nav) {
  await page.goto(address(nav));
  await done(page);
}

/** Loads the first page of a browser context. */
async function loadFirst(page, nav) {
  if (SETTLE !== undefined) await settle(page, 'contexts');
  await load(page, nav);
}

/** Opens a popup, which loads its page at once. */
async function popup(page, nav, features) {
  const opened = new Promise((resolve) => page.once('popup', resolve));
  await page.evaluate(([url, wanted]) => void window.open(url, '_blank', wanted), [address(nav), features]);
  const shown = await opened;
  await done(shown);
  return shown;
}

/** Opens popups at once, whose requests leave before the browser has other rules, and closes them. */
async function popups(context, page, navs) {
  const before = await context.pages();
  await page.evaluate((urls) => urls.forEach((url) => void window.open(url, '_blank', 'noopener')), navs.map(address));
  let opened = [];
  while (opened.length < navs.length) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    opened = (await context.pages()).filter((each) => !before.includes(each));
  }
  for (const each of opened) {
    await done(each);
    await each.close();
  }
}

/** Requests something from a shared worker, which belongs to no tab. */
const worker = (page, nav) =>
  page.evaluate(async (url) => {
    const script = `onconnect = ({ ports: [port] }) => void fetch(${JSON.stringify(url)}).then(() => port.postMessage('done'));`;
    const { port } = new SharedWorker(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })));
    await new Promise((resolve) => (port.onmessage = resolve));
  }, `${SITE}/empty?kind=worker&run=contexts&nav=${nav}`);

/** Ends the extension's worker, and loads pages until the next one continues the session. */
async function restart(page) {
  const devtools = await browser.devtools();
  const { targetInfos } = await devtools.send('Target.getTargets');
  const { targetId } = targetInfos.find(({ type, url }) => type === 'service_worker' && url.startsWith(ORIGIN));
  await devtools.send('Target.closeTarget', { targetId });
  const named = () => performance.getEntriesByType('navigation')[0].serverTiming.some(({ name }) => name === 'traceparent');
  await until('a page continues the session', async () => {
    await load(page, 'restarting');
    return page.evaluate(named);
  });
}

const browser = await (CLIENT === 'puppeteer' ? puppeteerBrowser() : playwright());
const a = await browser.newContext();
const first = await a.newPage();
await loadFirst(first, 'a-1');
await popup(first, 'a-popup', '');
await popup(first, 'a-window', 'width=300,height=200');
await worker(first, 'a-worker');

const b = await browser.newContext();
const other = await b.newPage();
await loadFirst(other, 'b-1');
if (RESTART !== undefined) {
  await restart(first);
  await load(other, 'b-2');
}
if (OFF !== undefined) {
  const steered = await b.newPage();
  await steered.setExtraHTTPHeaders({ 'sec-ch-navtrace': 'off' });
  // The tab's first rules put headers on its requests. They go when the tab is known, and the requests of its context are reported.
  const carried = `${SITE}/carried?kind=settling&run=contexts&nav=off-0`;
  await until('the page is steered', async () => {
    await load(steered, 'off-0');
    return (await steered.evaluate(async (url) => (await fetch(url)).text(), carried)) === '';
  });
  await load(steered, 'off-1');
}
if (POPUPS !== undefined) {
  await popup(first, 'a-window-beside', 'width=300,height=200');
  await popups(a, first, [1, 2, 3, 4, 5].map((n) => `a-beside-${n}`));
}
const second = await a.newPage();
await settle(second, 'contexts');
await load(second, 'a-2');
await load(first, 'a-3');
await worker(first, 'none-worker');
await a.close();
await b.close();

const c = await browser.newContext();
const page = await c.newPage();
await loadFirst(page, 'c-1');
await worker(page, 'c-worker');
await page.close();
// Chromium gives it a window of its own, as to a page of another context.
await loadFirst(await c.newPage(), 'd-1');
await c.close();
await browser.close();
