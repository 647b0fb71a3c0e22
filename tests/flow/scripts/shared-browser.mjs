// Lets clients share a browser over its address: each opens a context of its own, uses it, and leaves.
import process from 'node:process';

import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';

import { browserArgs, executablePath } from './clients.mjs';

const { SITE } = process.env;

/** Limit of each wait. */
const LIMIT = 60_000;

/** Repeats a check until it holds. */
async function until(what, holds) {
  const deadline = Date.now() + LIMIT;
  while (!(await holds())) if (Date.now() > deadline) throw new Error(`after ${LIMIT / 1000} s still not so: ${what}`);
}

async function done(page) {
  await page.evaluate(async () => {
    while (!window.done) await new Promise((resolve) => setTimeout(resolve, 20));
  });
}

async function load(page, nav) {
  await page.goto(`${SITE}/page?kind=document&run=shared&nav=${nav}&subs=3`);
  await done(page);
}

/** Runs in a page: returns whether its requests carry the context that its response named (rules), or a span id each (the listener). */
async function isSettled(carried) {
  const spanId = async () => (await (await fetch(carried)).text()).split('-')[2];
  const [{ serverTiming }] = performance.getEntriesByType('navigation');
  const named = serverTiming.findLast(({ name }) => name === 'traceparent')?.description.split('-')[2] ?? '';
  const [first, second] = [await spanId(), await spanId()];
  return second === named || second !== first;
}

/** Loads pages until the extension has followed a new tab. Until then the tab has rules with the trace of the latest context. */
async function settle(page) {
  const settling = (path) => `${SITE}/${path}?kind=settling&run=shared&nav=settling&subs=0`;
  await until('the tab has a context of its own', async () => {
    await page.goto(settling('page'));
    await done(page);
    return page.evaluate(isSettled, settling('carried'));
  });
}

/** One iteration, as under k6 2: connects, works in a context, and disconnects. */
async function iterate(connect, name) {
  const browser = await connect();
  const context = await browser.newContext();
  const page = await context.newPage();
  await settle(page);
  for (const visit of [1, 2]) await load(page, `${name}-${visit}`);
  await context.close();
  await browser.close();
}

async function share(connect, name) {
  for (const n of [1, 2]) await iterate(connect, `${name}${n}`);
  await Promise.all([3, 4].map((n) => iterate(connect, `${name}${n}`)));
}

const owner = await puppeteer.launch({ executablePath, args: browserArgs });
await share(() => chromium.connectOverCDP(owner.wsEndpoint()), 'cdp');
await owner.close();

const server = await chromium.launchServer({ executablePath, args: browserArgs });
await share(() => chromium.connect(server.wsEndpoint()), 'server');
await server.close();
