// Makes a page do what browsers do over HTTP/2 alone: load what Early Hints name, and stream uploads.
//
//   SITE           the origin of the site
//   CHROME_BIN     the browser, which `navtrace run` sets
//   BROWSER_ARGS   arguments by which the browser accepts the certificate of the site
import process from 'node:process';

import puppeteer from 'puppeteer-core';

const { SITE, CHROME_BIN, BROWSER_ARGS, NAVTRACE_MODE } = process.env;

/** In lightweight mode, a page that waits until its requests carry its own context. In detailed mode they do at once. */
const PAGE = NAVTRACE_MODE === 'lightweight' ? '/settled' : '/page';

const at = (path, kind, nav) => `${SITE}${path}?kind=${kind}&nav=${nav}&run=http2`;

const browser = await puppeteer.launch({ executablePath: CHROME_BIN, headless: true, args: BROWSER_ARGS.split(' ') });
const page = await browser.newPage();

async function load(nav) {
  await page.goto(at(PAGE, 'document', nav));
  await page.waitForFunction(() => window.done === true, { timeout: 60_000 });
}

await page.goto(at('/hinting', 'document', 'hinting'));
await page.evaluate(async (src) => Object.assign(new Image(), { src }).decode(), `${SITE}/cacheable/0.png?kind=hinted&run=http2&nav=hinting`);

await load('uploading');
await page.evaluate(
  async (urls) => {
    const upload = (url) => fetch(url, { method: 'POST', body: new Blob(['streamed']).stream(), duplex: 'half' });
    for (const url of urls) await (await upload(url)).text();
  },
  ['upload', 'upload-again'].map((kind) => at('/asset/data.json', kind, 'uploading')),
);
await page.goto(at('/asset/plain.html', 'document', 'last'));

// What happens in the last moments of a browser may have no span. The extension sees events in order, so once it has seen this page it has sent all
// before.
await load('settling');
await browser.close();
