// Visits a site that leads to servers that are no targets, and to addresses with secrets. Prints what the popup shows, and the journals on disk.
//
//   SITE         the origin that is the only target
//   OTHER        an origin on another host
//   DEAD         an origin on the target's host at which nothing listens
//   CHROME_BIN   the browser, which `navtrace run` sets
import { readFileSync, readdirSync } from 'node:fs';
import process from 'node:process';

import { chromium } from 'playwright-core';

import { url } from './extension-pages.mjs';

const { SITE, OTHER, DEAD, HOME, CHROME_BIN } = process.env;
const STATE = `${HOME}/.local/state/navtrace`;

const context = await chromium.launchPersistentContext('', { executablePath: CHROME_BIN });
const popup = await context.newPage();
let page = popup;

/** Addresses that are no targets, each with a word that must appear nowhere. */
const outside = (origin, what) => `${origin}/empty?run=outside-${what}&secret=outside`;
/** The target's own address has the word only in an encoded form. */
const through = (to) => `${SITE}/redirect?kind=redirect&run=inside&to=${encodeURIComponent(to).replaceAll('outside', '%6Futside')}`;
const inside = `${SITE}/page?kind=document&run=inside&subs=2`;

/** Opens an address, which may fail, in a new tab. */
async function load(address) {
  page = await context.newPage();
  await page.goto(address).catch(() => {});
}

/** Makes the page request an address in every way that a page has. */
const request = (address) =>
  page.evaluate(async (to) => {
    const loaded = (element) => new Promise((resolve) => {
      element.onload = element.onerror = resolve;
      element.src = to;
      document.body.append(element);
      setTimeout(resolve, 1000);
    });
    await Promise.all([
      fetch(to).catch(() => {}),
      fetch(to, { mode: 'no-cors' }).catch(() => {}),
      fetch(to, { method: 'POST', headers: { 'x-own': '1' } }).catch(() => {}),
      ...['img', 'script', 'iframe'].map((name) => loaded(document.createElement(name))),
    ]);
    navigator.sendBeacon(to, 'beacon');
    new WebSocket(to.replace(/^http/, 'ws')).onerror = () => {};
  }, address);

const places = [['dead', DEAD], ['other', OTHER], ['unsafe', 'http://127.0.0.1:1'], ['nowhere', 'http://nowhere.invalid']];
for (const [name, origin] of places) {
  await load(inside);
  await request(through(outside(origin, `${name}-redirected`)));
  await request(outside(origin, `${name}-direct`));
  await page.evaluate((to) => void open(to), through(outside(origin, `${name}-popup`)));
  await load(through(outside(origin, `${name}-navigation`)));
  await load(outside(origin, `${name}-page`));
}
await load(`${OTHER}/page?kind=document&run=outside-site&subs=2`);
await page.evaluate((to) => { location.href = to; }, inside);
await page.waitForURL(inside);

// A worker that is started by a request does not know the targets yet.
await load(inside);
const devtools = await context.newCDPSession(page);
await devtools.send('ServiceWorker.enable');
for (let turn = 0; turn < 5; turn += 1) {
  await devtools.send('ServiceWorker.stopAllWorkers');
  await request(outside(OTHER, 'restarted'));
}

// Addresses of the target with secrets, in the query, in a fragment, in the path and in another address.
await load(`${SITE.replace('//', '//user:hidden-user@')}/page?kind=document&run=inside&subs=2&code=hidden-code&STATE=hidden-state&q=shown-query`);
await page.evaluate(async (site) => {
  const queries = ['SAMLResponse=hidden-saml', '%70assword=hidden-encoded', 'next=%2Fa%3Faccess_token%3Dhidden-nested', 'voucher=hidden-own', 'a=1;api-key=hidden-key'];
  for (const query of queries) await fetch(`${site}/empty?${query}`);
  await fetch(`${site}/empty;jsessionid=hidden-path`).catch(() => {});
}, SITE);
await page.goto(`${inside}&nav=last#id_token=hidden-fragment&shown=fragment`);

await popup.goto(url('options/options.html'));
const tabId = await popup.evaluate(async () => (await chrome.tabs.query({})).find((tab) => tab.url?.includes('nav=last'))?.id);
await popup.goto(url(`popup/popup.html?tab=${tabId}`));
await popup.locator('.navigation').first().waitFor();
for (const summary of await popup.locator('.navigation > details > summary').all()) await summary.click();
// Two batches of observations later, everything is on the disk.
await popup.waitForTimeout(300);
const journals = readdirSync(`${STATE}/sessions`).map((name) => readFileSync(`${STATE}/sessions/${name}`, 'utf8'));
console.error(`PRIVACY ${JSON.stringify({ popup: await popup.locator('body').innerHTML(), journal: journals.join('\n') })}`);
await context.close();
