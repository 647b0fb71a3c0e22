// Uses examples/k6/navtrace.js: several pages, the script's own routes, a mode for each page, and requests of k6/http. Logs what it was told.
//
//   SETTLE   whether a page in detailed mode waits for span ids of its own
import exec from 'k6/execution';
import http from 'k6/http';

import {
  disableTracing, enableTracing, generateTraceContext, instrumentBrowser, newContext, uninstrumentBrowser, updateTraceID,
} from '../../../examples/k6/navtrace.js';
import { browserOptions, run, url } from './scenario.js';

/** Limit of the wait for span ids of a page's own, in milliseconds. */
const SETTLE_LIMIT = 60_000;

export const options = browserOptions();

async function load(page, nav) {
  await page.goto(url('/page', { kind: 'document', run: run(), nav, subs: 4 }));
  await page.waitForFunction(() => window.done === true);
}

// Until the host has seen to a window that opened beside another one, rules put one span id on all requests of a page there. They may change once
// while a page loads, hence three requests.
async function settle(page) {
  const fetched = () => page.evaluate(async (address) => {
    const carried = [];
    for (let i = 0; i < 3; i += 1) carried.push(await (await fetch(address)).text());
    return carried;
  }, url('/carried', { kind: 'settling', run: run(), nav: 'settling' }));
  const deadline = Date.now() + SETTLE_LIMIT;
  let contexts = [];
  while (contexts.length === 0 || new Set(contexts).size < contexts.length) {
    if (Date.now() > deadline) throw new Error(`requests of a page still share a span id after ${SETTLE_LIMIT} ms: ${contexts}`);
    await load(page, 'settling');
    contexts = await fetched();
  }
}

// Routes of the script's own: one request is answered by it, one stopped, and all others go on.
async function addRoutes(page) {
  await page.route(/own=fulfill/, (route) => route.fulfill({ status: 200, body: 'of the script' }));
  await page.route(/own=abort/, (route) => route.abort());
  await page.route(/own=continue/, (route) => route.continue());
}

const ask = (page, nav) =>
  page.evaluate(async (base) => {
    const outcome = (own) => fetch(`${base}&own=${own}`).then((response) => response.text(), () => 'stopped');
    return { fulfill: await outcome('fulfill'), abort: await outcome('abort'), continue: (await outcome('continue')).length > 0 };
  }, url('/page', { kind: 'asked', run: run(), nav, subs: 0 }));

export default async function () {
  const context = await newContext({ tracing: { propagator: 'w3c', sampling: 1, mode: 'lightweight' } });
  const own = generateTraceContext({ propagator: 'jaeger', sampling: 0 });
  try {
    const light = await context.newPage();
    const detailed = await context.newPage();
    const trace = await instrumentBrowser(detailed, { propagator: 'w3c', sampling: 1, mode: 'detailed', headers: { 'x-own': '1' } });
    const metadata = exec.vu.metrics.metadata.trace_id;
    await load(light, 'light');
    if (__ENV.SETTLE) await settle(detailed);
    await load(detailed, 'detailed');
    await addRoutes(detailed);
    const routed = await ask(detailed, 'routed');
    http.get(url('/page', { kind: 'protocol', run: run(), nav: 'http', subs: 0 }), { headers: trace.headers() });

    const updated = await updateTraceID(detailed);
    await load(detailed, 'updated');
    await enableTracing(light, { propagator: 'jaeger', sampling: 0 });
    await load(light, 'unsampled');
    await uninstrumentBrowser(detailed);
    const kept = exec.vu.metrics.metadata.trace_id;
    await load(detailed, 'off');
    await disableTracing(light);
    await Promise.all([light.close(), detailed.close()]);
    console.log(`MODULE ${JSON.stringify({
      run: run(), scenario: exec.scenario.name, vu: exec.vu.idInTest, iteration: exec.vu.iterationInInstance, metadata, routed,
      trace: trace.traceID, root: trace.rootID, updated: updated.traceID, own: own.header(), ownSpans: [own.newSpanID(), own.newSpanID()],
      kept, left: exec.vu.metrics.metadata.trace_id ?? null,
    })}`);
  } finally {
    await context.close();
  }
  const second = await newContext({ tracing: { propagator: 'jaeger' } });
  try {
    const page = await second.newPage();
    await load(page, 'second');
    await page.close();
  } finally {
    await second.close();
  }
}

// Words are checked before anything is sent.
export async function teardown() {
  const refused = [{ propagator: 'b4' }, { sampling: 2 }, { sampling: '1' }, { samplng: 1 }, { mode: 'detailed' }, 'w3c'];
  for (const work of [
    ...refused.map((given) => async () => generateTraceContext(given)),
    async () => enableTracing({}, { mod: 'detailed' }),
    async () => newContext({ tracing: { header: {} } }),
    async () => generateTraceContext(null),
  ]) {
    const message = await work().then(() => '', (error) => error.message);
    console.log(`REFUSED ${JSON.stringify(message)}`);
  }
}
