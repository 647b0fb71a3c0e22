// A client that does not read the browser's output. It chooses the port, polls it from the start, and connects once the browser answers.
//
//   PORT   a reserved loopback port
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

import { chromium } from 'playwright-core';
import puppeteer from 'puppeteer-core';

import { browserArgs, executablePath, loadAllByPlaywright, loadAllByPuppeteer } from './clients.mjs';

const { SITE, CLIENT, PORT } = process.env;
const ENDPOINT = `http://127.0.0.1:${PORT}`;
const START_LIMIT = 30_000;
const END_LIMIT = 20_000;

/** Waits until the browser answers. */
async function answer(browser) {
  const deadline = Date.now() + START_LIMIT;
  while (Date.now() < deadline && !hasEnded(browser)) {
    const response = await fetch(`${ENDPOINT}/json/version`).catch(() => null);
    if (response?.ok) return;
    await pause(10);
  }
  throw new Error(`the browser did not answer at ${ENDPOINT} within ${START_LIMIT} ms`);
}

const hasEnded = ({ exitCode, signalCode }) => exitCode !== null || signalCode !== null;

/** Waits until the browser has exited, and kills it after a while. */
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
  async playwright() {
    const browser = await chromium.connectOverCDP(ENDPOINT);
    await loadAllByPlaywright(browser);
    // A client that does not read the browser's output. It chooses the port, polls it from the start, and connects once the browser answers.
    const session = await browser.newBrowserCDPSession();
    await session.send('Browser.close').catch(() => {});
  },
  async puppeteer() {
    const browser = await puppeteer.connect({ browserURL: ENDPOINT });
    await loadAllByPuppeteer(browser);
    await browser.close();
  },
};

function start(profile) {
  const args = [
    '--headless',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-popup-blocking',
    // As Playwright and k6 do. Attaching to a window that is still opening sometimes takes Playwright seconds.
    '--no-startup-window',
    // As Playwright and Puppeteer do, so that hidden pages are not slowed.
    '--disable-background-timer-throttling',
    '--disable-backgrounding-occluded-windows',
    '--disable-renderer-backgrounding',
    `--remote-debugging-port=${PORT}`,
    `--user-data-dir=${profile}`,
    ...browserArgs,
  ];
  return spawn(executablePath, args, { stdio: 'ignore' });
}

const profile = await mkdtemp(join(tmpdir(), 'polling-'));
const browser = start(profile);
try {
  await answer(browser);
  // This is the earliest possible page, so a header that comes too late would be missing here.
  await fetch(`${ENDPOINT}/json/new?${SITE}/page?run=first`, { method: 'PUT' });
  await clients[CLIENT]();
} catch (error) {
  browser.kill();
  throw error;
} finally {
  await ended(browser);
  await rm(profile, { recursive: true, force: true, maxRetries: 5 });
}
