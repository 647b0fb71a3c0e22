// Makes a page do what browsers do over HTTP/2 alone: load what Early Hints name, and stream uploads.
//
//   SITE           the origin of the site
//   CHROME_BIN     the browser, which `navtrace run` sets
//   BROWSER_ARGS   arguments by which the browser accepts the certificate of the site
import process from 'node:process';

import puppeteer from 'puppeteer-core';

const { SITE, CHROME_BIN, BROWSER_ARGS } = process.env;

const at = (path, kind, nav) => `${SITE}${path}?kind=${kind}&nav=${nav}&run=http2`;

const browser = await puppeteer.launch({ executablePath: CHROME_BIN, headless: true, args: BROWSER_ARGS.split(' ') });
const page = await browser.newPage();

await page.goto(at('/hinting', 'document', 'hinting'));
await page.evaluate(async (src) => Object.assign(new Image(), { src }).decode(), `${SITE}/cacheable/0.png?kind=hinted&run=http2&nav=hinting`);

await page.goto(at('/asset/plain.html', 'document', 'uploading'));
await page.evaluate(
  async (urls) => {
    const upload = (url) => fetch(url, { method: 'POST', body: new Blob(['streamed']).stream(), duplex: 'half' });
    for (const url of urls) await (await upload(url)).text();
  },
  ['upload', 'upload-again'].map((kind) => at('/asset/data.json', kind, 'uploading')),
);
await page.goto(at('/asset/plain.html', 'document', 'last'));

await browser.close();
