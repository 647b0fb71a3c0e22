// A service that is traced in the usual way: it continues the context of a request, and exports in batches, of which the default is one in 5 s.
// Prints `listening PORT`. Ends after the batch that follows the end of its standard input.
import { createServer } from 'node:http';
import process from 'node:process';

import { propagation, ROOT_CONTEXT, SpanKind } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

const exporter = new OTLPTraceExporter();
let isLast = false;
const watched = {
  export: (spans, done) =>
    exporter.export(spans, (result) => {
      done(result);
      if (isLast) process.exit(0);
    }),
  shutdown: () => exporter.shutdown(),
  forceFlush: () => exporter.forceFlush(),
};
const provider = new BasicTracerProvider({ spanProcessors: [new BatchSpanProcessor(watched)] });
const tracer = provider.getTracer('service');
propagation.setGlobalPropagator(new W3CTraceContextPropagator());

const server = createServer((request, response) => {
  const parent = propagation.extract(ROOT_CONTEXT, request.headers);
  const span = tracer.startSpan(`served ${request.url}`, { kind: SpanKind.SERVER }, parent);
  response.setHeader('access-control-allow-origin', '*');
  response.end('{}', () => span.end());
});
server.listen(0, '127.0.0.1', () => console.log('listening', server.address().port));
process.stdin.resume();
process.stdin.on('end', () => {
  isLast = true;
  server.close();
  // The timer of a batch keeps no process alive.
  setInterval(() => {}, 1000);
});
