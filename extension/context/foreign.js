/**
 * Reads the contexts that a page's own instrumentation puts on its requests in formats that are not configured: those of other propagators, and
 * those of vendors. Nothing here writes them. `src/context/foreign.rs` has the same headers; `tests/fixtures/foreign.json` tests both.
 */

import { cut } from './lists.js';
import { PROPAGATORS, hasSpan, padded, readTraceparent } from './propagators.js';

/** @import { Carried, Get, Propagator } from './propagators.js' */
/**
 * A format that is not configured. The span id of a context is empty if the headers name none.
 *
 * @typedef {{ fields: readonly string[], read: (get: Get) => Carried | null }} ForeignFormat
 */

/** Longest part of a header that is read. */
const MAX_FOREIGN_VALUE = 2048;

/** @param {Get} get @param {string} name */
const textOf = (get, name) => (get(name) ?? '').slice(0, MAX_FOREIGN_VALUE).trim();

/**
 * Makes a context. One without a decision counts as sampled.
 *
 * @param {string | null} traceId @param {string | null} spanId @param {boolean} isUnsampled whether it says so
 * @returns {Carried | null}
 */
const contextOf = (traceId, spanId, isUnsampled) =>
  traceId === null ? null : { traceId, spanId: spanId ?? '', flags: isUnsampled ? '00' : '01', tracestate: '', baggage: '' };

/** Reads a 64-bit id in decimal. @param {string} text @returns {string | null} 16 hex digits */
const decimal = (text) => (/^\d{1,20}$/.test(text) ? padded(BigInt(text).toString(16), 16) : null);

/** Reads a text in base64, or an empty one. @param {string} text */
function fromBase64(text) {
  try {
    return atob(text);
  } catch {
    return '';
  }
}

/** Datadog. The upper half of a 128-bit trace id is a tag. @type {ForeignFormat} */
const datadog = {
  fields: ['x-datadog-trace-id', 'x-datadog-parent-id', 'x-datadog-sampling-priority', 'x-datadog-origin', 'x-datadog-tags'],
  read(get) {
    const low = decimal(textOf(get, 'x-datadog-trace-id'));
    const high = /(?:^|,)_dd\.p\.tid=([0-9a-f]{16})(?:,|$)/.exec(textOf(get, 'x-datadog-tags'))?.[1] ?? '';
    const priority = textOf(get, 'x-datadog-sampling-priority');
    return contextOf(low && padded(high + low, 32), decimal(textOf(get, 'x-datadog-parent-id')), priority === '0' || priority.startsWith('-'));
  },
};

/** Sentry. Its entries in `baggage` belong to the same trace: see {@link withoutSentry}. @type {ForeignFormat} */
const sentry = {
  fields: ['sentry-trace'],
  read(get) {
    const [traceId = '', spanId = '', sampled] = textOf(get, 'sentry-trace').split('-', 3);
    return contextOf(padded(traceId, 32), padded(spanId, 16), sampled === '0');
  },
};

/** New Relic: JSON in base64. @type {ForeignFormat} */
const newRelic = {
  fields: ['newrelic'],
  read(get) {
    try {
      const { tr, id = '', sa } = JSON.parse(atob(textOf(get, 'newrelic'))).d;
      return contextOf(padded(tr, 32), padded(id, 16), sa === false);
    } catch {
      return null;
    }
  },
};

/** AWS X-Ray. @type {ForeignFormat} */
const xRay = {
  fields: ['x-amzn-trace-id'],
  read(get) {
    const text = textOf(get, 'x-amzn-trace-id');
    const [, time = '', unique = ''] = /(?:^|;)\s?Root=1-([0-9a-f]{8})-([0-9a-f]{24})(?:;|$)/i.exec(text) ?? [];
    const spanId = /(?:^|;)\s?Parent=([0-9a-f]{16})(?:;|$)/i.exec(text)?.[1] ?? '';
    return contextOf(padded(time + unique, 32), padded(spanId, 16), /(?:^|;)\s?Sampled=0/i.test(text));
  },
};

/** Google Cloud. @type {ForeignFormat} */
const google = {
  fields: ['x-cloud-trace-context'],
  read(get) {
    const [, traceId = '', spanId = '', sampled] = /^([0-9a-f]{32})(?:\/(\d+))?(?:;o=(\d))?$/i.exec(textOf(get, 'x-cloud-trace-context')) ?? [];
    return contextOf(padded(traceId, 32), decimal(spanId), sampled === '0');
  },
};

/** Elastic, whose earlier agents have a name of their own for `traceparent`. @type {ForeignFormat} */
const elastic = {
  fields: ['elastic-apm-traceparent'],
  read(get) {
    const context = readTraceparent(textOf(get, 'elastic-apm-traceparent'));
    return typeof context === 'string' ? null : { ...context, baggage: '' };
  },
};

/** Instana. @type {ForeignFormat} */
const instana = {
  fields: ['x-instana-t', 'x-instana-s', 'x-instana-l'],
  read: (get) =>
    contextOf(padded(textOf(get, 'x-instana-t'), 32), padded(textOf(get, 'x-instana-s'), 16), textOf(get, 'x-instana-l').startsWith('0')),
};

/** OpenTracing, as Lightstep's tracers write it. @type {ForeignFormat} */
const openTracing = {
  fields: ['ot-tracer-traceid', 'ot-tracer-spanid', 'ot-tracer-sampled'],
  read: (get) =>
    contextOf(padded(textOf(get, 'ot-tracer-traceid'), 32), padded(textOf(get, 'ot-tracer-spanid'), 16), /^(?:0|false)$/.test(textOf(get, 'ot-tracer-sampled'))),
};

/** SkyWalking. Its browser client's trace ids are UUIDs, and its segments are no spans. @type {ForeignFormat} */
const skyWalking = {
  fields: ['sw8', 'sw8-correlation', 'sw8-x'],
  read(get) {
    const [sampled, traceId = ''] = textOf(get, 'sw8').split('-', 2);
    return contextOf(padded(fromBase64(traceId).replaceAll('-', ''), 32), null, sampled === '0');
  },
};

/** The formats of vendors. */
export const VENDORS = Object.freeze({ datadog, sentry, newRelic, xRay, google, elastic, instana, openTracing, skyWalking });

/** @param {Propagator} propagator @returns {ForeignFormat} */
const asForeign = ({ fields, extract }) => ({
  fields,
  read(get) {
    const { context } = extract(get);
    return hasSpan(context) ? { tracestate: '', baggage: '', ...context } : null;
  },
});

/** The propagators that write a span. */
const SPAN_PROPAGATORS = Object.values(PROPAGATORS).filter((propagator) => propagator !== PROPAGATORS.baggage);

/**
 * Returns the formats that contradict what we write; none if that names no span.
 *
 * @param {readonly Propagator[]} configured
 */
export function foreignFormats(configured) {
  const isConfigured = (/** @type {Propagator} */ propagator) => configured.includes(propagator);
  if (!SPAN_PROPAGATORS.some(isConfigured)) return [];
  const others = SPAN_PROPAGATORS.filter((propagator) => !isConfigured(propagator));
  return [...others.map(asForeign), ...Object.values(VENDORS)];
}

const SENTRY_TRACE = /(?:^|,)[ \t]*sentry-trace_id[ \t]*=[ \t]*([0-9a-f]{32})/i;
const SENTRY_MEMBERS = /(?:^|,)[ \t]*sentry-[^,]*/g;

/**
 * Removes Sentry's members of a `baggage`, if they belong to another trace.
 *
 * @param {string} baggage @param {string} traceId
 */
export function withoutSentry(baggage, traceId) {
  const read = cut(baggage);
  const sentryTrace = SENTRY_TRACE.exec(read)?.[1];
  if (sentryTrace === undefined || sentryTrace.toLowerCase() === traceId) return baggage;
  // What is too long to be read as a whole stays: its other members must not be lost.
  if (read.length < baggage.length) return baggage;
  return read.replace(SENTRY_MEMBERS, '').replace(/^,/, '');
}
