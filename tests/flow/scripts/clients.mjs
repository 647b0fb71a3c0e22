// What the scripts of Playwright and Puppeteer share. They log to standard error, as k6 does.
//
//   SITE           the origin of the site
//   CHROME_BIN     the browser: `navtrace run` sets it, a run without navtrace has to
//   BROWSER_ARGS   arguments for the browser that the client would not give it, such as --no-sandbox
//   CLIENT         playwright or puppeteer, where a script is for either
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

const { SITE } = process.env;
const CONTEXTS = 2;
const PAGES = 2;

/** How long a request may take until it counts as failed: the four pages share the machine. */
const LIMIT = 10_000;

/** How long a page may take, in which everything that fails does so after LIMIT, one after the other at worst. */
const LOAD_LIMIT = 60_000;

export const executablePath = process.env.CHROME_BIN;
export const browserArgs = (process.env.BROWSER_ARGS ?? '').split(' ').filter(Boolean);

/**
 * What a shared worker or a prerendered page asks for comes at any time or, where the client keeps it paused, never:
 * the page itself waits half a second at the end, which is not long enough when four of them end at once.
 */
async function late(words) {
  const deadline = Date.now() + LIMIT;
  while (Date.now() < deadline) {
    const seen = await (await fetch(`${SITE}/seen?${words}`)).json();
    if (seen['shared-worker-fetch'] && seen['prerender-image']) return;
    await pause(50);
  }
}

async function load(page, name) {
  const words = `run=${name}&nav=${name}`;
  page.setDefaultTimeout(LOAD_LIMIT);
  await page.goto(`${SITE}/coverage?kind=document&limit=${LIMIT}&${words}`);
  // Not by animation frames, which both clients wait with unless told otherwise: a page behind its popup has none.
  const results = await page.evaluate(async () => {
    while (!window.done) await new Promise((resolve) => setTimeout(resolve, 50));
    return window.results;
  });
  await late(words);
  console.error(`COVERAGE ${JSON.stringify({ run: name, results })}`);
  await page.close();
}

/**
 * Loads the coverage page in several pages of several contexts, all at once, each as a run of its own.
 *
 * @param newContext makes a context of the client
 * @param newPages opens so many pages in it, each in a window of its own: nothing is prerendered for a tab behind
 *   another
 */
async function loadAll(newContext, newPages) {
  const contexts = await Promise.all(Array.from({ length: CONTEXTS }, newContext));
  const loads = contexts.map(async (context, c) => {
    const pages = await newPages(context, PAGES);
    await Promise.all(pages.map((page, p) => load(page, `${c}-${p}`)));
  });
  await Promise.all(loads);
  await Promise.all(contexts.map((context) => context.close()));
}

/** Loads them all in a Playwright browser. Playwright itself opens tabs only, so a page opens the windows. */
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

/** Loads them all in a Puppeteer browser. */
export function loadAllByPuppeteer(browser) {
  const newPages = async (context, count) => {
    const pages = [];
    while (pages.length < count) pages.push(await context.newPage({ type: 'window' }));
    return pages;
  };
  return loadAll(() => browser.createBrowserContext(), newPages);
}
