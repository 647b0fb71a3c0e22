// Exports spans from a page to a collector in the ways that pages have: `exportSpans(endpoint)` resolves to which of them
// succeeded.
import { SpanKind } from '@opentelemetry/api';
import { ExportResultCode } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { BatchSpanProcessor, WebTracerProvider } from '@opentelemetry/sdk-trace-web';
import { initializeFaro } from '@grafana/faro-core';
import { OtlpHttpTransport } from '@grafana/faro-transport-otlp-http';

const TRACE = '0af7651916cd43dd8448eb211c80319c';

/** Makes the request of an exporter for one span, as OTLP JSON. */
const requestOf = (name) => ({
  resourceSpans: [
    {
      resource: { attributes: [{ key: 'service.name', value: { stringValue: 'page' } }], droppedAttributesCount: 0 },
      scopeSpans: [
        {
          scope: { name: 'page' },
          spans: [
            {
              traceId: TRACE,
              spanId: Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, '0')).join(''),
              parentSpanId: null,
              name,
              kind: SpanKind.CLIENT + 1,
              startTimeUnixNano: `${Date.now()}000000`,
              endTimeUnixNano: `${Date.now() + 1}000000`,
              attributes: null,
            },
          ],
        },
      ],
    },
  ],
});

async function withSdk(url) {
  const exporter = new OTLPTraceExporter({ url, headers: { 'x-own': '1' } });
  const codes = [];
  const listening = {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        codes.push(result.code);
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
    forceFlush: () => exporter.forceFlush(),
  };
  const provider = new WebTracerProvider({ spanProcessors: [new BatchSpanProcessor(listening)] });
  provider.getTracer('page').startSpan('by-sdk').end();
  await provider.shutdown().catch(() => {});
  return codes.length === 1 && codes[0] === ExportResultCode.SUCCESS;
}

async function withFaro(tracesURL, logsURL) {
  const answers = [];
  const { fetch } = globalThis;
  // Faro does not tell how an export ended.
  globalThis.fetch = (...args) => {
    const answer = fetch(...args);
    answers.push(answer.catch(() => ({ ok: false })));
    return answer;
  };
  const faro = initializeFaro({
    app: { name: 'page' },
    batching: { enabled: false },
    dedupe: false,
    globalObjectKey: 'faro',
    instrumentations: [],
    internalLoggerLevel: 0,
    isolate: true,
    metas: [],
    parseStacktrace: () => ({ frames: [] }),
    paused: false,
    preventGlobalExposure: true,
    transports: [new OtlpHttpTransport({ tracesURL, logsURL })],
    unpatchedConsole: console,
  });
  faro.api.pushTraces(requestOf('by-faro'));
  faro.api.pushLog(['a log']);
  while (answers.length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
  globalThis.fetch = fetch;
  return (await Promise.all(answers)).every(({ ok }) => ok);
}

globalThis.exportSpans = async (endpoint) => {
  const traces = `${endpoint}/v1/traces`;
  const beacon = (name, body) => navigator.sendBeacon(traces, body(JSON.stringify(requestOf(name))));
  return {
    sdk: await withSdk(traces),
    faro: await withFaro(traces, `${endpoint}/v1/logs`),
    text: beacon('by-beacon-of-text', (text) => text),
    json: beacon('by-beacon-of-json', (text) => new Blob([text], { type: 'application/json' })),
  };
};
