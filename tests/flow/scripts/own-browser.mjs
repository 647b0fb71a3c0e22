// Does what a person does in a browser with navtrace: visits pages in a window, and others in an Incognito window. Each request names its step as
// `nav`.
//
//   SITE        the origin of the site
//   PROFILE     the profile, in which the host is registered
//   EXTENSION   the folder of the extension
import { mkdirSync, writeFileSync } from 'node:fs';
import process from 'node:process';

import puppeteer from 'puppeteer-core';

const { SITE, PROFILE, EXTENSION } = process.env;
const ID = 'aalhdoofknlgjgclnnkjbegphicaohme';

// What a person allows in the extension's details.
mkdirSync(`${PROFILE}/Default`, { recursive: true });
const preferences = { extensions: { settings: { [ID]: { incognito: true } }, ui: { developer_mode: true } } };
writeFileSync(`${PROFILE}/Default/Preferences`, JSON.stringify(preferences));

const browser = await puppeteer.launch({
  executablePath: process.env.CHROME_BIN ?? '/usr/bin/chromium',
  userDataDir: PROFILE,
  args: [`--load-extension=${EXTENSION}`, '--disable-background-networking', ...(process.getuid() === 0 ? ['--no-sandbox'] : [])],
  ignoreDefaultArgs: ['--disable-extensions'],
});

/** Loads a page, which by default waits for the rules that name its navigation, and waits for its requests. */
async function load(page, nav, path = 'settled') {
  await page.goto(`${SITE}/${path}?kind=document&nav=${nav}&subs=2`);
  await page.waitForFunction(() => window.done === true, { polling: 50 });
}

/** Makes a page start a shared worker, and waits until that has fetched. */
const startWorker = (page, nav) =>
  page.evaluate(async (name) => {
    const worker = new SharedWorker(`/asset/shared-worker.js?kind=shared-worker&nav=${name}&run=${name}`, name);
    worker.port.start();
    const count = async () => (await (await fetch(`/seen?run=${name}&nav=${name}`)).json())['shared-worker-fetch'] ?? 0;
    while ((await count()) === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  }, nav);

const regular = await browser.newPage();
const carried = async () => {
  await load(regular, 'arming', 'page');
  return regular.evaluate(async () => (await fetch('/carried')).text());
};
while ((await carried()) === '') await new Promise((resolve) => setTimeout(resolve, 50));
await load(regular, 'regular-1');
await load(regular, 'regular-2');

const incognito = await browser.createBrowserContext();
const secret = await incognito.newPage();
// The first request of a tab may leave before the extension knows that the window is an Incognito one.
await load(secret, 'incognito');
await load(secret, 'secret-1');
await load(secret, 'secret-2');
await startWorker(secret, 'secret-worker');
await load(regular, 'regular-3');
await incognito.close();
await startWorker(regular, 'regular-worker');
await browser.close();
