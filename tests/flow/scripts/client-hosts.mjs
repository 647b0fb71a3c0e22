// Navigates to two hosts itself, and lets their pages lead to hosts that it has not named. Each request names its step as `nav`.
//
//   SITE         the origin of the site on 127.0.0.1
//   OTHER        its origin on localhost, which is reached by the names of other hosts too
//   DEAD         an origin on localhost at which nothing listens
//   CHROME_BIN   the browser, which `navtrace run` sets
import process from 'node:process';

import { chromium } from 'playwright-core';

const { SITE, OTHER, DEAD, CHROME_BIN } = process.env;
const ads = OTHER.replace('localhost', 'ads.localhost');
const shop = OTHER.replace('localhost', 'shop.localhost');
const api = OTHER.replace('localhost', 'api.shop.localhost');
const dead = DEAD.replace('localhost', 'dead.localhost');

const context = await chromium.launchPersistentContext('', { executablePath: CHROME_BIN });
const page = await context.newPage();

const document = (origin, nav) => `${origin}/page?kind=document&nav=${nav}&subs=2`;
/** A page whose response comes so late that the rules of lightweight mode have followed its request. */
const slow = (origin, nav) => `${origin}/slow?ms=500&kind=document&nav=${nav}&subs=2`;
const loaded = (tab) => tab.waitForFunction(() => window.done === true, undefined, { polling: 50 });

/** Opens a page, and waits for its requests. */
async function load(url) {
  await page.goto(url, { waitUntil: 'load' });
  await loaded(page);
}

/** Makes the page request an address by an image and by fetch, and waits for the ends. */
const request = (origin, nav) =>
  page.evaluate(async (url) => {
    const image = new Image();
    const ended = new Promise((resolve) => (image.onload = image.onerror = resolve));
    image.src = `${url}&kind=image`;
    await Promise.all([ended, fetch(`${url}&kind=fetch`, { mode: 'no-cors' }).catch(() => {})]);
  }, `${origin}/asset/pixel.png?nav=${nav}`);

await load(slow(SITE, 'goto'));
await request(ads, 'other');
await request(dead, 'dead');
await page.evaluate((url) => { location.href = url; }, document(ads, 'link'));
await page.waitForURL(/nav=link/);
await loaded(page);
await load(`${SITE}/redirect?kind=redirect&nav=redirect&to=${encodeURIComponent(document(ads, 'redirected'))}`);
await load(document(SITE, 'again'));
const [popup] = await Promise.all([context.waitForEvent('page'), page.evaluate((url) => void open(url), document(ads, 'popup'))]);
await loaded(popup);

await page.setExtraHTTPHeaders({ baggage: 'mine=1' });
await load(document(SITE, 'client-first'));
await load(document(SITE, 'client-second'));
await load(document(SITE, 'client'));
await request(ads, 'client-other');
await page.setExtraHTTPHeaders({});

await load(document(SITE, 'without-client'));
await load(document(SITE, 'without-client-again'));
await load(slow(shop, 'own-first'));
await load(document(shop, 'own'));
await request(api, 'own-subdomain');

/** Returns the trace that a request of the page carries. */
const traceId = () => page.evaluate(async () => (await (await fetch('/carried?nav=probe')).text()).split('-')[1]);
const before = await traceId();
const devtools = await context.newCDPSession(page);
await devtools.send('ServiceWorker.enable');
await devtools.send('ServiceWorker.stopAllWorkers');
while ((await traceId()) !== before || (await traceId()) !== before) await page.waitForTimeout(50);
await request(SITE, 'restarted');
await request(shop, 'restarted');
await request(ads, 'restarted-other');
await context.close();
