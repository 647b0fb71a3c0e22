// Loads a page with Selenium in one new browser after the other, as a user's script does.
//
//   SITE     the origin of the page
//   STARTS   the number of browsers
//   HOME     a folder for a profile that is used again, and for an extension
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';

import { Builder } from 'selenium-webdriver';
import { Options } from 'selenium-webdriver/chrome.js';

const { SITE, STARTS, HOME } = process.env;

const extension = join(HOME, 'own-extension');
await mkdir(extension);
await writeFile(join(extension, 'manifest.json'), JSON.stringify({ manifest_version: 3, name: 'own', version: '1' }));

const variants = [
  [],
  ['--remote-debugging-pipe'],
  [`--user-data-dir=${join(HOME, 'profile')}`],
  [`--load-extension=${extension}`],
];

for (let start = 0; start < STARTS; start += 1) {
  const options = new Options().addArguments('--headless', ...variants[start % variants.length]);
  if (start % 2 === 1) options.excludeSwitches('enable-automation');
  const driver = await new Builder().forBrowser('chrome').setChromeOptions(options).build();
  try {
    await driver.get(`${SITE}/page?kind=document&run=${start}&nav=${start}&subs=8`);
    // A browser that closes unloads extensions before pages.
    await driver.wait(() => driver.executeScript('return window.done === true'));
  } finally {
    await driver.quit();
  }
}
