// Loads a page of a target and one of another server. In each, the page's own instrumentation puts contexts on its requests. One more request of
// the target's page joins the trace that the page's response names. At the end the client itself sets a context.
//
//   SITE         the origin that is a target
//   OTHER        an origin that is none
//   CONTEXTS     the headers of each request as JSON: { kind: { name: value } }
//   CHROME_BIN   the browser, which `navtrace run` sets
import process from 'node:process';

import { chromium } from 'playwright-core';

const { SITE, OTHER, CONTEXTS, CHROME_BIN } = process.env;

const browser = await chromium.launch({ executablePath: CHROME_BIN });
const page = await browser.newPage();
for (const site of [SITE, OTHER]) {
  await page.goto(`${site}/page?kind=document&run=0&nav=${site === SITE ? 'target' : 'other'}&subs=2`);
  await page.evaluate(async (contexts) => {
    const url = (kind) => `${location.origin}/asset/data.json?kind=${kind}&run=0&nav=0`;
    const named = performance.getEntriesByType('navigation')[0].serverTiming.findLast(({ name }) => name === 'traceparent')?.description;
    const joined = { traceparent: `${named?.slice(0, 36)}ee000000000000ee-01`, tracestate: 'vendor=1,other=2', 'X-B3-TraceId': 'f'.repeat(32), 'X-B3-SpanId': 'f'.repeat(16) };
    for (const [kind, headers] of Object.entries({ ...contexts, joined })) await (await fetch(url(kind), { headers })).text();
    const script = `fetch('${url('worker')}', { headers: ${JSON.stringify(contexts.b3)} }).then(() => postMessage('done'))`;
    await new Promise((resolve) => {
      new Worker(URL.createObjectURL(new Blob([script]))).onmessage = resolve;
    });
  }, JSON.parse(CONTEXTS));
}
// The client has a context in another format too.
await page.setExtraHTTPHeaders(JSON.parse(CONTEXTS).datadog);
for (const nav of ['client-0', 'client-1']) await page.goto(`${SITE}/page?kind=client&run=0&nav=${nav}&subs=2`);
await browser.close();
