// A page that calls a service which exports in batches. Once the first span of the service is in the trace file TRACES, it calls it again and ends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

const program = fileURLToPath(new URL('../../support/sdk/node/service.mjs', import.meta.url));
// A service that runs already does not have the short delay that navtrace gives to its command.
const env = { ...process.env };
delete env.OTEL_BSP_SCHEDULE_DELAY;
const service = spawn(process.execPath, [program], { env, detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
const [line] = await once(service.stdout, 'data');
const port = String(line).trim().split(' ')[1];

const browser = await chromium.launch({ executablePath: process.env.CHROME_BIN });
const page = await browser.newPage();
await page.goto(`${process.env.SITE}/page?run=0&nav=0`);
const call = (name) => page.evaluate((url) => fetch(url).then((response) => response.text()), `http://127.0.0.1:${port}/${name}`);
await call('first');
const deadline = Date.now() + 30_000;
while (!readFileSync(process.env.TRACES, 'utf8').includes('served /first') && Date.now() < deadline) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
await call('second');
await page.close();
await browser.close();
service.stdin.end();
service.stdout.destroy();
service.unref();
