/**
 * Builds the messages to the host and checks the ones that come from it. PROTOCOL.md is the reference.
 */

import { isFlags, isSpanId, isTraceId } from '../context/traceparent.js';

/** @typedef {import('../protocol.d.ts').ToHost} ToHost */
/** @typedef {import('../protocol.d.ts').ToExtension} ToExtension */
/** @typedef {Extract<ToExtension, { type: 'session' }>} SessionMessage */
/** @typedef {SessionMessage['session']} SessionContext */
/** @typedef {SessionMessage['contexts'][number]} NavigationContext */
/** @typedef {SessionMessage['propagation']} Propagation */
/** @typedef {Extract<ToHost, { type: 'observed' }>} Observed */
/** @typedef {Observed['observations'][number]} Observation */
/** @typedef {NonNullable<Extract<ToHost, { type: 'hello' }>['browser']>} Browser */
/** @typedef {{ ratio: number | null, targets: string[] | null }} Choice */
/** @typedef {SessionMessage['configured']} Configured */
/** @typedef {Extract<ToExtension, { type: 'exporter' }>} ExporterMessage */
/** @typedef {Extract<ToHost, { type: 'armed' }>['mode']} Mode */
/** @typedef {SessionMessage['mode']} WantedMode */
/**
 * @template {ToHost} [M=ToHost]
 * @typedef {{ v: number } & M} Frame
 */

/** The version of the protocol that this extension speaks. */
export const VERSION = 1;

/** The most contexts that one `replenish` may ask for. */
export const MAX_REPLENISH = 1000;

/**
 * @param {{ extension: string, offTheRecord: boolean, session: SessionContext | null, browser?: Browser }} self
 * @returns {Frame}
 */
export const hello = ({ extension, offTheRecord, session, browser }) => ({
  v: VERSION,
  type: 'hello',
  extension,
  offTheRecord,
  session,
  browser,
});

/**
 * @param {Mode} mode
 * @returns {Frame}
 */
export const armed = (mode) => ({ v: VERSION, type: 'armed', mode });

/**
 * @param {{ worker: string, number: number, dropped: number, session: SessionContext | null, observations: Observation[] }} batch `session`: null
 *   for the one in force
 * @returns {Frame}
 */
export const observed = ({ worker, number, dropped, session, observations }) => ({
  v: VERSION,
  type: 'observed',
  worker,
  number,
  dropped,
  ...(session === null ? {} : { session }),
  observations,
});

/**
 * @param {{ count: number, traces: number }} wanted
 * @returns {Frame}
 */
export const replenish = ({ count, traces }) => ({
  v: VERSION,
  type: 'replenish',
  count: Math.min(count, MAX_REPLENISH),
  traces: Math.min(traces, MAX_REPLENISH),
});

/**
 * @param {string} message
 * @returns {Frame}
 */
export const problem = (message) => ({ v: VERSION, type: 'problem', message });

/**
 * @param {Choice} choice null is as configured
 * @returns {Frame}
 */
export const choose = ({ ratio, targets }) => ({ v: VERSION, type: 'choose', ratio, targets });

/** @returns {Frame} */
export const askSettings = () => ({ v: VERSION, type: 'settings' });

/**
 * @param {Extract<ToHost, { type: 'store' }>['values']} values
 * @returns {Frame}
 */
export const store = (values) => ({ v: VERSION, type: 'store', values });

/** @param {unknown} value @returns {value is Record<string, unknown>} */
export const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** @param {unknown} value @returns {value is SessionContext} */
export const isSessionContext = (value) =>
  isObject(value) && isTraceId(value.traceId) && isSpanId(value.spanId) && isFlags(value.flags);

/** @param {unknown} value @returns {value is NavigationContext} */
export const isNavigationContext = (value) => isObject(value) && isSpanId(value.spanId) && isFlags(value.flags);

/** @param {unknown} value @returns {value is NavigationContext[]} */
const isStock = (value) => Array.isArray(value) && value.every(isNavigationContext);

/** @param {unknown} value @returns {value is SessionContext[]} */
const areTraces = (value) => Array.isArray(value) && value.every(isSessionContext);

/** @param {unknown} value @returns {value is string[]} */
export const areStrings = (value) => Array.isArray(value) && value.every((item) => typeof item === 'string');

/** What may be chosen for a session; null is as configured. @param {Record<string, unknown>} value @returns {value is Choice} */
export const isChoice = (value) =>
  (value.ratio === null || typeof value.ratio === 'number') && (value.targets === null || areStrings(value.targets));

/** @param {unknown} value @returns {value is Propagation} */
export const isPropagation = (value) =>
  isObject(value) &&
  areStrings(value.propagators) &&
  isObject(value.sampler) &&
  typeof value.sampler.ratio === 'number' &&
  typeof value.sampler.parentBased === 'boolean' &&
  (value.samplePer === 'trace' || value.samplePer === 'navigation') &&
  (value.scope === 'session' || value.scope === 'tab' || value.scope === 'navigation') &&
  typeof value.randomFlag === 'boolean' &&
  (value.existing === 'override' || value.existing === 'keep') &&
  typeof value.tracestate === 'string' &&
  typeof value.baggage === 'string' &&
  areStrings(value.targets) &&
  areStrings(value.exclude);

/** @param {unknown} value */
const isTextOrNull = (value) => value === null || typeof value === 'string';

/** @param {unknown} value */
const isConfigured = (value) =>
  isObject(value) &&
  isTextOrNull(value.link) &&
  isTextOrNull(value.endpoint) &&
  typeof value.ratio === 'number' &&
  typeof value.parentBased === 'boolean' &&
  areStrings(value.targets) &&
  areStrings(value.exclude);

/** @param {unknown} value @returns {value is number} */
const isCount = (value) => Number.isSafeInteger(value);

/** @param {unknown} value @returns {value is WantedMode} */
const isWantedMode = (value) => value === 'auto' || value === 'lightweight' || value === 'detailed';

/** What config.toml may say of a setting; null is nothing. @param {unknown} value @returns {value is string | boolean | string[] | null} */
export const isStored = (value) => isTextOrNull(value) || typeof value === 'boolean' || areStrings(value);

/** @param {unknown} value */
const isLasting = (value) =>
  isObject(value) &&
  ['key', 'name', 'meaning', 'default', 'source'].every((member) => typeof value[member] === 'string') &&
  ['text', 'list', 'switch', 'choice'].includes(String(value.kind)) &&
  areStrings(value.choices) &&
  isTextOrNull(value.value) &&
  typeof value.secret === 'boolean' &&
  isStored(value.stored);

/** @type {Record<ToExtension['type'], (value: Record<string, unknown>) => boolean>} */
const SHAPES = {
  session: (value) =>
    typeof value.host === 'string' &&
    isWantedMode(value.mode) &&
    isPropagation(value.propagation) &&
    isSessionContext(value.session) &&
    isStock(value.contexts) &&
    areTraces(value.traces) &&
    // An older host does not tell it.
    (value.configured === undefined || isConfigured(value.configured)),
  contexts: (value) => isStock(value.contexts) && areTraces(value.traces),
  received: (value) => typeof value.worker === 'string' && isCount(value.number),
  exporter: (value) => isCount(value.exported) && isCount(value.kept) && isCount(value.dropped) && isTextOrNull(value.problem),
  settings: (value) =>
    isTextOrNull(value.file) && typeof value.exists === 'boolean' && Array.isArray(value.settings) && value.settings.every(isLasting),
  error: (value) => typeof value.code === 'string' && typeof value.message === 'string',
};

/**
 * Tells what is wrong with a message from the host; null when it can be used.
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
  const fits = SHAPES[/** @type {ToExtension['type']} */ (value.type)];
  return fits(value) ? null : `a ${value.type} message has a field that is missing or of the wrong form`;
}

/**
 * Checks a message from the host. A message that can't be used is never an exception: browsing goes on without it.
 *
 * @param {unknown} value
 * @returns {{ message: ToExtension, fault: null } | { message: null, fault: string }}
 */
export function read(value) {
  const wrong = fault(value);
  if (wrong !== null) return { message: null, fault: wrong };
  return { message: /** @type {ToExtension} */ (value), fault: null };
}
