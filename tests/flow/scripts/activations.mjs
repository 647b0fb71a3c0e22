// Navigates to documents that the browser brings back, has prepared, or gets through a service worker, and makes each request something that its
// page leaves behind. Speaks DevTools itself: Playwright turns the back-forward cache off and pauses prerendered pages, and Puppeteer loses pages that
// take the place of others.
//
//   SITE         the origin of the site
//   CHROME_BIN   the browser, which `navtrace run` sets
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

import WebSocket from 'ws';

const { SITE, CHROME_BIN } = process.env;

/** Limit of the browser's answer to a command, in milliseconds. */
const ANSWER = 10_000;

/** Limit of a request's arrival at the site, in milliseconds. */
const ARRIVAL = 30_000;

const at = (path, kind, nav) => `${SITE}${path}?kind=${kind}&nav=${nav}&run=activations`;

const profile = await mkdtemp(`${tmpdir()}/activations-`);
const flags = ['--headless=new', '--no-first-run', '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'];
const browser = spawn(CHROME_BIN, flags, { stdio: ['ignore', 'ignore', 'pipe'] });
process.on('exit', () => browser.kill());
const endpoint = await new Promise((resolve) => {
  createInterface(browser.stderr).on('line', (line) => {
    const [, address] = /^DevTools listening on (.+)$/.exec(line) ?? [];
    if (address !== undefined) resolve(address);
  });
});

const socket = new WebSocket(endpoint);
await once(socket, 'open');
/** What waits for answers, by command. */
const waiting = new Map();
/** The DevTools sessions of the tab's documents: of the one that is shown, and of those that the browser prepares. */
const sessions = new Set();
/** Why the browser has loaded a page that it could have restored. */
const notRestored = [];
socket.on('message', (data) => {
  const { id, method, params, result } = JSON.parse(data);
  waiting.get(id)?.resolve(result);
  if (method === 'Page.backForwardCacheNotUsed') notRestored.push(...params.notRestoredExplanations.map(({ reason }) => reason));
  if (method === 'Target.attachedToTarget' && params.targetInfo.type === 'page') sessions.add(params.sessionId);
  if (method === 'Target.detachedFromTarget') {
    sessions.delete(params.sessionId);
    for (const { sessionId, resolve } of waiting.values()) if (sessionId === params.sessionId) resolve();
  }
});

/** Sends a DevTools command and returns its result, which is undefined if it failed or its document has gone. */
function send(method, params, sessionId) {
  const id = waiting.size + 1;
  return new Promise((resolve, reject) => {
    waiting.set(id, { sessionId, resolve });
    setTimeout(() => reject(new Error(`${method}: no answer`)), ANSWER).unref();
    socket.send(JSON.stringify({ id, method, params, sessionId }));
  });
}

// A session of a document that is not below one of its tab would turn prerendering off.
const { targetInfos } = await send('Target.getTargets', { filter: [{ type: 'tab' }] });
const { sessionId: tab } = await send('Target.attachToTarget', { targetId: targetInfos[0].targetId, flatten: true });
await send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: true }, tab);

/** The session of the document that is shown. */
let [page] = sessions;

/** Calls a function in the document of a session, and returns its result. */
async function call(session, called, ...parameters) {
  const expression = `(${called})(...${JSON.stringify(parameters)})`;
  const answer = await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true }, session);
  if (answer === undefined || answer.exceptionDetails !== undefined) throw new Error(answer?.result.description ?? 'the document has gone');
  return answer.result.value;
}

/** Waits until a page is shown and loaded. */
async function shown(nav) {
  const isShown = (title) => document.title === title && document.readyState === 'complete' && !document.prerendering;
  for (;;) {
    for (const session of sessions) {
      page = session;
      if (await call(session, isShown, nav).catch(() => false)) return;
    }
    await pause(20);
  }
}

/** Loads a plain page, or another one. */
async function load(nav, path = '/asset/plain.html') {
  await send('Page.navigate', { url: at(path, 'document', nav) }, page);
  await shown(nav);
}

/** Returns the context that a request of the page carries. */
const carried = (kind, nav) => call(page, async (url) => (await fetch(url)).text(), at('/carried', kind, nav));

/** Waits until requests of the page no longer carry what those of the page before did, for the change of the rules races against them. */
async function settle(before, nav) {
  while ((await carried('settling', nav)) === before) await pause(20);
}

/** Loads a plain page that will prepare others, whose requests carry its context too. */
async function loadPreparing(nav) {
  const before = await carried('settling', nav);
  await load(nav);
  await settle(before, nav);
}

async function fetchAfter(before, nav) {
  await settle(before, nav);
  await carried('after', nav);
}

/** Waits until the site has a request. */
async function arrived(kind, nav) {
  const end = Date.now() + ARRIVAL;
  while (!(await (await fetch(at('/seen', '', nav))).json())[kind]) {
    if (Date.now() > end) throw new Error(`${kind} of ${nav} was not requested`);
    await pause(20);
  }
}

/** Makes the page prefetch or prerender others, and returns once the site has seen all of these requests. */
async function speculate(what, navs, kinds) {
  const urls = navs.map((nav) => at('/asset/plain.html', 'document', nav));
  const add = (action, list) => {
    const script = document.createElement('script');
    script.type = 'speculationrules';
    script.textContent = JSON.stringify({ [action]: [{ urls: list, eagerness: 'immediate' }] });
    document.head.append(script);
  };
  await call(page, add, what, urls);
  for (const nav of navs) for (const kind of kinds) await arrived(kind, nav);
}

/** Follows a link to a page that may be prepared. The page that does it may be gone before it can answer. */
async function follow(nav) {
  const click = (href) => void Object.assign(document.createElement('a'), { href }).click();
  await call(page, click, at('/asset/plain.html', 'document', nav)).catch(() => {});
  await shown(nav);
}

const timing = () =>
  call(page, () => {
    const [{ activationStart, deliveryType }] = performance.getEntriesByType('navigation');
    return { activationStart, deliveryType };
  });

// The back-forward cache. A script in a page that is not yet out of it would make the browser load the page instead, so the page says itself
// when it is.
await load('restored');
const say = (url) =>
  addEventListener('pageshow', ({ persisted }) => {
    window.persisted = persisted;
    void fetch(url);
  });
await call(page, say, at('/asset/data.json', 'settling', 'back'));
await send('Page.enable', {}, page);
await load('left');
let before = await carried('after', 'left');
await call(page, () => void setTimeout(() => history.back(), 0));
await arrived('settling', 'back').catch(() => {
  throw new Error(`the page was not restored: ${notRestored}`);
});
await shown('restored');
await fetchAfter(before, 'back');
const persisted = await call(page, () => window.persisted);
await load('after-back');

// A prerendered page that is shown, and one that is not.
await loadPreparing('preparing');
await speculate('prerender', ['prerendered'], ['document', 'image']);
before = await carried('after', 'preparing');
await follow('prerendered');
await fetchAfter(before, 'activated');
const { activationStart } = await timing();
await load('after-prerendered');
await loadPreparing('preparing-in-vain');
await speculate('prerender', ['dropped'], ['document', 'image']);
await load('after-dropped');

// Two prefetched documents, of which one is shown.
await loadPreparing('prefetching');
await speculate('prefetch', ['prefetched', 'unused'], ['document']);
before = await carried('after', 'prefetching');
await follow('prefetched');
await fetchAfter(before, 'prefetched');
const { deliveryType } = await timing();
await load('after-prefetched');

// A request that is made later.
await load('deferring');
await call(page, (url) => void fetchLater(url, { activateAfter: 0 }), at('/asset/data.json', 'later', 'deferring'));
await arrived('later', 'deferring');
await call(page, (url) => void fetchLater(url), at('/asset/data.json', 'left-behind', 'deferring'));
await load('after-deferring');
await arrived('left-behind', 'deferring');

// Documents that a service worker has from navigation preload.
await call(page, async (script) => {
  const { installing } = await navigator.serviceWorker.register(script, { scope: '/sw/preload/' });
  await new Promise((resolve) => installing.addEventListener('statechange', () => installing.state === 'activated' && resolve()));
}, at('/sw/navigation-preload.js', 'worker', 'after-deferring'));
for (const nav of ['preloaded', 'preloaded-again']) await load(nav, '/sw/preload/plain.html');
await load('last');

// A handshake that nothing answers. An extension sees it, but can't change it.
await call(page, (url) => new WebTransport(url).ready.catch(() => {}), 'https://127.0.0.1:9/transport');

console.error(`ACTIVATIONS ${JSON.stringify({ persisted, activationStart, deliveryType })}`);
await send('Browser.close');
await once(browser, 'exit');
await rm(profile, { recursive: true });
