// Serves two sites of which the second allows no header of a client, and loads a page of the first under a steering header. The page asks the
// second in every way that a client's headers reach: frames, fetches, workers. Logs every request, and everything that failed.
//
//   CHROME_BIN   the browser, which `navtrace run` sets
//   STEERING     the value of the header
//   OLD          the value of the header under its old name, for a page of its own
import { once } from 'node:events';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import process from 'node:process';

import { chromium } from 'playwright-core';

const { CHROME_BIN, STEERING, OLD } = process.env;

/** Time after which a part of the page counts as failed, in milliseconds. */
const LIMIT = 10_000;

const requests = [];
const origins = {};

const page = () => `<!doctype html><link rel="icon" href="data:,"><img alt="" src="${origins.other}/image"><script>
  const other = '${origins.other}';
  const failures = [];
  const part = (name, work) => {
    const limit = new Promise((_, fail) => setTimeout(() => fail(new Error('no end')), ${LIMIT}));
    return Promise.race([work(), limit]).catch((error) => failures.push(name + ': ' + error));
  };
  const text = async (url, init) => (await fetch(url, init)).text();
  const message = (target) => new Promise((resolve, reject) => target.addEventListener('message', ({ data }) => (data === 'done' ? resolve() : reject(data))));
  const frame = (src) => { const frame = document.createElement('iframe'); frame.src = src; document.body.append(frame); };
  addEventListener('load', async () => {
    await Promise.all([
      part('fetch', () => text('/own')),
      part('simple', () => text(other + '/simple')),
      part('no-cors', () => fetch(other + '/no-cors', { mode: 'no-cors' })),
      part('post', () => text(other + '/post', { method: 'POST', body: 'x' })),
      part('put', () => text(other + '/put', { method: 'PUT', body: 'x' })),
      part('xhr', () => new Promise((resolve, reject) => {
        const request = new XMLHttpRequest();
        request.onload = resolve;
        request.onerror = reject;
        request.open('GET', other + '/xhr');
        request.send();
      })),
      part('redirect', () => text('/redirect')),
      part('websocket', () => new Promise((resolve, reject) => {
        const socket = new WebSocket(other.replace('http', 'ws') + '/socket');
        socket.onopen = resolve;
        socket.onerror = () => reject('error');
      })),
      part('frame', () => { frame(other + '/frame'); return message(window); }),
      part('worker', () => message(new Worker('/worker.js'))),
      part('beacon', async () => navigator.sendBeacon(other + '/beacon', 'x')),
    ]);
    await part('service worker', async () => {
      await navigator.serviceWorker.register('/service-worker.js');
      await navigator.serviceWorker.ready;
      if (navigator.serviceWorker.controller === null) await new Promise((resolve) => navigator.serviceWorker.addEventListener('controllerchange', resolve));
      await text('/through-service-worker');
      await text(other + '/cross-through-service-worker');
    });
    window.failures = failures;
  });
</script>`;

const FRAME = `<!doctype html><script>
  Promise.all([fetch('/of-frame'), fetch('/frame-put', { method: 'PUT' })]).then(() => 'done', String).then((said) => parent.postMessage(said, '*'));
</script>`;
const WORKER = () => `Promise.all([fetch('/of-worker'), fetch('${origins.other}/of-worker')]).then(() => 'done', String).then((said) => postMessage(said));`;
const SERVICE_WORKER = () => `
addEventListener('install', () => skipWaiting());
addEventListener('activate', (event) => event.waitUntil(clients.claim()));
addEventListener('fetch', (event) => {
  const { pathname } = new URL(event.request.url);
  if (pathname.includes('through')) event.respondWith(fetch(event.request).then(async (answer) => (await fetch('${origins.other}/of-service-worker')) && answer));
});`;

const bodies = {
  '/': ['text/html', page],
  '/old': ['text/html', () => `<!doctype html><link rel="icon" href="data:,"><img alt="" src="/old-image"><iframe src="${origins.other}/old-frame"></iframe>`],
  '/frame': ['text/html', () => FRAME],
  '/worker.js': ['text/javascript', WORKER],
  '/service-worker.js': ['text/javascript', SERVICE_WORKER],
};

/** Starts a server, and returns its origin. `allow` are the headers of its answers. */
async function serve(name, host, allow) {
  const record = ({ method, url, headers }) => requests.push({ site: name, method, path: url, headers });
  const server = createServer((request, response) => {
    record(request);
    const [type, body] = bodies[request.url] ?? ['text/plain', () => 'ok'];
    const redirect = request.url === '/redirect' ? { location: `${origins.other}/redirected` } : {};
    response.writeHead(request.url === '/redirect' ? 302 : 200, { 'content-type': type, 'cache-control': 'no-store', ...allow(), ...redirect });
    response.end(body());
  });
  server.on('upgrade', (request, socket) => {
    record(request);
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    socket.on('error', () => {});
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origins[name] = `http://${host}:${server.address().port}`;
}
await serve('main', '127.0.0.1', () => ({}));
await serve('other', 'localhost', () => ({ 'access-control-allow-origin': origins.main, 'access-control-allow-methods': 'PUT' }));

const browser = await chromium.launch({ executablePath: CHROME_BIN });
const log = (mark, value) => console.error(`${mark} ${JSON.stringify(value)}`);
try {
  const steered = await (await browser.newContext({ extraHTTPHeaders: { 'sec-ch-navtrace': STEERING } })).newPage();
  const failures = [];
  for (let i = 0; i < 2; i += 1) {
    await steered.goto(`${origins.main}/`);
    await steered.waitForFunction(() => window.failures !== undefined, undefined, { polling: 50 });
    failures.push(...(await steered.evaluate(() => window.failures)));
  }
  const old = await (await browser.newContext({ extraHTTPHeaders: { navtrace: OLD } })).newPage();
  for (let i = 0; i < 2; i += 1) await old.goto(`${origins.main}/old`);
  log('STEERED', { failures, requests });
} finally {
  await browser.close();
}
process.exit(0);
