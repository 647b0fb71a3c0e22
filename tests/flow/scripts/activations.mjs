// Navigates to documents that the browser brings back, has prepared, or gets through a service worker, and makes each request something that its
// page leaves behind. Puppeteer neither turns the back-forward cache off nor pauses prerendered pages.
//
//   SITE         the origin of the site
//   CHROME_BIN   the browser, which `navtrace run` sets
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import puppeteer from 'puppeteer-core';

const { SITE, CHROME_BIN } = process.env;

const at = (path, kind, nav) => `${SITE}${path}?kind=${kind}&nav=${nav}&run=activations`;

const browser = await puppeteer.launch({ executablePath: CHROME_BIN, headless: true });
const page = await browser.newPage();

/** Loads a plain page. */
const load = (nav) => page.goto(at('/asset/plain.html', 'document', nav));

/** Limit of an evaluation's answer, in milliseconds. */
const ANSWER = 1000;

/** Waits until a page is shown. While its document takes the place of another, an evaluation fails or is never answered. */
async function shown(nav) {
  const isShown = (title) => document.title === title && !document.prerendering;
  const evaluated = () => Promise.race([page.evaluate(isShown, nav).catch(() => false), pause(ANSWER, false)]);
  while (!(await evaluated())) await pause(20);
}

/** Returns the context that a request of the page carries. */
const carried = (kind, nav) => page.evaluate(async (url) => (await fetch(url)).text(), at('/carried', kind, nav));

/**
 * Makes the page fetch something once its requests no longer carry what those of the page before did, for the change of the rules races
 * against them.
 */
async function fetchAfter(before, nav) {
  while ((await carried('settling', nav)) === before) await pause(20);
  await carried('after', nav);
}

/** Waits until the site has a request. */
async function arrived(kind, nav) {
  while (!(await (await fetch(at('/seen', '', nav))).json())[kind]) await pause(20);
}

/** Makes the page prefetch or prerender others, and returns once the site has seen all of these requests. */
async function speculate(what, navs, kinds) {
  const urls = navs.map((nav) => at('/asset/plain.html', 'document', nav));
  await page.evaluate(
    ([action, list]) => {
      const script = document.createElement('script');
      script.type = 'speculationrules';
      script.textContent = JSON.stringify({ [action]: [{ urls: list, eagerness: 'immediate' }] });
      document.head.append(script);
    },
    [what, urls],
  );
  for (const nav of navs) for (const kind of kinds) await arrived(kind, nav);
}

/** Follows a link to a page that may be prepared, once the evaluation has been answered: the page that does it may be gone at once. */
async function follow(nav) {
  const link = at('/asset/plain.html', 'document', nav);
  await page.evaluate((href) => void setTimeout(() => Object.assign(document.createElement('a'), { href }).click(), 0), link);
  await shown(nav);
}

const timing = () =>
  page.evaluate(() => {
    const [{ activationStart, deliveryType }] = performance.getEntriesByType('navigation');
    return { activationStart, deliveryType };
  });

// The back-forward cache.
await load('restored');
await page.evaluate(() => addEventListener('pageshow', ({ persisted }) => void (window.persisted = persisted)));
await load('left');
let before = await carried('after', 'left');
await page.goBack({ waitUntil: [] }).catch(() => {});
await shown('restored');
await fetchAfter(before, 'back');
const persisted = await page.evaluate(() => window.persisted);
await load('after-back');

// A prerendered page that is shown, and one that is not.
await load('preparing');
await speculate('prerender', ['prerendered'], ['document', 'image']);
before = await carried('after', 'preparing');
await follow('prerendered');
await fetchAfter(before, 'activated');
const { activationStart } = await timing();
await load('after-prerendered');
await load('preparing-in-vain');
await speculate('prerender', ['dropped'], ['document', 'image']);
await load('after-dropped');

// Two prefetched documents, of which one is shown.
await load('prefetching');
await speculate('prefetch', ['prefetched', 'unused'], ['document']);
before = await carried('after', 'prefetching');
await follow('prefetched');
await fetchAfter(before, 'prefetched');
const { deliveryType } = await timing();
await load('after-prefetched');

// A request that is made later.
await load('deferring');
await page.evaluate((url) => void fetchLater(url, { activateAfter: 0 }), at('/asset/data.json', 'later', 'deferring'));
await arrived('later', 'deferring');
await page.evaluate((url) => void fetchLater(url), at('/asset/data.json', 'left-behind', 'deferring'));
await load('after-deferring');
await arrived('left-behind', 'deferring');

// Documents that a service worker has from navigation preload.
await page.evaluate(async (script) => {
  const { installing } = await navigator.serviceWorker.register(script, { scope: '/sw/preload/' });
  await new Promise((resolve) => installing.addEventListener('statechange', () => installing.state === 'activated' && resolve()));
}, at('/sw/navigation-preload.js', 'worker', 'after-deferring'));
for (const nav of ['preloaded', 'preloaded-again']) await page.goto(at('/sw/preload/plain.html', 'document', nav));
await load('last');

// A handshake that nothing answers. An extension sees it, but can't change it.
await page.evaluate((url) => new WebTransport(url).ready.catch(() => {}), 'https://127.0.0.1:9/transport');

console.error(`ACTIVATIONS ${JSON.stringify({ persisted, activationStart, deliveryType })}`);
await browser.close();
