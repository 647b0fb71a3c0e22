// Exports spans with OpenTelemetry's exporter for gRPC, each batch on the same channel: `node grpc.mjs [ENDPOINT [gzip]]`.
// Prints `exported NUMBER` or `failed REASON` for each batch, and what the exporter warns of.
import process from 'node:process';
import { promisify } from 'node:util';

import { diag, DiagLogLevel, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base';

const [, , url, compression = 'none'] = process.argv;
const warn = (...words) => console.log('warned', ...words);
const nothing = () => {};
diag.setLogger({ error: warn, warn, info: nothing, debug: nothing, verbose: nothing }, DiagLogLevel.WARN);

const memory = new InMemorySpanExporter();
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(memory)] });
const tracer = provider.getTracer('grpc');
// The default is OTLP's port for gRPC.
const exporter = new OTLPTraceExporter({ ...(url ? { url } : {}), compression });
const send = promisify((spans, done) => exporter.export(spans, (result) => done(null, result)));

for (const batch of [1, 2]) {
  memory.reset();
  const parent = tracer.startSpan(`grpc batch ${batch}`);
  const context = trace.setSpan(ROOT_CONTEXT, parent);
  // Larger than a frame of HTTP/2, and than the window of a stream.
  for (let n = 0; n < 200; n++) tracer.startSpan('child', { attributes: { text: `${n} `.repeat(200) } }, context).end();
  parent.end();
  const { code, error } = await send(memory.getFinishedSpans());
  console.log(code === ExportResultCode.SUCCESS ? `exported ${memory.getFinishedSpans().length}` : `failed ${error}`);
}
await exporter.shutdown();
