// A client that reads nothing of what the browser says: it chose the port, asks there from the start, and connects once
// it is answered.
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
const START_LIMIT = 30_000;
const END_LIMIT = 20_000;

/** How many ports are tried: any may be taken between the choice and the browser's start. */
const TRIES = 3;

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Tells whether the browser answers at the port: it can't when somebody else has taken that. */
async function answers(endpoint, browser) {
  const deadline = Date.now() + START_LIMIT;
  while (Date.now() < deadline && !hasEnded(browser)) {
    const answer = await fetch(`${endpoint}/json/version`).catch(() => null);
    if (answer?.ok) return true;
    await pause(10);
  }
  return false;
}

const hasEnded = ({ exitCode, signalCode }) => exitCode !== null || signalCode !== null;

/** Waits for the browser's end, which has been asked for, and brings it about after a while. */
async function ended(browser) {
  const deadline = Date.now() + END_LIMIT;
  while (!hasEnded(browser)) {
    if (Date.now() > deadline) {
      browser.kill('SIGKILL');
      throw new Error(`the browser did not end within ${END_LIMIT} ms`);
    }
    await pause(20);
  }
}

const clients = {
  async playwright(endpoint) {
    const browser = await chromium.connectOverCDP(endpoint);
    await loadAllByPlaywright(browser);
    // `close` would only disconnect, since Playwright did not start this browser, which may be gone before it has
    // answered.
    const session = await browser.newBrowserCDPSession();
    await session.send('Browser.close').catch(() => {});
  },
  async puppeteer(endpoint) {
    const browser = await puppeteer.connect({ browserURL: endpoint });
    await loadAllByPuppeteer(browser);
    await browser.close();
  },
};

function start(port, profile) {
  const args = [
    '--headless',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-popup-blocking',
    // As Playwright and k6 have it: to attach to a window that is only just opening takes Playwright seconds now and
    // then.
    '--no-startup-window',
    // As Playwright and Puppeteer have it, so that a page behind another goes on at its usual pace.
    '--disable-background-timer-throttling',
    '--disable-backgrounding-occluded-windows',
    '--disable-renderer-backgrounding',
    `--remote-debugging-port=${port}`,
    `--user-data-dir=${profile}`,
    ...browserArgs,
  ];
  return spawn(executablePath, args, { stdio: 'ignore' });
}

/** Loads everything in a browser at a port of its own. Tells whether the browser could use that port. */
async function loaded() {
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}`;
  const profile = await mkdtemp(join(tmpdir(), 'polling-'));
  const browser = start(port, profile);
  try {
    if (!(await answers(endpoint, browser))) {
      browser.kill();
      return false;
    }
    // Nothing can be quicker than this, so a header that comes too late for anything is missing here.
    await fetch(`${endpoint}/json/new?${SITE}/page?run=first`, { method: 'PUT' });
    await clients[CLIENT](endpoint);
    return true;
  } catch (error) {
    browser.kill();
    throw error;
  } finally {
    await ended(browser);
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

let tries = 1;
while (!(await loaded())) {
  if (tries === TRIES) throw new Error(`no browser answered at any of ${TRIES} ports`);
  tries += 1;
  // The test allows for the trace of the browser that nobody reached.
  console.error('nothing answered, so another port is tried');
}
