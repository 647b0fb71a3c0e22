/**
 * Reads the steering header, by which a script decides what its own requests carry: `sec-ch-navtrace: off`, or
 * `sec-ch-navtrace: propagator=b3,jaeger; sampling=0.1; new-trace`.
 */

import { PROPAGATORS, readTraceparent } from './propagators.js';

/** @import { SpanContext } from './propagators.js' */
/**
 * The directives of a header: no headers at all, other propagators, how often a trace is sampled, a new trace, the context to continue.
 *
 * @typedef {{ off: boolean, propagators: string[] | null, sampling: number | null, newTrace: boolean, parent: SpanContext | null, mode: Mode | null }} Steering
 */

/** @import { Mode } from '../protocol.d.ts' */
/**
 * What a script says of the root span of its page's trace.
 *
 * @typedef {{ name?: string, attributes: Record<string, string> }} Description
 */

/**
 * The header's name in lower case. What a client adds to all requests counts for CORS, and other names make requests to other origins need a
 * preflight, which servers refuse. Browsers exempt the names of client hints, and page script cannot set those.
 */
export const STEERING_HEADER = 'sec-ch-navtrace';

/** The header's name in earlier versions. */
const OLD_STEERING_HEADER = 'navtrace';

/** The names under which clients may send the header. */
export const STEERING_HEADERS = [STEERING_HEADER, OLD_STEERING_HEADER];

/** Finds the steering header. @param {chrome.webRequest.HttpHeader[] | undefined} headers */
export const steeringHeader = (headers) =>
  headers?.find(({ name }) => name.length <= STEERING_HEADER.length && STEERING_HEADERS.includes(name.toLowerCase()));

/** Returns what to tell the user about the name of a header; null if nothing. @param {string} name */
export const nameFault = (name) =>
  name.toLowerCase() === OLD_STEERING_HEADER
    ? `the header ${OLD_STEERING_HEADER} makes requests to other origins fail: use ${STEERING_HEADER}, which does not`
    : null;

/**
 * A header without a directive.
 *
 * @type {Readonly<Steering>}
 */
export const DEFAULT_STEERING = Object.freeze({ off: false, propagators: null, sampling: null, newTrace: false, parent: null, mode: null });

/** Returns whether a header changes anything. @param {Readonly<Steering>} steering */
export const steers = ({ off, propagators, sampling, newTrace, parent, mode }) =>
  off || propagators !== null || sampling !== null || newTrace || parent !== null || mode !== null;

const PROPAGATOR_NAMES = Object.keys(PROPAGATORS);

/** k6's names of propagators. */
const ALIASES = new Map([['w3c', 'tracecontext']]);

/** A decimal number without an exponent. */
const DECIMAL = /^(?:\d+(?:\.\d*)?|\.\d+)$/;

/** @type {Mode[]} */
const STEERED_MODES = ['lightweight', 'detailed'];

/** The most attributes, and the longest names and values, in characters. The host takes no more. */
const MAX_ROOT_ATTRIBUTES = 16;
const MAX_ROOT_NAME = 64;
const MAX_ROOT_VALUE = 256;

const ATTRIBUTE_EXAMPLE = 'test.scenario:ui,test.vu:1';

/** Attributes of navtrace's own, and of the resource, which is the browser. */
const OWN_ATTRIBUTE = /^navtrace\b/i;
const RESOURCE_ATTRIBUTE = /^(?:service|telemetry|host|process|os)\./i;

const CONTROL_CHARACTER = /\p{Cc}/u;

/** Longest part of a header that an error message repeats. */
const MAX_QUOTE_LENGTH = 60;

/** @param {string} text */
function quoted(text) {
  // The message goes to a log, and nothing in it may look like a line of that log.
  const safe = text.replace(/[^ -~]/gu, '?');
  return `"${safe.length > MAX_QUOTE_LENGTH ? `${safe.slice(0, MAX_QUOTE_LENGTH - 3)}...` : safe}"`;
}

/** @param {string[]} names */
const listed = (names) => `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;

/** Counts the characters to insert, delete or replace between two words (Levenshtein distance). @param {string} a @param {string} b */
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}

/** Suggests the known word that an unknown one resembles; empty when none does. @param {string} word @param {string[]} known */
function suggestion(word, known) {
  let nearest = '';
  let least = Infinity;
  for (const name of known) {
    // Up to a third may be wrong. This also keeps long words from being compared.
    const most = Math.max(1, Math.floor(name.length / 3));
    const apart = Math.abs(word.length - name.length) > most ? Infinity : distance(word, name);
    if (apart > most || apart >= least) continue;
    nearest = name;
    least = apart;
  }
  return nearest === '' ? '' : ` (did you mean "${nearest}"?)`;
}

/** Reads the names of propagators. Returns the reason when one is unknown or there is none. @param {string} text @returns {Partial<Steering> | string} */
function readPropagators(text) {
  /** @type {Set<string>} */
  const names = new Set();
  for (const part of text.split(',')) {
    const word = part.trim();
    if (word === '') continue;
    const lower = word.toLowerCase();
    const name = ALIASES.get(lower) ?? lower;
    if (!PROPAGATOR_NAMES.includes(name)) {
      return `${quoted(word)} is not a propagator${suggestion(lower, PROPAGATOR_NAMES)}; there are ${listed(PROPAGATOR_NAMES)}`;
    }
    names.add(name);
  }
  return names.size === 0 ? `"propagator" names none; there are ${listed(PROPAGATOR_NAMES)}` : { propagators: [...names] };
}

/** Reads a sampling ratio. Returns the reason when it is none. @param {string} text @returns {Partial<Steering> | string} */
function readRatio(text) {
  const ratio = DECIMAL.test(text) ? Number(text) : Infinity;
  return ratio <= 1 ? { sampling: ratio } : `${quoted(text)} is not a number from 0 to 1, as in "sampling=0.1"`;
}

/** Reads a context to continue. Returns the reason when it is invalid. @param {string} text @returns {Partial<Steering> | string} */
function readParent(text) {
  const parent = readTraceparent(text);
  return typeof parent === 'string' ? `${quoted(text)} is not a traceparent: ${parent}` : { parent };
}

/** Reads a mode. Returns the reason when there is no such mode. @param {string} text @returns {Partial<Steering> | string} */
function readSteeredMode(text) {
  const mode = STEERED_MODES.find((name) => name === text.toLowerCase());
  return mode === undefined ? `${quoted(text)} is not a mode; there are ${listed(STEERED_MODES)}` : { mode };
}

/** Reads the name of a span. Returns the reason when it is invalid. @param {string} text @returns {Partial<Description> | string} */
function readRootName(text) {
  const name = urlDecoded(text, MAX_ROOT_NAME);
  if (name === null || name.trim() === '') return `${quoted(text)} is not a name of up to ${MAX_ROOT_NAME} characters, encoded as in URLs`;
  return CONTROL_CHARACTER.test(name) ? `the name ${quoted(name)} has control characters` : { name };
}

/** Reads attributes. Returns the reason when one is invalid. @param {string} text @returns {Partial<Description> | string} */
function readRootAttributes(text) {
  /** @type {Record<string, string>} */
  const attributes = {};
  const pairs = text.split(',', MAX_ROOT_ATTRIBUTES + 1);
  if (pairs.length > MAX_ROOT_ATTRIBUTES) return `"attributes" has more than ${MAX_ROOT_ATTRIBUTES}`;
  for (const pair of pairs) {
    const [, key = '', encoded = ''] = /^\s*([A-Za-z][\w.]*):(.*)$/s.exec(pair) ?? [];
    const value = urlDecoded(encoded.trim(), MAX_ROOT_VALUE);
    if (key === '' || key.length > MAX_ROOT_NAME) return `${quoted(pair)} is not an attribute, as in "attributes=${ATTRIBUTE_EXAMPLE}"`;
    if (OWN_ATTRIBUTE.test(key)) return `${quoted(key)} is an attribute of navtrace's own`;
    if (RESOURCE_ATTRIBUTE.test(key)) return `${quoted(key)} describes the browser, not its spans: set it in OTEL_RESOURCE_ATTRIBUTES`;
    if (value === null) return `the value of ${quoted(key)} is not one of up to ${MAX_ROOT_VALUE} characters, encoded as in URLs`;
    attributes[key] = value;
  }
  return { attributes };
}

/** Decodes a text that is encoded as in URLs; null if it is not, or if it is too long. @param {string} text @param {number} max in characters */
function urlDecoded(text, max) {
  try {
    const plain = text.length > 9 * max ? null : decodeURIComponent(text);
    return plain === null || plain.length > max ? null : plain;
  } catch {
    return null;
  }
}

/**
 * The known directives. `example` is null for those without a value; `read` returns the reason when a value is invalid.
 *
 * @type {Record<string, { example: string | null, read: (argument: string) => Partial<Steering & Description> | string }>}
 */
const DIRECTIVES = {
  off: { example: null, read: () => ({ off: true }) },
  on: { example: null, read: () => ({ off: false }) },
  propagator: { example: 'b3,jaeger', read: readPropagators },
  sampling: { example: '0.1', read: readRatio },
  'new-trace': { example: null, read: () => ({ newTrace: true }) },
  traceparent: { example: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', read: readParent },
  mode: { example: 'lightweight', read: readSteeredMode },
  name: { example: 'iteration', read: readRootName },
  attributes: { example: ATTRIBUTE_EXAMPLE, read: readRootAttributes },
};
const DIRECTIVE_NAMES = Object.keys(DIRECTIVES);

/** Directives that contradict each other. */
const CONTRADICTIONS = [
  ['off', 'on'],
  ['new-trace', 'traceparent'],
];

/**
 * Reads one directive. Returns the reason when it is invalid.
 *
 * @param {string} text
 * @param {Set<string>} seen names of the directives before it
 */
function readDirective(text, seen) {
  const at = text.indexOf('=');
  const word = at === -1 ? text : text.slice(0, at).trimEnd();
  const name = word.toLowerCase();
  const directive = Object.hasOwn(DIRECTIVES, name) ? DIRECTIVES[name] : undefined;
  if (directive === undefined) return `${quoted(word)} is not known${suggestion(name, DIRECTIVE_NAMES)}; there are ${listed(DIRECTIVE_NAMES)}`;
  if (seen.has(name)) return `${quoted(word)} is there twice`;
  seen.add(name);
  const contradiction = CONTRADICTIONS.find((names) => names.every((other) => seen.has(other)));
  if (contradiction !== undefined) return `${contradiction.map((other) => `"${other}"`).join(' and ')} exclude each other`;
  const { example, read } = directive;
  if (example === null && at !== -1) return `${quoted(text)} has a value, and "${name}" takes none`;
  if (example !== null && at === -1) return `${quoted(word)} has no value, as in "${name}=${example}"`;
  return read(text.slice(at + 1).trim());
}

/**
 * Reads the header. One with an error is ignored as a whole: half of the directives may mean the opposite.
 *
 * @param {string} value
 * @returns {{ steering: Steering, description: Description | null, fault: null } | { steering: null, description: null, fault: string }}
 */
export function readSteering(value) {
  /** @param {string} reason @returns {{ steering: null, description: null, fault: string }} */
  const ignored = (reason) => ({ steering: null, description: null, fault: `the ${STEERING_HEADER} header is ignored: ${reason}` });
  /** @type {Steering & Partial<Description>} */
  const all = { ...DEFAULT_STEERING };
  /** @type {Set<string>} */
  const seen = new Set();
  for (const part of value.split(';')) {
    const text = part.trim();
    if (text === '') continue;
    const read = readDirective(text, seen);
    if (typeof read === 'string') return ignored(read);
    Object.assign(all, read);
  }
  if (seen.size === 0) return ignored(`it is empty; there are ${listed(DIRECTIVE_NAMES)}`);
  const { name, attributes, ...steering } = all;
  if (name !== undefined && steering.parent === null) return ignored('"name" is that of the span in "traceparent", which is missing');
  const description = name === undefined && attributes === undefined ? null : { ...(name === undefined ? {} : { name }), attributes: attributes ?? {} };
  return { steering, description, fault: null };
}
