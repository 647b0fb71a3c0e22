// Chooses what the pages of a k6 browser test carry, page by page. One file without dependencies: copy it beside your script.
//
//   import { instrumentBrowser } from './navtrace.js';
//
//   const page = await browser.newPage();
//   const tracing = await instrumentBrowser(page, { propagator: 'w3c', sampling: 1.0 });
//   await page.goto('https://shop.test/');
//   http.get('https://shop.test/api/stock', { headers: tracing.headers() });
//
// Under `navtrace run -- k6 run script.js` each request has a span, below a span for the iteration with its scenario, VU and number. Without
// navtrace the pages' requests carry one fixed header, which makes simple requests to other origins need a preflight.

import { browser } from 'k6/browser';
import exec from 'k6/execution';

const PROPAGATORS = {
  w3c: ({ traceID, sampled }, spanID) => ({ traceparent: `00-${traceID}-${spanID}-0${Number(sampled)}` }),
  jaeger: ({ traceID, sampled }, spanID) => ({ 'uber-trace-id': `${traceID}:${spanID}:0:${Number(sampled)}` }),
};

const MODES = ['lightweight', 'detailed'];

/** The options of a trace, and those of a page. */
const TRACE_OPTIONS = ['propagator', 'sampling'];
const PAGE_OPTIONS = [...TRACE_OPTIONS, 'mode', 'headers', 'navtrace'];

/** The numbers at the start of k6's trace ids: a constant, and where k6 runs. */
const K6_PREFIX = 0o756;
const K6_LOCAL = 33;
const K6_CLOUD = 12;

/** The trace of the iteration, which all of its pages share. */
let iteration = { key: '', traceID: '', rootID: '' };

/** What is known of the iteration's traced pages: their options, and the script's own headers. */
const pages = new Map();

let hasSaidFallback = false;

/**
 * Puts trace context on the requests of a page, from its next navigation on. Resolves to the page's trace: `traceID`, `sampled`,
 * `newSpanID()`, `header(spanID)`, and `headers()` for requests of k6/http.
 *
 * Options: `propagator` ('w3c' or 'jaeger'), `sampling` (0 to 1, decided once per call; a header is sent in any case), `mode` ('detailed', a
 * span id per request, or 'lightweight', one per navigation; by default that of the browser), and `headers`, the page's own extra headers,
 * which would otherwise be replaced. `navtrace` says whether the browser is navtrace's, where the environment doesn't tell.
 */
export async function enableTracing(page, given) {
  const { headers = {}, navtrace = isTraced(), mode, ...options } = known(given, PAGE_OPTIONS);
  if (mode !== undefined && !MODES.includes(mode)) throw new Error(`mode is ${mode}: expected ${MODES.join(' or ')}`);
  const trace = contextOf(ofIteration(), options);
  const settings = { headers, navtrace, mode, options };
  pages.set(page, settings);
  await use(page, settings, trace);
  return trace;
}

/** Returns the options, none for null. Throws if there is no such option, so that no typing error goes unnoticed. */
function known(options, names) {
  if (options !== undefined && typeof options !== 'object') throw new Error(`the options are ${options}: expected an object`);
  const unknown = Object.keys(options ?? {}).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`there is no option ${unknown}: expected ${names.join(', ')}`);
  return options ?? {};
}

/** Ends what {@link enableTracing} began. The page's next navigations carry no header. */
export async function disableTracing(page) {
  const { headers = {}, navtrace = isTraced() } = pages.get(page) ?? {};
  pages.delete(page);
  const other = [...pages.values()].at(-1);
  if (other === undefined) delete exec.vu.metrics.metadata.trace_id;
  else exec.vu.metrics.metadata.trace_id = other.traceID;
  await page.setExtraHTTPHeaders(navtrace ? { ...headers, 'sec-ch-navtrace': 'off' } : headers);
}

/** Continues a page in a new trace, from its next navigation on, and resolves to that trace. */
export async function updateTraceID(page) {
  const settings = pages.get(page);
  if (settings === undefined) throw new Error('the page is not traced: call enableTracing first');
  const trace = contextOf({ traceID: newTraceID(), rootID: newID(8) }, settings.options);
  await use(page, settings, trace);
  return trace;
}

/** The words of a library on `page.route`. */
export const instrumentBrowser = enableTracing;
export const uninstrumentBrowser = disableTracing;

/** Opens a browser context whose pages are traced as `tracing` says; all other options are those of `browser.newContext`. */
export async function newContext(given) {
  const { tracing, ...options } = given ?? {};
  known(tracing, PAGE_OPTIONS);
  const context = await browser.newContext(options);
  const newPage = context.newPage;
  context.newPage = async () => {
    const page = await newPage();
    await enableTracing(page, { headers: options.extraHTTPHeaders, ...tracing });
    return page;
  };
  return context;
}

/** Makes a trace context of its own, for a script that puts the headers on requests itself. */
export function generateTraceContext(options) {
  return contextOf({ traceID: newTraceID(), rootID: newID(8) }, options);
}

function contextOf({ traceID, rootID }, options) {
  const { propagator = 'w3c', sampling = 1 } = known(options, TRACE_OPTIONS);
  const write = Object.hasOwn(PROPAGATORS, propagator) ? PROPAGATORS[propagator] : undefined;
  if (write === undefined) throw new Error(`propagator is ${propagator}: expected ${Object.keys(PROPAGATORS).join(' or ')}`);
  if (typeof sampling !== 'number' || !(sampling >= 0 && sampling <= 1)) throw new Error(`sampling is ${sampling}: expected a number from 0 to 1`);
  const context = { traceID, rootID, propagator, sampled: Math.random() < sampling };
  return {
    ...context,
    newSpanID: () => newID(8),
    header: (spanID = newID(8)) => write(context, spanID),
    // The iteration's span is there for certain, so the services' spans have a parent.
    headers: () => write(context, rootID),
  };
}

async function use(page, settings, trace) {
  const { headers, navtrace, mode } = settings;
  settings.traceID = trace.traceID;
  exec.vu.metrics.metadata.trace_id = trace.traceID;
  if (!navtrace && !hasSaidFallback) {
    hasSaidFallback = true;
    console.warn('the browser is not navtrace\'s, so all requests of a page carry the same header; start k6 with: navtrace run -- k6 run …');
  }
  const traced = navtrace ? { 'sec-ch-navtrace': steering(trace, mode) } : trace.header(trace.rootID);
  await page.setExtraHTTPHeaders({ ...headers, ...traced });
}

/** Returns the header by which navtrace is told. It never leaves the browser. */
function steering({ traceID, rootID, propagator, sampled }, mode) {
  const attributes = {
    'test.scenario': exec.scenario.name,
    'test.vu': exec.vu.idInTest,
    'test.iteration.number': exec.vu.iterationInInstance,
  };
  const pairs = Object.entries(attributes).map(([key, value]) => `${key}:${encodeURIComponent(String(value).slice(0, 200))}`);
  return [
    `traceparent=00-${traceID}-${rootID}-0${Number(sampled)}`,
    `sampling=${Number(sampled)}`,
    `propagator=${propagator}`,
    'name=iteration',
    `attributes=${pairs.join(',')}`,
    ...(mode === undefined ? [] : [`mode=${mode}`]),
  ].join('; ');
}

/** Returns whether k6 starts navtrace's browser: `navtrace run` and `navtrace env --k6` set these variables. */
function isTraced() {
  return [__ENV.K6_BROWSER_EXECUTABLE_PATH, __ENV.K6_BROWSER_ARGS].some((value) => value?.includes('navtrace'));
}

function ofIteration() {
  const key = `${exec.scenario.name} ${exec.vu.idInInstance} ${exec.vu.iterationInInstance}`;
  if (iteration.key !== key) {
    iteration = { key, traceID: newTraceID(), rootID: newID(8) };
    // Pages end with their iteration.
    pages.clear();
  }
  return iteration;
}

/** Makes a trace id in k6's own format: three numbers as Go's `binary.PutVarint` writes them, the last one the time in nanoseconds. */
function newTraceID() {
  const bytes = [];
  const origin = __ENV.K6_CLOUDRUN_INSTANCE_ID === undefined ? K6_LOCAL : K6_CLOUD;
  for (const number of [K6_PREFIX, origin, BigInt(Date.now()) * 1000000n]) {
    let rest = BigInt(number) * 2n;
    for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    bytes.push(Number(rest));
  }
  return hex(bytes) + newID(16 - bytes.length);
}

/** Makes random bytes that are not all zero, in hexadecimal digits. */
function newID(length) {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return bytes.some((byte) => byte !== 0) ? hex([...bytes]) : newID(length);
}

function hex(bytes) {
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
