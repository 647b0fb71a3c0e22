/**
 * Propagators: the formats in which headers carry a context. `src/context/propagator.rs` has the same names. The host itself reads only
 * `TRACEPARENT`, `TRACESTATE` and `BAGGAGE`; `tests/fixtures/propagation` tests both sides.
 *
 * https://opentelemetry.io/docs/specs/otel/context/api-propagators/
 */

import { readBaggage, readTracestate, trimmed } from './lists.js';
import { formatTraceparent } from './traceparent.js';

/** @typedef {{ traceId: string, spanId: string, flags: string, tracestate: string }} SpanContext */
/**
 * Everything that headers carry. `tracestate` and `baggage` may be empty.
 *
 * @typedef {SpanContext & { baggage: string }} Carried
 */
/**
 * A header to set, by its lower-case name; to remove when the value is null.
 *
 * @typedef {[name: string, value: string | null]} Written
 */
/**
 * Finds a header by its lower-case name.
 *
 * @typedef {(name: string) => string | undefined} Get
 */
/**
 * The valid part of a context, and the error of the first invalid header.
 *
 * @typedef {{ context: Partial<Carried>, fault: string | null }} Extracted
 */
/**
 * One format. `inject` appends to a list if it is given one, since it runs for every request.
 *
 * @typedef {{
 *   fields: readonly string[],
 *   inject: (context: Partial<Carried>, into?: Written[]) => Written[],
 *   extract: (get: Get) => Extracted,
 * }} Propagator
 */

const SAMPLED = 0x01;

/** @param {string} flags 2 hex digits */
export const isSampled = (flags) => (parseInt(flags, 16) & SAMPLED) !== 0;

/** @param {Partial<Carried>} context @returns {context is Omit<SpanContext, 'tracestate'> & Partial<Carried>} */
export const hasSpan = (context) => context.traceId !== undefined && context.spanId !== undefined && context.flags !== undefined;

/** @param {Partial<Carried>} context @returns {Extracted} */
const found = (context) => ({ context, fault: null });

/** @param {string} header @param {string} reason @returns {Extracted} */
const invalid = (header, reason) => ({ context: {}, fault: `${header}: ${reason}` });

const ALL_ZERO = /^0+$/;
const LOWER_HEX = /^[0-9a-f]+$/;
const ANY_HEX = /^[0-9a-fA-F]+$/;
const NOT_ASCII = /[\u0080-\uffff]/;

/** Reads an id of one of the other formats and pads it with zeros; null when it is invalid. @param {string} text @param {number} digits */
export function padded(text, digits) {
  if (text.length > digits || !ANY_HEX.test(text) || ALL_ZERO.test(text)) return null;
  return text.toLowerCase().padStart(digits, '0');
}

/** Longest part of a header that is read, if it is no list. A later version of `traceparent` may be longer, with the known fields at its beginning. */
const MAX_VALUE = 256;

/** @param {string} text */
const valueOf = (text) => trimmed(text.slice(0, MAX_VALUE));

/** Length of a `traceparent` of version 00, and minimum of any later version. */
const LENGTH = 55;

/** Reads a `traceparent`, also of a later version. Returns the reason when it is invalid. @param {string} text @returns {SpanContext | string} */
export function readTraceparent(text) {
  if (NOT_ASCII.test(text)) return 'a character is not ASCII';
  if (text.length < LENGTH) return `expected ${LENGTH} characters, found ${text.length}`;
  if (text[2] !== '-' || text[35] !== '-' || text[52] !== '-') {
    return 'expected a dash after the version, the trace id and the parent id';
  }
  const version = text.slice(0, 2);
  if (!LOWER_HEX.test(version)) return 'the version is not lower-case hex';
  if (version === 'ff') return 'version ff is not allowed';
  if (version === '00' && text.length > LENGTH) return `version 00 has ${LENGTH} characters, found ${text.length}`;
  if (text.length > LENGTH && text[LENGTH] !== '-') return 'expected a dash after the flags';
  const traceId = text.slice(3, 35);
  const spanId = text.slice(36, 52);
  const flags = text.slice(53, LENGTH);
  if (!LOWER_HEX.test(traceId)) return 'the trace id is not lower-case hex';
  if (ALL_ZERO.test(traceId)) return 'the trace id is all zero';
  if (!LOWER_HEX.test(spanId)) return 'the parent id is not lower-case hex';
  if (ALL_ZERO.test(spanId)) return 'the parent id is all zero';
  if (!LOWER_HEX.test(flags)) return 'the flags are not lower-case hex';
  return { traceId, spanId, flags, tracestate: '' };
}

/**
 * W3C Trace Context. https://www.w3.org/TR/trace-context-2/
 *
 * @type {Propagator}
 */
const tracecontext = {
  fields: ['traceparent', 'tracestate'],

  inject(context, into = []) {
    // A state that is already there belongs to another trace.
    if (hasSpan(context)) into.push(['traceparent', formatTraceparent(context)], ['tracestate', context.tracestate || null]);
    return into;
  },

  extract(get) {
    const text = get('traceparent');
    if (text === undefined) return found({});
    const span = readTraceparent(valueOf(text));
    if (typeof span === 'string') return invalid('traceparent', span);
    // An invalid state does not invalidate the parent.
    const { tracestate, reason } = readTracestate(get('tracestate') ?? '');
    return { context: { ...span, tracestate }, fault: reason === null ? null : `tracestate: ${reason}` };
  },
};

/**
 * W3C Baggage: an application's own values, passed on unchanged. https://www.w3.org/TR/baggage/
 *
 * @type {Propagator}
 */
const baggagePropagator = {
  fields: ['baggage'],

  inject({ baggage }, into = []) {
    if (baggage) into.push(['baggage', baggage]);
    return into;
  },

  extract(get) {
    const text = get('baggage');
    if (text === undefined) return found({});
    const { baggage, reason } = readBaggage(text);
    return { context: { baggage }, fault: reason === null ? null : `baggage: ${reason}` };
  },
};

/** B3's sampling states, as trace flags. Debug means sampled. */
const B3_STATES = new Map([['0', '00'], ['1', '01'], ['d', '01']]);

/** The states in a header of their own, where older clients write words. */
const B3_MULTI_STATES = new Map([...B3_STATES, ['false', '00'], ['true', '01']]);

/** Headers that {@link b3multi} never writes: the debug flag, which it reads, and the parent's parent. */
const B3_FLAGS = 'x-b3-flags';
const B3_PARENT = 'x-b3-parentspanid';

/** @param {string} flags */
const bit = (flags) => (isSampled(flags) ? '1' : '0');

/** @param {string} header @param {string} traceText @param {string} spanText @param {string} flags */
function b3Context(header, traceText, spanText, flags) {
  const traceId = traceText.length === 16 || traceText.length === 32 ? padded(traceText, 32) : null;
  if (traceId === null) return invalid(header, 'the trace id is not 16 or 32 hex digits, or all zero');
  const spanId = spanText.length === 16 ? padded(spanText, 16) : null;
  if (spanId === null) return invalid(header, 'the span id is not 16 hex digits, or all zero');
  return found({ traceId, spanId, flags, tracestate: '' });
}

/**
 * B3 in one header. As in OpenTelemetry, a trace id of 64 bits is padded, a parent's id is neither needed nor written, and a context
 * without a decision counts as not sampled. https://github.com/openzipkin/b3-propagation
 *
 * @type {Propagator}
 */
const b3 = {
  fields: ['b3'],

  inject(context, into = []) {
    if (hasSpan(context)) into.push(['b3', `${context.traceId}-${context.spanId}-${bit(context.flags)}`]);
    return into;
  },

  extract(get) {
    const header = get('b3');
    if (header === undefined) return found({});
    const text = valueOf(header);
    // A decision without a context.
    if (B3_STATES.has(text)) return found({});
    const parts = text.split('-');
    const [traceId, spanId, state = '0', parent] = parts;
    const misshapen = parts.length > 4 || (parent !== undefined && padded(parent, 16) === null);
    if (traceId === undefined || spanId === undefined || misshapen) {
      return invalid('b3', 'expected {trace id}-{span id}-{0, 1 or d}');
    }
    const flags = B3_STATES.get(state);
    if (flags === undefined) return invalid('b3', 'the sampling state is not 0, 1 or d');
    return b3Context('b3', traceId, spanId, flags);
  },
};

/**
 * B3 in several headers.
 *
 * @type {Propagator}
 */
const b3multi = {
  fields: ['x-b3-traceid', 'x-b3-spanid', 'x-b3-sampled', B3_FLAGS, B3_PARENT],

  inject(context, into = []) {
    if (!hasSpan(context)) return into;
    const { traceId, spanId, flags } = context;
    into.push(['x-b3-traceid', traceId], ['x-b3-spanid', spanId], ['x-b3-sampled', bit(flags)]);
    // These belong to another parent.
    into.push([B3_FLAGS, null], [B3_PARENT, null]);
    return into;
  },

  extract(get) {
    const traceId = get('x-b3-traceid');
    const spanId = get('x-b3-spanid');
    if (traceId === undefined && spanId === undefined) return found({});
    if (traceId === undefined) return invalid('x-b3-traceid', 'it is missing');
    if (spanId === undefined) return invalid('x-b3-spanid', 'it is missing');
    const flags = B3_MULTI_STATES.get(valueOf(get('x-b3-sampled') ?? '0'));
    if (flags === undefined) return invalid('x-b3-sampled', 'it is not 0 or 1');
    const debug = valueOf(get(B3_FLAGS) ?? '') === '1';
    return b3Context('x-b3-traceid', valueOf(traceId), valueOf(spanId), debug ? '01' : flags);
  },
};

/** The flags sampled and debug; debug implies sampled. */
const JAEGER_SAMPLED = 0x03;
const JAEGER_FLAGS = /^[0-9a-fA-F]{1,2}$/;

/**
 * Jaeger's header. https://www.jaegertracing.io/sdk-migration/#propagation-format
 *
 * @type {Propagator}
 */
const jaeger = {
  fields: ['uber-trace-id'],

  inject(context, into = []) {
    if (hasSpan(context)) into.push(['uber-trace-id', `${context.traceId}:${context.spanId}:0:${bit(context.flags)}`]);
    return into;
  },

  extract(get) {
    const header = get('uber-trace-id');
    if (header === undefined) return found({});
    /** @param {string} reason */
    const wrong = (reason) => invalid('uber-trace-id', reason);
    // Some clients encode the colons.
    const parts = valueOf(header).replace(/%3a/gi, ':').split(':');
    const [traceText = '', spanText = '', , state = ''] = parts;
    if (parts.length !== 4) return wrong('expected {trace id}:{span id}:{parent id}:{flags}');
    if (!JAEGER_FLAGS.test(state)) return wrong('the flags are not 1 or 2 hex digits');
    const traceId = padded(traceText, 32);
    if (traceId === null) return wrong('the trace id is not 1 to 32 hex digits, or all zero');
    const spanId = padded(spanText, 16);
    if (spanId === null) return wrong('the span id is not 1 to 16 hex digits, or all zero');
    const flags = (parseInt(state, 16) & JAEGER_SAMPLED) === 0 ? '00' : '01';
    return found({ traceId, spanId, flags, tracestate: '' });
  },
};

/** The propagators by their names in `OTEL_PROPAGATORS`. */
export const PROPAGATORS = Object.freeze({ tracecontext, baggage: baggagePropagator, b3, b3multi, jaeger });

/** Finds propagators by name. Unknown names are left out. @param {readonly string[]} names */
export const propagatorsOf = (names) =>
  names.flatMap((name) => (Object.hasOwn(PROPAGATORS, name) ? [PROPAGATORS[/** @type {keyof typeof PROPAGATORS} */ (name)]] : []));
