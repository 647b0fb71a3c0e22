// Lets clients share a browser over its address: each opens a context of its own, uses it, and leaves.
import process from 'node:process';

import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';

import { browserArgs, executablePath } from './clients.mjs';
import { done, settle } from './settle.mjs';

const { SITE } = process.env;

async function load(page, nav) {
  await page.goto(`${SITE}/page?kind=document&run=shared&nav=${nav}&subs=3`);
  await done(page);
}

/** One iteration, as under k6 2: connects, works in a context, and disconnects. */
async function iterate(connect, name) {
  const browser = await connect();
  const context = await browser.newContext();
  const page = await context.newPage();
  await settle(page, 'shared');
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
