// Opens an HTML report of Playwright, and prints the text of the page of each test.
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const [folder = ''] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROME_BIN, args: ['--allow-file-access-from-files'] });
const page = await browser.newPage();
await page.goto(`${pathToFileURL(folder)}/index.html`);
await page.locator('.test-file-test').first().waitFor();
const links = await page.locator('.test-file-title').evaluateAll((titles) => titles.map((title) => title.closest('a')?.href ?? ''));
for (const link of links) {
  // In the same page, the test before would be there for a moment.
  const test = await browser.newPage();
  await test.goto(link);
  await test.locator('.test-case-column').first().waitFor();
  console.log(JSON.stringify(await test.locator('body').innerText()));
}
await browser.close();
