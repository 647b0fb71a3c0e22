// Tests extensions as Playwright documents it, in one new browser after the other. Logs in which of them navtrace's worker is not the last.
//
//   SITE     the origin of a page
//   STARTS   the number of browsers
//   HOME     a folder for the extensions
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';

import { chromium } from 'playwright-core';

const { SITE, STARTS, HOME } = process.env;

/** Several, so that a wrong order is likely if it is left to chance. */
const NAMES = ['one', 'two', 'three', 'four'];

const folders = NAMES.map((name) => join(HOME, `extension-${name}`));
for (const [i, folder] of folders.entries()) {
  await mkdir(folder);
  const manifest = { manifest_version: 3, name: NAMES[i], version: '1', background: { service_worker: 'own.js' } };
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest));
  await writeFile(join(folder, 'own.js'), 'self.isOwn = true;');
}

const wrong = [];
for (let start = 0; start < STARTS; start += 1) {
  const context = await chromium.launchPersistentContext(join(HOME, `profile-${start}`), {
    channel: 'chromium',
    args: [`--disable-extensions-except=${folders}`, `--load-extension=${folders}`],
  });
  const workers = context.serviceWorkers().map((worker) => worker.url().endsWith('/own.js'));
  if (workers.slice(0, NAMES.length).filter(Boolean).length < NAMES.length) wrong.push({ start, workers });
  const [page] = context.pages();
  await page.goto(`${SITE}/page?kind=document&run=${start}&nav=${start}&subs=2`);
  // A browser that closes unloads extensions before pages.
  await page.waitForFunction(() => window.done === true, undefined, { polling: 50 });
  await context.close();
}
console.error(`WRONG ${JSON.stringify(wrong)}`);
