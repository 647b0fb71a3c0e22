// The script of a page that is instrumented with OpenTelemetry's web SDK in the usual way.
//
//   ?propagation=own             the page starts traces of its own
//   ?propagation=server-timing   the page joins the context in the Server-Timing of its own navigation
//
// At the end `window.done` is true. The results are `window.spans`, `window.serverTiming` (the context of the navigation), and `window.failures`.
import { context, propagation, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { DocumentLoadInstrumentation } from '@opentelemetry/instrumentation-document-load';
import { FetchInstrumentation } from '@opentelemetry/instrumentation-fetch';
import { InMemorySpanExporter, SimpleSpanProcessor, StackContextManager, WebTracerProvider } from '@opentelemetry/sdk-trace-web';

// `other` is the cross-site origin, `query` has the labels of every URL.
const { other, query } = document.currentScript.dataset;
const joins = new URLSearchParams(location.search).get('propagation') === 'server-timing';
const asset = (kind, origin = location.origin) => `${origin}/asset/data.json?kind=${kind}&${query}`;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const [navigation] = performance.getEntriesByType('navigation');
const named = navigation.serverTiming.findLast(({ name }) => name === 'traceparent')?.description ?? null;
if (joins && named) {
  // The instrumentation of the document load reads its parent here.
  const meta = document.createElement('meta');
  meta.name = 'traceparent';
  meta.content = named;
  document.head.append(meta);
}

/** Counts the open spans. The instrumentation of `fetch` ends spans some time after the response. */
const open = {
  count: 0,
  onStart: () => void open.count++,
  onEnd: () => void open.count--,
  forceFlush: async () => {},
  shutdown: async () => {},
};
const exporter = new InMemorySpanExporter();
const provider = new WebTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter), open] });
provider.register({ contextManager: new StackContextManager(), propagator: new W3CTraceContextPropagator() });
registerInstrumentations({
  instrumentations: [
    new DocumentLoadInstrumentation(),
    new FetchInstrumentation({ propagateTraceHeaderCorsUrls: /.*/ }),
  ],
});

/** The context of all requests of the page. */
const around = joins && named ? propagation.extract(ROOT_CONTEXT, { traceparent: named }) : ROOT_CONTEXT;
const failures = [];

async function get(url) {
  const response = await fetch(url);
  await response.text();
  if (!response.ok) throw new Error(`status ${response.status}`);
}

/** Makes a request by XMLHttpRequest, which is not instrumented. */
function xhr(url) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('GET', url);
    request.onload = () => (request.status === 200 ? resolve() : reject(new Error(`status ${request.status}`)));
    request.onerror = () => reject(new Error('network'));
    request.send();
  });
}

/** Runs an action within a span of the page itself. */
function withinSpan(action) {
  return trace.getTracer('page').startActiveSpan('page-work', (span) => action().finally(() => span.end()));
}

/** Runs one action. Without zone.js, the context holds only until the first await. */
async function attempt(kind, action) {
  try {
    await context.with(around, action);
  } catch (error) {
    failures.push(`${kind}: ${error}`);
  }
}

async function run() {
  await attempt('sdk-fetch', () => get(asset('sdk-fetch')));
  await attempt('sdk-fetch-cross', () => get(asset('sdk-fetch-cross', other)));
  await attempt('plain-xhr', () => xhr(asset('plain-xhr')));
  await attempt('sdk-fetch-in-span', () => withinSpan(() => get(asset('sdk-fetch-in-span'))));
  const whole = () => open.count === 0 && exporter.getFinishedSpans().some(({ name }) => name === 'documentLoad');
  for (const start = performance.now(); !whole() && performance.now() - start < 10_000; ) await pause(20);
  if (!whole()) failures.push(`${open.count} spans have not ended`);
  await provider.forceFlush();
}

const tell = (span) => ({
  name: span.name,
  traceId: span.spanContext().traceId,
  spanId: span.spanContext().spanId,
  parentSpanId: span.parentSpanContext?.spanId ?? null,
  kind: SpanKind[span.kind].toLowerCase(),
  attributes: { 'url.full': span.attributes['url.full'] },
});

addEventListener('load', async () => {
  await run().catch((error) => failures.push(String(error)));
  Object.assign(window, { spans: exporter.getFinishedSpans().map(tell), serverTiming: named, failures, done: true });
});
