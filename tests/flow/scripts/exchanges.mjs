// Makes exchanges that the browser repeats (with credentials for a server or a proxy), and requests that never leave or are given up. Serves them
// itself, since the site knows neither credentials nor a proxy. Logs what arrived, and how each step ended.
//
//   CHROME_BIN   the browser, which `navtrace run` sets
import http from 'node:http';
import process from 'node:process';

import { chromium } from 'playwright-core';

const wire = [];

/** When a request without an answer has arrived. */
let arrived;
const silent = new Promise((resolve) => (arrived = resolve));

/** Answers by the path of an address. The query names the step. */
const ANSWERS = {
  '/sw.js': ['text/javascript', "addEventListener('activate', (event) => event.waitUntil(clients.claim())); addEventListener('fetch', (event) => event.respondWith(fetch(event.request)));"],
  '/font': ['font/woff2', 'none'],
};

function answer(request, response) {
  const { pathname, searchParams } = new URL(request.url, 'http://proxied.test');
  const { traceparent = '', authorization, origin } = request.headers;
  wire.push({ url: request.url, span: traceparent.split('-')[2] ?? '' });
  const cors = searchParams.has('closed') ? {} : { 'access-control-allow-origin': origin ?? '*', 'access-control-allow-credentials': 'true' };
  const head = (status, headers) => response.writeHead(status, { 'cache-control': 'no-store', ...cors, ...headers });
  const wants = pathname.startsWith('/secret') && authorization === undefined;
  if (wants || pathname === '/refused') return head(401, { 'www-authenticate': 'Basic realm="shop"' }).end('who?');
  if (request.method === 'OPTIONS') return head(204, {}).end();
  if (pathname === '/redirect') return head(302, { location: searchParams.get('to') }).end();
  if (pathname === '/silent') return void arrived();
  if (pathname === '/stream') return head(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n');
  if (pathname === '/withheld') return head(200, { 'content-type': 'image/svg+xml', 'cross-origin-resource-policy': 'same-origin' }).end('<svg/>');
  if (pathname === '/empty') return head(204, {}).end();
  const [type, body] = ANSWERS[pathname] ?? ['text/html', '<link rel="icon" href="data:,"><h1>page</h1>'];
  return head(200, { 'content-type': type }).end(body);
}

function proxy(request, response) {
  if (request.headers['proxy-authorization'] !== undefined) return answer(request, response);
  wire.push({ url: request.url, span: request.headers.traceparent?.split('-')[2] ?? '' });
  return response.writeHead(407, { 'proxy-authenticate': 'Basic realm="proxy"' }).end('who?');
}

const servers = [answer, answer, answer, proxy].map((listener) => http.createServer(listener));
const ports = await Promise.all(servers.map((server) => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)))));
const [shop, api, worker, gate] = ports.map((port) => `127.0.0.1:${port}`);
const SHOP = `http://${shop}`;
const API = `http://${api.replace('127.0.0.1', 'localhost')}`;

// One context per browser: where there are several, requests may carry the span ids of their navigations.
const browsers = [];
const open = async (options) => {
  // Otherwise Chromium loads a page that failed again after a second.
  const browser = await chromium.launch({ executablePath: process.env.CHROME_BIN, args: ['--disable-auto-reload'] });
  browsers.push(browser);
  return (await browser.newContext(options)).newPage();
};
const credentials = { username: 'user', password: 'pass' };

/** Fetches an address in a page and returns the status, the type of an opaque response, or the error's name. */
const ask = (page, url, init) =>
  page.evaluate(async ([address, options]) => {
    try {
      const { status, type } = await fetch(address, options);
      return status === 0 ? type : status;
    } catch (error) {
      return error.name;
    }
  }, [url, init]);

/** Asks for an address, and gives it up at a moment, or when the first bytes of the response are there. */
async function giveUp(page, url, moment) {
  const ended = page.evaluate(async (address) => {
    const control = (window.control = new AbortController());
    try {
      const reader = (await fetch(address, { signal: control.signal })).body.getReader();
      await reader.read();
      control.abort();
      await reader.read();
      return 'read';
    } catch (error) {
      return error.name;
    }
  }, url);
  if (moment !== undefined) {
    await moment;
    await page.evaluate(() => window.control.abort());
  }
  return ended;
}

const goto = (page, url) => page.goto(url).then((response) => response.status(), (error) => /net::\w+/.exec(error.message)?.[0] ?? error.message);

const results = {};

// Credentials.
const known = await open({ httpCredentials: credentials });
results.client = await goto(known, `${SHOP}/secret?client`);
await goto(known, `${API}/?open`);
results.call = await ask(known, '/secret?call');
await goto(known, `http://${worker}/`);
await known.evaluate(async () => {
  await navigator.serviceWorker.register('/sw.js');
  await new Promise((resolve) => (navigator.serviceWorker.controller ? resolve() : navigator.serviceWorker.addEventListener('controllerchange', resolve)));
});
results.worker = await ask(known, `http://${worker}/secret?worker`);
const page = await open();
results.address = await goto(page, `http://user:pass@${shop}/secret?address`);
results.refused = await ask(page, `${API}/refused?refused`);
const proxied = await open({ proxy: { server: `http://${gate}`, ...credentials } });
results.proxy = await goto(proxied, 'http://proxied.test/?proxy');

// Redirects.
await goto(page, `${SHOP}/?start`);
const other = await page.context().newPage();
for (const redirect of ['manual', 'error']) results[redirect] = await ask(page, `/redirect?${redirect}&to=/`, { redirect });
results.elsewhere = await goto(other, `${SHOP}/redirect?elsewhere&to=/elsewhere`);
results.empty = await goto(other, `${SHOP}/empty?empty`);

// A preflight without permission. In a page with routes, Playwright answers preflights itself.
results.forbidden = await ask(page, `${API}/?forbidden`, { headers: { 'x-own': '1' } });

// What the script, the browser or the page stops.
for (const reason of ['failed', 'aborted', 'blockedbyclient', 'connectionrefused']) {
  await page.route(`**/?${reason}`, (route) => route.abort(reason));
  results[reason] = await ask(page, `/?${reason}`);
}
await page.route('**/?fulfilled', (route) => route.fulfill({ status: 500, body: 'own' }));
results.fulfilled = await ask(page, '/?fulfilled');
results.withheld = await page.evaluate((url) => new Promise((resolve) => Object.assign(new Image(), { src: url, onload: () => resolve('load'), onerror: () => resolve('error') })), `${API}/withheld?withheld`);
results.closed = await ask(page, `${API}/?closed`);
results.held = await giveUp(page, '/?held', new Promise((resolve) => void page.route('**/?held', resolve)));
results.silent = await giveUp(page, '/silent?silent', silent);
results['own-body'] = await giveUp(page, '/stream?own-body');
results['api-body'] = await giveUp(page, `${API}/stream?api-body`);
results.font = await page.evaluate(() => new FontFace('none', 'url(/font?font)').load().then(() => 'load', (error) => error.name));
results.cached = await ask(page, '/?only-cached', { cache: 'only-if-cached', mode: 'same-origin' });
results.refusing = await goto(other, `http://127.0.0.1:${await freePort()}/?refusing`);

// A stream that ends with its page.
const stream = await page.context().newPage();
await goto(stream, `${SHOP}/?stream-page`);
await stream.evaluate(() => new Promise((resolve) => (new EventSource('/stream?stream').onmessage = resolve)));
await stream.close();
await goto(page, `${SHOP}/?last`);

console.error(`EXCHANGES ${JSON.stringify({ wire, results })}`);
for (const browser of browsers) await browser.close();
for (const server of servers) {
  server.closeAllConnections();
  server.close();
}

/** Returns a port on which nothing listens. */
async function freePort() {
  const server = http.createServer();
  const port = await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
  await new Promise((resolve) => server.close(resolve));
  return port;
}
