// Views for the popup and the options page that a real worker would reach only slowly.

import { TRACE, VIEW } from '../../extension/support/views.js';

const HEX = '0123456789abcdef';
const hex = (seed, length) => Array.from({ length }, (_, place) => HEX[(seed * 7 + place * 11 + ((seed * place) >> 2)) % 16]).join('');
const EVIL = '"><img src=x onerror="globalThis.evil=1"><script>globalThis.evil=1</script>';

let spans = 0;
const request = (started, took, url, more = {}) => ({
  spanId: hex((spans += 1), 16),
  method: 'GET',
  url,
  resource: 'fetch',
  started,
  ended: took === null ? null : started + took,
  status: took === null ? null : 200,
  error: null,
  end: more.error ? 'failed' : null,
  fromCache: false,
  ...more,
});

function navigation(started, url, requests, more = {}) {
  return { spanId: hex((spans += 1), 16), traceId: TRACE, url, started, ended: started + 486, status: 200, error: null, end: more.error ? 'failed' : null, requests, more: 0, ...more };
}

/** The usual view: a page of a shop. */
export function shop(now) {
  const base = now - 8000;
  const at = (path) => `https://shop.example${path}`;
  return navigation(base, at('/cart?step=2'), [
    request(base + 2, 118, at('/cart?step=2'), { resource: 'document' }),
    request(base + 124, 3, at('/assets/shop.css'), { fromCache: true, resource: 'style' }),
    request(base + 125, 4, at('/assets/shop.js'), { fromCache: true, resource: 'script' }),
    request(base + 171, 92, at('/api/cart')),
    request(base + 173, 240, at('/api/recommendations?limit=12')),
    request(base + 180, 61, at('/api/price'), { method: 'POST', status: 503 }),
    request(base + 250, 118, at('/api/price'), { method: 'POST' }),
    request(base + 300, 12, 'https://metrics.example/collect?v=2', { status: null, error: 'net::ERR_CONNECTION_REFUSED' }),
    request(base + 410, 70, at('/img/mug.webp'), { resource: 'image' }),
  ]);
}

const tab = (navigations, more = {}) => ({ id: 7, traced: true, traceId: TRACE, sampled: true, navigations, ...more });

const view = (more = {}) => ({
  ...VIEW,
  exporter: { endpoint: 'http://localhost:4318/v1/traces', exported: 1284, kept: 0, dropped: 0, problem: null },
  link: 'https://jaeger.example/trace/{trace_id}?start={start_ms}&end={end_s}&span={span_id}',
  session: { traceId: TRACE, spanId: '00f067aa0ba902b7', flags: '01', started: 1_700_000_000_000.4 },
  configured: { ...VIEW.configured, targets: ['https://shop.example/*', 'https://*.api.example/*'], exclude: ['https://shop.example/health'] },
  ...more,
});

/** Long URLs without a line break, failures, and a page that still loads. */
function many(now) {
  const navigations = Array.from({ length: 10 }, (_, place) => {
    const started = now - place * 60_000 - 900;
    const url = `https://averyveryverylongsubdomain.of-an-even-longer-domain.example/${'long'.repeat(20 + place)}?q=${'x'.repeat(300)}`;
    const requests = Array.from({ length: place === 0 ? 200 : 5 }, (__, number) => {
      const failed = number % 7 === 3 ? { status: 500 } : number % 11 === 5 ? { status: null, error: 'net::ERR_NAME_NOT_RESOLVED' } : {};
      return request(started + number * 4, number === 199 ? null : 20 + ((number * 37) % 300), `${url}&request=${number}`, failed);
    });
    const ends = [{ ended: null, status: null, more: 37 }, { status: null, error: 'net::ERR_CONNECTION_RESET' }, { status: 404 }];
    return navigation(started, url, requests, ends[place] ?? {});
  });
  return [...navigations.slice(0, 9), navigation(now - 700_000, `https://evil.example/${EVIL}`, [], { error: EVIL })];
}

/** The states by name. `null` is a worker that does not answer. */
export const states = (now) => ({
  starting: null,
  connecting: view({ mode: null, wantedMode: null, host: { state: 'starting', version: null, reason: null }, exporter: null, tab: tab([]), link: null }),
  detailed: view({ tab: tab([shop(now), navigation(now - 31_000, 'https://shop.example/', [request(now - 31_000, 80, 'https://shop.example/')]), navigation(now - 45_000, 'https://shop.example/login', [], { ended: now - 44_870, status: 302 })]) }),
  lightweight: view({ mode: 'lightweight', wantedMode: 'lightweight', link: null, tab: tab([shop(now)]), chosen: { ratio: 0.05, targets: ['https://shop.example/*'] }, offTheRecord: false }),
  'not-granted': view({ mode: 'lightweight', wantedMode: 'detailed', tab: tab([]) }),
  paused: view({ paused: true, tab: tab([shop(now)], { traced: false }) }),
  'no-host': view({ mode: 'lightweight', wantedMode: null, host: { state: 'missing', version: null, reason: 'Specified native messaging host not found.' }, exporter: null, link: null, tab: tab([]), configured: { ratio: 1, parentBased: true, targets: [], exclude: [], resources: ['all'] } }),
  'exporter-down': view({ exporter: { endpoint: 'http://collector.internal.example:4318/v1/traces', exported: 96, kept: 41, dropped: 2, problem: 'http://collector.internal.example:4318/v1/traces can’t be reached: connection refused' }, tab: tab([shop(now)]) }),
  'no-exporter': view({ exporter: { endpoint: null, exported: 0, kept: 0, dropped: 0, problem: null }, tab: tab([], { sampled: false }) }),
  mismatch: view({ host: { state: 'connected', version: '0.2.0', reason: null }, tab: tab([]) }),
  'not-a-target': view({ tab: tab([], { traced: false }) }),
  'no-tab': view(),
  many: view({ link: 'javascript:alert({trace_id})', tab: tab(many(now)), problems: ['NAVTRACE_MODE=fast: expected auto, lightweight or detailed', 'the journal can’t be written: No space left on device (os error 28); spans are kept in memory', EVIL] }),
});

/** Settings of each kind and source, and a secret. */
export const settings = {
  type: 'settings',
  file: '/home/me/.config/navtrace/config.toml',
  exists: true,
  settings: [
    { key: 'browser', name: 'NAVTRACE_BROWSER', meaning: 'the Chromium to start: a path or a name', default: 'the first on PATH', kind: 'text', choices: [], value: null, secret: false, source: 'default', stored: null },
    { key: 'mode', name: 'NAVTRACE_MODE', meaning: 'lightweight, detailed, or auto: detailed where the browser grants it, else lightweight', default: 'auto', kind: 'choice', choices: ['auto', 'lightweight', 'detailed'], value: 'detailed', secret: false, source: 'environment', stored: 'lightweight' },
    { key: 'web_vitals', name: 'NAVTRACE_WEB_VITALS', meaning: 'on: pages tell their navigation timing and web vitals, which costs each some milliseconds of processor time (off: nothing of navtrace runs in them)', default: 'off', kind: 'switch', choices: [], value: 'on', secret: false, source: 'file', stored: true },
    { key: 'link', name: 'NAVTRACE_LINK', meaning: 'a template for links to traces, such as http://localhost:16686/trace/{trace_id}', default: 'none', kind: 'text', choices: [], value: 'http://localhost:16686/trace/{trace_id}', secret: false, source: 'file', stored: 'http://localhost:16686/trace/{trace_id}' },
    { key: 'targets', name: 'NAVTRACE_TARGETS', meaning: 'match patterns of who gets headers', default: 'everything', kind: 'list', choices: [], value: 'https://shop.example/*,https://*.api.example/*', secret: false, source: 'file', stored: ['https://shop.example/*', 'https://*.api.example/*'] },
    { key: 'exclude', name: 'NAVTRACE_EXCLUDE', meaning: 'match patterns of who gets none all the same', default: 'none', kind: 'list', choices: [], value: 'https://shop.example/health', secret: false, source: 'flag', stored: null },
    { key: 'otel.service_name', name: 'OTEL_SERVICE_NAME', meaning: 'the name of the service in spans', default: 'browser', kind: 'text', choices: [], value: 'browser', secret: false, source: 'default', stored: null },
    { key: 'otel.exporter_otlp_endpoint', name: 'OTEL_EXPORTER_OTLP_ENDPOINT', meaning: 'where spans are sent', default: 'in run its own collector, else http://localhost:4318 (:4317 for gRPC)', kind: 'text', choices: [], value: null, secret: false, source: 'default', stored: null },
    { key: 'otel.exporter_otlp_headers', name: 'OTEL_EXPORTER_OTLP_HEADERS', meaning: 'what every request carries, as key=value,…', default: 'none', kind: 'list', choices: [], value: null, secret: true, source: 'file', stored: null },
    { key: 'otel.bsp_schedule_delay', name: 'OTEL_BSP_SCHEDULE_DELAY', meaning: 'how long spans are collected before they are sent, in milliseconds', default: '5000', kind: 'text', choices: [], value: '5000', secret: false, source: 'default', stored: null },
  ],
};

export { view };
