/**
 * Builds the messages to the host and checks those from it. PROTOCOL.md is the reference.
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
/** @typedef {{ brands?: { brand: string, version: string }[], platform?: string, mobile?: boolean }} UserAgentData */
/** @typedef {{ ratio: number | null, targets: string[] | null }} Choice what the user chose for this session; null: as configured */
/** @typedef {SessionMessage['configured']} Configured */
/** @typedef {Extract<ToExtension, { type: 'exporter' }>} ExporterMessage */
/** @typedef {Extract<ToHost, { type: 'armed' }>['mode']} Mode */
/** @typedef {SessionMessage['mode']} WantedMode */
/** @typedef {{ v: number } & ToHost} Frame */

/** Version of the protocol. */
export const VERSION = 1;

/** Limit of the host for each count of a `replenish`. */
const MAX_REPLENISH = 1000;

/** The brand that browsers invent so that nobody relies on the list, such as `Not?A_Brand`. */
const INVENTED_BRAND = /not.?a.?brand/i;

/**
 * Describes the browser as it describes itself.
 *
 * @returns {Browser}
 */
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
 * @param {{ worker: string, number: number, dropped: number, session: SessionContext | null, observations: Observation[] }} batch
 *   `session` is null for the current one
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
 * @param {Choice} choice
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

/** @param {unknown} value */
const areContexts = (value) => Array.isArray(value) && value.every(isNavigationContext);

/** @param {unknown} value */
const areTraces = (value) => Array.isArray(value) && value.every(isSessionContext);

/** @param {unknown} value @returns {value is string[]} */
const areStrings = (value) => Array.isArray(value) && value.every((item) => typeof item === 'string');

/** @param {Record<string, unknown>} value @returns {value is Choice} */
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

/** @param {unknown} value */
const isInteger = (value) => Number.isSafeInteger(value);

/** @param {unknown} value */
const isWantedMode = (value) => value === 'auto' || value === 'lightweight' || value === 'detailed';

/** @param {unknown} value @returns {value is string | boolean | string[] | null} a value of config.toml, or null for none */
export const isStored = (value) => isTextOrNull(value) || typeof value === 'boolean' || areStrings(value);

/** @param {unknown} value */
const isSetting = (value) =>
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
    areContexts(value.contexts) &&
    areTraces(value.traces) &&
    // Older hosts do not send it.
    (value.configured === undefined || isConfigured(value.configured)),
  contexts: (value) => areContexts(value.contexts) && areTraces(value.traces),
  received: (value) => typeof value.worker === 'string' && isInteger(value.number),
  exporter: (value) => isInteger(value.exported) && isInteger(value.kept) && isInteger(value.dropped) && isTextOrNull(value.problem),
  settings: (value) =>
    isTextOrNull(value.file) && typeof value.exists === 'boolean' && Array.isArray(value.settings) && value.settings.every(isSetting),
  error: (value) => typeof value.code === 'string' && typeof value.message === 'string',
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
  const fits = SHAPES[/** @type {ToExtension['type']} */ (value.type)];
  return fits(value) ? null : `a ${value.type} message has a field that is missing or of the wrong form`;
}

/**
 * Checks a message from the host. An unusable message causes no exception: browsing continues without it.
 *
 * @param {unknown} value
 * @returns {{ message: ToExtension, fault: null } | { message: null, fault: string }}
 */
export function read(value) {
  const wrong = fault(value);
  if (wrong !== null) return { message: null, fault: wrong };
  return { message: /** @type {ToExtension} */ (value), fault: null };
}
