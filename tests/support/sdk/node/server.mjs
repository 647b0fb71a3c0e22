// Answers each request with the contexts that OpenTelemetry's JavaScript SDK reads from its headers, with each propagator alone, as JSON.
// Prints `listening PORT` once it listens, and exits when its standard input is closed.
import { createServer } from 'node:http';

import { defaultTextMapGetter, isSpanContextValid, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import { B3Propagator } from '@opentelemetry/propagator-b3';
import { JaegerPropagator } from '@opentelemetry/propagator-jaeger';

const tracecontext = new W3CTraceContextPropagator();
const baggage = new W3CBaggagePropagator();
const b3 = new B3Propagator();
const jaeger = new JaegerPropagator();

/** Uses the headers as node joins them, like the SDK's own instrumentation for HTTP. */
const extract = (propagator, headers) => propagator.extract(ROOT_CONTEXT, headers, defaultTextMapGetter);

function spanContext(propagator, headers) {
  const found = trace.getSpanContext(extract(propagator, headers));
  if (!found || !isSpanContextValid(found)) return null;
  const { traceId, spanId, traceFlags, traceState, isRemote } = found;
  return { traceId, spanId, traceFlags, traceState: traceState?.serialize() || null, isRemote: isRemote === true };
}

function entries(headers) {
  const found = propagation.getBaggage(extract(baggage, headers))?.getAllEntries() ?? [];
  return found.map(([key, { value }]) => [key, value]).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Selects headers. The B3 propagator reads both encodings, so each call gets only the headers of one. */
const only = (headers, wanted) => Object.fromEntries(Object.entries(headers).filter(([name]) => wanted(name)));

const server = createServer((request, response) => {
  const { headers } = request;
  const contexts = {
    tracecontext: spanContext(tracecontext, headers),
    b3: spanContext(b3, only(headers, (name) => name === 'b3')),
    b3multi: spanContext(b3, only(headers, (name) => name.startsWith('x-b3-'))),
    jaeger: spanContext(jaeger, headers),
    baggage: entries(headers),
  };
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(contexts));
});

server.listen(0, '127.0.0.1', () => console.log(`listening ${server.address().port}`));
process.stdin.resume().on('end', () => process.exit());
