/**
 * Builds the messages to the host and checks those from it. PROTOCOL.md is the reference.
 */

import { isFlags, isSpanId, isTraceId } from '../context/traceparent.js';

/** @import { Armed, Browser, Choose, Hello, NavigationContext, Observed, Propagation, SessionContext, Store, ToExtension, ToHost } from '../protocol.d.ts' */
/** @typedef {Extract<ToExtension, { type: 'session' }>} SessionMessage */
/** @typedef {{ brands?: { brand: string, version: string }[], platform?: string, mobile?: boolean }} UserAgentData */
/** @typedef {{ v: number } & ToHost} Frame */
/** @typedef {(value: unknown) => boolean} Check */

/** Version of the protocol. */
const VERSION = 1;

/** Limit of the host for each count of a `replenish`. */
const MAX_REPLENISH = 1000;

/** The brand that browsers invent so that nobody relies on the list, such as `Not?A_Brand`. */
const INVENTED_BRAND = /not.?a.?brand/i;

/** Describes the browser as it describes itself. @returns {Browser} */
export function describeBrowser() {
  const { userAgent, language, userAgentData } = /** @type {Navigator & { userAgentData?: UserAgentData }} */ (navigator);
  const brands = (userAgentData?.brands ?? []).filter(({ brand }) => !INVENTED_BRAND.test(brand));
  return {
    userAgent,
    brands: brands.map(({ brand, version }) => `${brand} ${version}`),
    platform: userAgentData?.platform ?? '',
    mobile: userAgentData?.mobile ?? false,
    language,
  };
}

/** @param {Hello} self @returns {Frame} */
export const hello = (self) => ({ v: VERSION, type: 'hello', ...self });

/** @param {Armed['mode']} mode @returns {Frame} */
export const armed = (mode) => ({ v: VERSION, type: 'armed', mode });

/**
 * @param {Omit<Observed, 'session'> & { session: SessionContext | null }} batch `session` is null for the current one
 * @returns {Frame}
 */
export const observed = ({ session, ...batch }) => ({ v: VERSION, type: 'observed', ...batch, ...(session === null ? {} : { session }) });

/** @param {{ count: number, traces: number }} wanted @returns {Frame} */
export const replenish = ({ count, traces }) => ({
  v: VERSION,
  type: 'replenish',
  count: Math.min(count, MAX_REPLENISH),
  traces: Math.min(traces, MAX_REPLENISH),
});

/** @param {string} message @returns {Frame} */
export const problem = (message) => ({ v: VERSION, type: 'problem', message });

/** @param {number} opened number of browser contexts so far @returns {Frame} */
export const overlap = (opened) => ({ v: VERSION, type: 'overlap', opened });

/** @param {Choose} choice @returns {Frame} */
export const choose = ({ ratio, targets, resources }) => ({ v: VERSION, type: 'choose', ratio, targets, resources });

/** @returns {Frame} */
export const askSettings = () => ({ v: VERSION, type: 'settings' });

/** @param {Store['values']} values @returns {Frame} */
export const store = (values) => ({ v: VERSION, type: 'store', values });

/** @param {unknown} value @returns {value is Record<string, unknown>} */
export const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** @param {unknown} value @returns {value is string} */
export const isString = (value) => typeof value === 'string';
/** @param {unknown} value @returns {value is number} */
export const isNumber = (value) => typeof value === 'number';
/** @param {unknown} value @returns {value is boolean} */
export const isBoolean = (value) => typeof value === 'boolean';

// Functions that return a check of a value.
/** @param {Check} check @returns {Check} */
export const orNull = (check) => (value) => value === null || check(value);
/** @param {Check} check @returns {Check} */
export const orMissing = (check) => (value) => value === undefined || check(value);
/** @param {Check} check @returns {Check} */
export const listOf = (check) => (value) => Array.isArray(value) && value.every((item) => check(item));
/** @param {string[]} values @returns {Check} */
const oneOf = (...values) => (value) => isString(value) && values.includes(value);
/**
 * @template T
 * @param {Record<string, Check>} members
 * @returns {(value: unknown) => value is T}
 */
export const shape = (members) => /** @returns {value is T} */ (value) =>
  isObject(value) && Object.entries(members).every(([name, check]) => check(value[name]));

/** @type {(value: unknown) => value is SessionContext} */
export const isSessionContext = shape({ traceId: isTraceId, spanId: isSpanId, flags: isFlags });

export const isTrace = shape({ traceId: isTraceId, spanId: isSpanId, flags: isFlags, tracestate: isString });

/** @type {(value: unknown) => value is NavigationContext} */
export const isNavigationContext = shape({ spanId: isSpanId, flags: isFlags });

/** @type {(value: unknown) => value is Choose} */
export const isChoice = shape({ ratio: orNull(isNumber), targets: orNull(listOf(isString)), resources: orNull(listOf(isString)) });

/** @type {(value: unknown) => value is Propagation} */
export const isPropagation = shape({
  propagators: listOf(isString),
  sampler: shape({ ratio: isNumber, parentBased: isBoolean }),
  samplePer: oneOf('trace', 'navigation'),
  scope: oneOf('session', 'context', 'tab', 'navigation'),
  joined: orMissing(isBoolean),
  windowPerPage: orMissing(isBoolean),
  randomFlag: isBoolean,
  existing: oneOf('override', 'keep'),
  tracestate: isString,
  baggage: isString,
  targets: listOf(isString),
  exclude: listOf(isString),
  collector: orMissing(listOf(isString)),
  domains: listOf(isString),
  resources: listOf(isString),
  otherResources: oneOf('session', 'none'),
  incognito: orMissing(oneOf('shared', 'headers', 'export')),
});

const isConfigured = shape({
  link: orNull(isString),
  endpoint: orNull(isString),
  ratio: isNumber,
  parentBased: isBoolean,
  targets: listOf(isString),
  exclude: listOf(isString),
  resources: listOf(isString),
});

/** @param {unknown} value @returns {value is string | boolean | string[] | null} a value of config.toml, or null for none */
export const isStored = (value) => value === null || isString(value) || isBoolean(value) || listOf(isString)(value);

const isSetting = shape({
  key: isString,
  name: isString,
  meaning: isString,
  default: isString,
  kind: oneOf('text', 'list', 'switch', 'choice'),
  choices: listOf(isString),
  value: orNull(isString),
  secret: isBoolean,
  source: isString,
  stored: isStored,
});

/** @type {Record<ToExtension['type'], Check>} */
const SHAPES = {
  session: shape({
    host: isString,
    mode: oneOf('auto', 'lightweight', 'detailed'),
    exports: isBoolean,
    propagation: isPropagation,
    session: isSessionContext,
    contexts: listOf(isNavigationContext),
    traces: listOf(isSessionContext),
    // Older hosts do not send these.
    redact: orMissing(listOf(isString)),
    configured: orMissing(isConfigured),
    k6Spans: orMissing(isBoolean),
  }),
  contexts: shape({ contexts: listOf(isNavigationContext), traces: listOf(isSessionContext) }),
  received: shape({ worker: isString, number: Number.isSafeInteger }),
  overlap: shape({ opened: Number.isSafeInteger, kept: isBoolean, closed: isBoolean, windows: orMissing(listOf(listOf(isNumber))) }),
  test: shape({ test: orNull(isTrace) }),
  exporter: shape({ exported: Number.isSafeInteger, kept: Number.isSafeInteger, dropped: Number.isSafeInteger, problem: orNull(isString) }),
  settings: shape({ file: orNull(isString), exists: isBoolean, settings: listOf(isSetting) }),
  error: shape({ code: isString, message: isString, about: orMissing(isString), number: orMissing(Number.isSafeInteger) }),
};

/**
 * Returns what is wrong with a message from the host, or null if nothing is.
 *
 * @param {unknown} value
 * @returns {string | null}
 */
function fault(value) {
  if (!isObject(value)) return 'a message is not an object';
  if (value.v !== VERSION) return `a message has version ${JSON.stringify(value.v)}: this extension speaks ${VERSION}`;
  if (typeof value.type !== 'string' || !Object.hasOwn(SHAPES, value.type)) {
    return `a message has an unknown type ${JSON.stringify(value.type)}`;
  }
  const isValid = SHAPES[/** @type {ToExtension['type']} */ (value.type)];
  return isValid(value) ? null : `a ${value.type} message has a field that is missing or of the wrong form`;
}

/**
 * Returns a message from the host, or why it cannot be used. Such a message causes no exception: browsing continues without it.
 *
 * @param {unknown} value
 * @returns {{ message: ToExtension, fault: null } | { message: null, fault: string }}
 */
export function read(value) {
  const wrong = fault(value);
  if (wrong !== null) return { message: null, fault: wrong };
  return { message: /** @type {ToExtension} */ (value), fault: null };
}
