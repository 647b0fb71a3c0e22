// The script of a page that is instrumented with OpenTelemetry's SDK for the web, as its users do it.
//
//   ?propagation=own             the page starts traces of its own
//   ?propagation=server-timing   the page joins the context that the Server-Timing of its own navigation names
//
// In the end `window.done` is true, and there are `window.spans`, `window.serverTiming`, which is what the navigation
// named, and `window.failures`.
import { context, propagation, ROOT_CONTEXT, SpanKind, trace } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { DocumentLoadInstrumentation } from '@opentelemetry/instrumentation-document-load';
import { FetchInstrumentation } from '@opentelemetry/instrumentation-fetch';
import { InMemorySpanExporter, SimpleSpanProcessor, StackContextManager, WebTracerProvider } from '@opentelemetry/sdk-trace-web';

// `other` is the cross-site origin, `query` is what every URL says of who caused it.
const { other, query } = document.currentScript.dataset;
const joins = new URLSearchParams(location.search).get('propagation') === 'server-timing';
const asset = (kind, origin = location.origin) => `${origin}/asset/data.json?kind=${kind}&${query}`;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const [navigation] = performance.getEntriesByType('navigation');
const named = navigation.serverTiming.find(({ name }) => name === 'traceparent')?.description ?? null;
if (joins && named) {
  // Where the instrumentation of the document's load looks for its parent.
  const meta = document.createElement('meta');
  meta.name = 'traceparent';
  meta.content = named;
  document.head.append(meta);
}

/** Counts the spans that have not ended: the instrumentation of `fetch` ends its own some time after the response. */
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

/** The context in which the page does everything. */
const around = joins && named ? propagation.extract(ROOT_CONTEXT, { traceparent: named }) : ROOT_CONTEXT;
const failures = [];

async function get(url) {
  const response = await fetch(url);
  await response.text();
  if (!response.ok) throw new Error(`status ${response.status}`);
}

/** XMLHttpRequest is left without instrumentation. */
function xhr(url) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('GET', url);
    request.onload = () => (request.status === 200 ? resolve() : reject(new Error(`status ${request.status}`)));
    request.onerror = () => reject(new Error('network'));
    request.send();
  });
}

/** What happens within a span that the page starts itself. */
function withinSpan(action) {
  return trace.getTracer('page').startActiveSpan('page-work', (span) => action().finally(() => span.end()));
}

/** One request after the other. The context holds until an action first waits, as it does without zone.js. */
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
