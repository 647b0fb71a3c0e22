// OpenTelemetry's web SDK as an application would load it: it traces the document's load, fetch and XMLHttpRequest, and exports spans in
// batches. They go to the page's own site, which spares the preflights that a collector elsewhere would cost.
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { registerInstrumentations } from '@opentelemetry/instrumentation';
import { DocumentLoadInstrumentation } from '@opentelemetry/instrumentation-document-load';
import { FetchInstrumentation } from '@opentelemetry/instrumentation-fetch';
import { XMLHttpRequestInstrumentation } from '@opentelemetry/instrumentation-xml-http-request';
import { BatchSpanProcessor, WebTracerProvider } from '@opentelemetry/sdk-trace-web';

// Frames without an address have no site of their own.
if (location.protocol === 'http:') {
  const labels = new URLSearchParams(location.search);
  const url = `${location.origin}/asset/data.json?kind=sdk-export&run=${labels.get('run')}&nav=${labels.get('nav')}`;
  const provider = new WebTracerProvider({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url }))] });
  provider.register({ propagator: new W3CTraceContextPropagator() });
  const everywhere = { propagateTraceHeaderCorsUrls: /.*/, ignoreUrls: [/kind=sdk-export/] };
  registerInstrumentations({
    instrumentations: [
      new DocumentLoadInstrumentation(),
      new FetchInstrumentation(everywhere),
      new XMLHttpRequestInstrumentation(everywhere),
    ],
  });
}
