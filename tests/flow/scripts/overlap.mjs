// Opens and closes browser contexts that overlap, and loads pages in them.
//
//   ORDER   steps such as "+A +B -A": a context opens, or closes; after each step every open one loads a page
//   USERS   how many users open contexts at once, and how many contexts each of them opens after the other
import process from 'node:process';

import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';

import { browserArgs, executablePath } from './clients.mjs';
import { done, until } from './settle.mjs';

const { SITE, CLIENT, ORDER, USERS } = process.env;

const playwright = async () => {
  const browser = await chromium.launch({ executablePath, args: browserArgs });
  return { newContext: () => browser.newContext(), close: () => browser.close() };
};
const puppeteerBrowser = async () => {
  const browser = await puppeteer.launch({ executablePath, args: browserArgs });
  return { newContext: () => browser.createBrowserContext(), close: () => browser.close() };
};

async function load(page, name, subs = 6) {
  await page.goto(`${SITE}/page?kind=document&run=overlap&nav=${name}&subs=${subs}`);
  await done(page);
}

/**
 * Loads pages until requests have a span id each. Then the listener puts headers on them, so the host has kept the page's context, and a request
 * has shown that it is reported.
 */
async function settle(page) {
  const carried = `${SITE}/carried?kind=settling&run=overlap&nav=settling`;
  await until('requests have a span id each', async () => {
    await load(page, 'settling', 0);
    return page.evaluate(async (url) => (await (await fetch(url)).text()) !== (await (await fetch(url)).text()), carried);
  });
}

async function inOrder(browser) {
  const open = new Map();
  for (const [number, step] of ORDER.split(' ').entries()) {
    const name = step.slice(1);
    if (step.startsWith('-')) {
      await open.get(name).context.close();
      open.delete(name);
    } else {
      const context = await browser.newContext();
      const page = await context.newPage();
      open.set(name, { context, page });
      // If another one closed before the host has kept this one, its requests would be reported no longer.
      if (open.size > 1) await settle(page);
    }
    for (const [each, { page }] of open) await load(page, `${each}${number}`);
  }
  // The end of the last page has reached the extension when that has handled a later one.
  const [{ page }] = open.values();
  await settle(page);
}

async function atOnce(browser, users, contexts) {
  const use = async (user) => {
    for (let n = 0; n < contexts; n += 1) {
      const context = await browser.newContext();
      const page = await context.newPage();
      for (const visit of [1, 2]) await load(page, `u${user}-${n}-${visit}`);
      await context.close();
    }
  };
  await Promise.all(Array.from({ length: users }, (_, user) => use(user)));
}

const browser = await (CLIENT === 'puppeteer' ? puppeteerBrowser() : playwright());
try {
  if (ORDER !== undefined) await inOrder(browser);
  const [users, contexts] = (USERS ?? '0 0').split(' ').map(Number);
  await atOnce(browser, users, contexts);
} finally {
  await browser.close();
}
