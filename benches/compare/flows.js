// What the scripts for k6 and Playwright do alike: ways to trace a page by the client's own means, and the pages that they load.
//
//   WAY     `route`, `extra` or `sdk`; anything else leaves the page alone
//   FLOW    `coverage`, `cold`, `revisit` or `saturated`

/** A context that a page sets itself, as an instrumented page does. */
const OWN = '00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01';

/** Time after which a request of the coverage page counts as failed, in milliseconds. */
const LIMIT = 10_000;

/** Limit of the load of the coverage page, in milliseconds. In the worst case several requests fail after LIMIT each. */
const LOAD_LIMIT = 60_000;

const COLD_PAGES = 3;
const REVISITS = 10;

function hex(digits) {
  return Array.from({ length: digits }, () => Math.floor(Math.random() * 16).toString(16)).join('');
}

const traceparent = (trace) => `00-${trace}-${hex(16)}-01`;

/**
 * Prepares a page that has loaded nothing yet. `sdk` is the script of OpenTelemetry's web SDK, which an application would load itself.
 */
async function prepare(page, way, sdk) {
  const trace = hex(32);
  if (way === 'route') {
    // `continue` replaces all headers, so the others are repeated.
    await page.route(/./, (route) => route.continue({ headers: { ...route.request().headers(), traceparent: traceparent(trace) } }));
  }
  if (way === 'extra') await page.setExtraHTTPHeaders({ traceparent: traceparent(trace) });
  if (way === 'sdk') await page.context().addInitScript(sdk);
}

/** Returns what the page that is loaded knows of its own requests. */
function measured(page) {
  return page.evaluate(() => {
    const entries = performance.getEntriesByType('resource').filter(({ name }) => !name.includes('kind=sdk-'));
    const hits = entries.filter((entry) => entry.transferSize === 0 && entry.decodedBodySize > 0);
    const took = entries.reduce((sum, { duration }) => sum + duration, 0);
    return { entries: entries.length, hits: hits.length, took, paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0 };
  });
}

/** Loads pages one after the other and returns the sums of what they measured. */
async function visit(page, urls, isLoaded) {
  const start = Date.now();
  const sum = { pages: urls.length, entries: 0, hits: 0, took: 0, paint: 0 };
  for (const url of urls) {
    await page.goto(url, { waitUntil: 'load' });
    if (isLoaded) await page.evaluate(isLoaded);
    const of = await measured(page);
    for (const name of Object.keys(of)) sum[name] += of[name];
  }
  return { ...sum, iteration: Date.now() - start };
}

/** Loads the page with every kind of request. Returns the outcome of each kind, or what kept the page from loading. */
async function outcomes(page, url) {
  try {
    await page.goto(url, { timeout: LOAD_LIMIT });
    // Not by animation frames: a page behind its popup has none.
    return await page.evaluate(async () => {
      while (!window.done) await new Promise((resolve) => setTimeout(resolve, 50));
      return window.results;
    });
  } catch (error) {
    return { load: String(error) };
  }
}

/** Loads the page with every kind of request, and makes one request that has a context already. */
async function cover(page, site, run) {
  const labels = `run=${run}&nav=${run}`;
  const results = await outcomes(page, `${site}/coverage?kind=document&limit=${LIMIT}&${labels}`);
  try {
    await page.evaluate(
      ([url, own]) => fetch(url, { headers: { traceparent: own } }).then((response) => response.text()),
      [`${site}/asset/data.json?kind=own-context&${labels}`, OWN],
    );
  } catch (error) {
    results.own = String(error);
  }
  return { run, results };
}

/**
 * Loads what the flow asks for in a new page of a new context, and logs what came of it.
 *
 * @param open opens the page
 * @param {string} run a name that is unique to this iteration
 */
export async function iterate(open, { flow, way, site, sdk }, run, log) {
  const page = await open();
  try {
    await prepare(page, way, sdk);
    const urls = (path, count) => Array.from({ length: count }, (_, i) => `${site}${path}?kind=document&run=${run}&nav=${run}-${i}`);
    if (flow === 'coverage') log(`COVERAGE ${JSON.stringify(await cover(page, site, run))}`);
    else if (flow === 'revisit') log(`COST ${JSON.stringify(await visit(page, urls('/cached', REVISITS)))}`);
    else log(`COST ${JSON.stringify(await visit(page, urls('/app', COLD_PAGES), () => window.loaded))}`);
  } finally {
    await page.close();
  }
}
