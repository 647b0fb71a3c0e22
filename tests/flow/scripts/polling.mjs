// A client that reads nothing of what the browser says: it chose the port, asks there from the start, and connects once it is answered.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';

import { browserArgs, executablePath, loadAllByPlaywright, loadAllByPuppeteer } from './clients.mjs';

const { SITE, CLIENT } = process.env;
const START_LIMIT = 15_000;

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

async function answered(endpoint) {
  const deadline = Date.now() + START_LIMIT;
  while (Date.now() < deadline) {
    const answer = await fetch(`${endpoint}/json/version`).catch(() => null);
    if (answer?.ok) return;
    await pause(10);
  }
  throw new Error(`nothing answered at ${endpoint}`);
}

const clients = {
  async playwright(endpoint) {
    const browser = await chromium.connectOverCDP(endpoint);
    await loadAllByPlaywright(browser);
    // `close` would only disconnect, since Playwright did not start this browser, which may be gone before it has answered.
    const session = await browser.newBrowserCDPSession();
    await session.send('Browser.close').catch(() => {});
  },
  async puppeteer(endpoint) {
    const browser = await puppeteer.connect({ browserURL: endpoint });
    await loadAllByPuppeteer(browser);
    await browser.close();
  },
};

const port = await freePort();
const profile = await mkdtemp(join(tmpdir(), 'polling-'));
const browser = spawn(
  executablePath,
  [
    '--headless',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-popup-blocking',
    // As Playwright and k6 have it: to attach to a window that is only just opening takes Playwright seconds now and then.
    '--no-startup-window',
    // As Playwright and Puppeteer have it, so that a page behind another goes on at its usual pace.
    '--disable-background-timer-throttling',
    '--disable-backgrounding-occluded-windows',
    '--disable-renderer-backgrounding',
    `--remote-debugging-port=${port}`,
    `--user-data-dir=${profile}`,
    ...browserArgs,
  ],
  { stdio: 'ignore' },
);
const ended = once(browser, 'exit');
try {
  const endpoint = `http://127.0.0.1:${port}`;
  await answered(endpoint);
  // Nothing can be quicker than this, so a header that comes too late for anything is missing here.
  await fetch(`${endpoint}/json/new?${SITE}/page?run=first`, { method: 'PUT' });
  await clients[CLIENT](endpoint);
} catch (error) {
  browser.kill();
  throw error;
} finally {
  await ended;
  await rm(profile, { recursive: true, force: true, maxRetries: 5 });
}
