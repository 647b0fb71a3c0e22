// A page that exports spans of its own to OTEL_EXPORTER_OTLP_ENDPOINT, by every name of its host. The site is in SITE.
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const entry = fileURLToPath(new URL('../../support/sdk/web/export.js', import.meta.url));
const { outputFiles } = await build({ entryPoints: [entry], write: false, bundle: true, format: 'iife', target: 'es2022', logLevel: 'warning' });
const [{ text: content }] = outputFiles;

const browser = await chromium.launch({ executablePath: process.env.CHROME_BIN });
const page = await browser.newPage();
page.on('console', (message) => console.error(message.text()));
await page.goto(`${process.env.SITE}/page?run=0&nav=0`);
await page.addScriptTag({ content });
const endpoint = new URL(process.env.OTEL_EXPORTER_OTLP_ENDPOINT);
const path = endpoint.pathname.replace(/\/$/, '');
for (const host of ['127.0.0.1', 'localhost']) {
  const to = `http://${host}:${endpoint.port}${path}`;
  console.error(`EXPORTED ${JSON.stringify(await page.evaluate((address) => globalThis.exportSpans(address), to))}`);
}
// A request after the exports, by which the site knows that the page goes on to be traced.
await page.evaluate(() => fetch('/asset/data.json?kind=after&run=0&nav=0'));
// What happens in the last moments of a browser may have no span. The extension sees events in order, so once it has seen the last request of
// another page it has sent all before.
await page.goto(`${process.env.SITE}/page?run=0&nav=last`);
await page.waitForFunction(() => window.done === true, undefined, { polling: 50, timeout: 60_000 });
await page.close();
await browser.close();
