// Opens a second profile in a running browser, and logs what requests of each carry. It serves its own pages.
//
//   CHROME_BIN   the browser, which `navtrace run` sets
import { spawn } from 'node:child_process';
import { mkdtempSync, readlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

const { CHROME_BIN } = process.env;

/** Makes requests for as long as the page is open. */
const PAGE = `<!doctype html><title>page</title><script>
setInterval(() => void fetch(location.pathname + '/again'), 100);
</script>`;

/** What requests carried, by profile. @type {Record<string, string[]>} */
const carried = { first: [], second: [] };
const server = createServer((request, response) => {
  const [, profile] = request.url.split('/');
  const { traceparent } = request.headers;
  if (traceparent !== undefined && request.url.endsWith('/again')) carried[profile].push(traceparent);
  response.setHeader('content-type', 'text/html');
  response.end(PAGE);
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const site = `http://127.0.0.1:${server.address().port}`;

/** Waits until ten requests of a profile have carried a context. */
async function seen(profile) {
  const end = Date.now() + 30_000;
  while (carried[profile].length < 10) {
    if (Date.now() > end) throw new Error(`no context in the ${profile} profile`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// A headless browser takes no second start over, so this one only has no screen.
const folder = mkdtempSync(join(tmpdir(), 'profiles-'));
const flags = [`--user-data-dir=${folder}`, '--ozone-platform=headless', '--no-first-run', '--disable-background-networking'];
if (process.getuid() === 0) flags.push('--no-sandbox');
const browser = spawn(CHROME_BIN, [...flags, '--remote-debugging-port=0'], { stdio: ['ignore', 'ignore', 'pipe'] });
const ended = new Promise((resolve) => browser.once('exit', resolve));
const address = await new Promise((resolve) => {
  let log = '';
  browser.stderr.on('data', (text) => {
    log += text;
    const [, host] = /DevTools listening on ws:\/\/([^/]+)/.exec(log) ?? [];
    if (host !== undefined) resolve(host);
  });
});
await fetch(`http://${address}/json/new?${site}/first`, { method: 'PUT' });
await seen('first');
// The launcher has become the browser, which opens the other profile.
const other = spawn(readlinkSync(`/proc/${browser.pid}/exe`), [...flags, '--profile-directory=Profile 2', `${site}/second`], { stdio: 'ignore' });
await new Promise((resolve) => other.once('exit', resolve));
await seen('second');
console.error(`PROFILES ${JSON.stringify(carried)}`);
browser.kill('SIGTERM');
await ended;
server.closeAllConnections();
server.close();
