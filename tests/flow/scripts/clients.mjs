// Shared by the scripts of Playwright and Puppeteer. They log to standard error, as k6 does.
//
//   SITE           the origin of the site
//   CHROME_BIN     the browser, which `navtrace run` sets
//   BROWSER_ARGS   additional arguments for the browser, such as --no-sandbox
//   CLIENT         playwright or puppeteer, for a script that works for either
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { until } from './settle.mjs';

const { SITE } = process.env;
const CONTEXTS = 2;
const PAGES = 2;

/** Time after which a request counts as failed. The four pages share the machine. */
const LIMIT = 60_000;

/** Limit of a page load. In the worst case, several requests fail after LIMIT each. */
const LOAD_LIMIT = 150_000;

/** Limit of the wait for requests that may never come. */
const LATE_LIMIT = 10_000;

export const executablePath = process.env.CHROME_BIN;
export const browserArgs = (process.env.BROWSER_ARGS ?? '').split(' ').filter(Boolean);

/**
 * Waits for the requests of the shared worker and the prerendered page, which never come if the client keeps those paused. The page itself waits
 * half a second at its end, which is too short for four pages at once.
 */
async function late(labels) {
  const deadline = Date.now() + LATE_LIMIT;
  while (Date.now() < deadline) {
    const seen = await (await fetch(`${SITE}/seen?${labels}`)).json();
    if (seen['shared-worker-fetch'] && seen['prerender-image']) return;
    await pause(50);
  }
}

/** Loads the coverage page, logs its results, and returns its labels. */
export async function loadCoverage(page, name) {
  const labels = `run=${name}&nav=${name}`;
  page.setDefaultTimeout(LOAD_LIMIT);
  await page.goto(`${SITE}/coverage?kind=document&limit=${LIMIT}&${labels}`);
  // Not by animation frames, the default of both clients: a page behind its popup has none.
  const results = await page.evaluate(async () => {
    while (!window.done) await new Promise((resolve) => setTimeout(resolve, 50));
    return window.results;
  });
  console.error(`COVERAGE ${JSON.stringify({ run: name, results })}`);
  return labels;
}

/**
 * Loads a page until each of its requests has a span id of its own. Until the host has seen to a window that opened beside another one, rules put
 * one span id on all requests of a page there. They may change once while a page loads, hence three requests. Without navtrace there is no id.
 */
async function settle(page) {
  const labels = 'kind=settling&run=settling&nav=settling';
  await until('requests of a page have a span id each', async () => {
    await page.goto(`${SITE}/asset/plain.html?${labels}`);
    const contexts = await page.evaluate(async (url) => {
      const carried = [];
      for (let i = 0; i < 3; i += 1) carried.push(await (await fetch(url)).text());
      return carried;
    }, `${SITE}/carried?${labels}`);
    return contexts[0] === '' || new Set(contexts).size === contexts.length;
  });
}

async function load(page, name) {
  await late(await loadCoverage(page, name));
  await page.close();
}

/**
 * Loads the coverage page in several pages of several contexts at once, each as its own run.
 *
 * @param newContext makes a browser context
 * @param newPages opens this many pages in a context, each in its own window, since nothing is prerendered for a hidden tab
 */
async function loadAll(newContext, newPages) {
  const contexts = await Promise.all(Array.from({ length: CONTEXTS }, newContext));
  const opened = await Promise.all(contexts.map((context) => newPages(context, PAGES)));
  // All of them before any load: requests of workers have span ids of their own only once no window has such rules.
  await Promise.all(opened.flat().map(settle));
  await Promise.all(opened.flatMap((pages, c) => pages.map((page, p) => load(page, `${c}-${p}`))));
  await Promise.all(contexts.map((context) => context.close()));
}

/** Loads all pages in a Playwright browser. Playwright opens only tabs, so a page opens the windows. */
export function loadAllByPlaywright(browser) {
  const newPages = async (context, count) => {
    const pages = [await context.newPage()];
    while (pages.length < count) {
      const page = context.waitForEvent('page');
      await pages[0].evaluate(() => void window.open('about:blank', '_blank', 'popup,noopener'));
      pages.push(await page);
    }
    return pages;
  };
  return loadAll(() => browser.newContext(), newPages);
}

/** Loads all pages in a Puppeteer browser. */
export function loadAllByPuppeteer(browser) {
  const newPages = async (context, count) => {
    const pages = [];
    while (pages.length < count) pages.push(await context.newPage({ type: 'window' }));
    return pages;
  };
  return loadAll(() => browser.createBrowserContext(), newPages);
}
