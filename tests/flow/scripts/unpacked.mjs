// Loads unpacked extensions into a profile, as a person does, and closes the browser, which stores them.
//
//   BROWSER      the browser
//   PROFILE      the user data directory
//   EXTENSIONS   their folders, as JSON
//   INCOGNITO    whether they are allowed in Incognito
//   OFF          the id of an extension to turn off, if any
import process from 'node:process';

import puppeteer from 'puppeteer-core';

const { BROWSER, PROFILE, EXTENSIONS, INCOGNITO, OFF } = process.env;

const browser = await puppeteer.launch({
  executablePath: BROWSER,
  userDataDir: PROFILE,
  pipe: true,
  enableExtensions: true,
  args: process.getuid() === 0 ? ['--no-sandbox'] : [],
});
try {
  const session = await browser.target().createCDPSession();
  for (const path of JSON.parse(EXTENSIONS)) {
    await session.send('Extensions.loadUnpacked', { path, enableInIncognito: INCOGNITO === 'true' });
  }
  if (OFF) {
    const page = await browser.newPage();
    await page.goto('chrome://extensions');
    await page.evaluate((id) => chrome.management.setEnabled(id, false), OFF);
  }
} finally {
  await browser.close();
}
