/**
 * Applies the host's settings: which headers carry contexts, to which addresses, and what is sampled.
 */

import { VENDORS, foreignFormats } from './foreign.js';
import { BAGGAGE } from './lists.js';
import { PROPAGATORS, isSampled, propagatorsOf } from './propagators.js';

/** @import { ForeignFormat } from './foreign.js' */
/** @import { Carried, Get, Propagator, Written } from './propagators.js' */
/** @typedef {chrome.webRequest.HttpHeader} HttpHeader */
/** @typedef {import('../protocol.d.ts').Propagation} PropagationSettings */
/**
 * What headers carry: all contexts, the one in the configured formats first, and the other formats that are there.
 *
 * @typedef {{ contexts: Carried[], others: { fields: readonly string[], context: Carried | null }[] }} Existing
 */

/**
 * The settings in use until a host has sent its own.
 *
 * @type {PropagationSettings}
 */
export const DEFAULT_PROPAGATION = {
  propagators: ['tracecontext', 'baggage'],
  sampler: { ratio: 1, parentBased: true },
  samplePer: 'trace',
  scope: 'session',
  randomFlag: false,
  existing: 'override',
  tracestate: '',
  baggage: '',
  targets: [],
  exclude: [],
  collector: [],
  domains: [],
  resources: [],
  otherResources: 'session',
  incognito: 'shared',
};

/** Length of the longest header that is read. */
const MAX_FIELD_LENGTH = Math.max(...Object.values({ ...PROPAGATORS, ...VENDORS }).flatMap(({ fields }) => fields.map((field) => field.length)));

const SAMPLED_FLAG = 0x01;
/** At least the last 7 bytes of the trace id are random. */
const RANDOM_FLAG = 0x02;

/** Random numbers drawn ahead, as for ids. */
const numbers = new Uint32Array(256);
let drawn = numbers.length;

/** @returns {number} a random number from 0 up to but not including 1, with all 53 bits */
function random() {
  if (drawn + 2 > numbers.length) {
    crypto.getRandomValues(numbers);
    drawn = 0;
  }
  const high = numbers[drawn] ?? 0;
  const low = numbers[drawn + 1] ?? 0;
  drawn += 2;
  return (high * 2 ** 21 + (low >>> 11)) / 2 ** 53;
}

/** Decides with fresh random numbers, since a trace id may not be random. @param {number} ratio from 0 (never) to 1 (always) */
export const draw = (ratio) => ratio >= 1 || (ratio > 0 && random() < ratio);

/** A regular expression that matches every address. */
const EVERY_ADDRESS = '^';

const MATCHES_NONE = /(?!)/;
const MATCHES_ALL = /(?:)/;

/** What the host writes for a `*` in the path of a pattern. */
const ANYTHING = '[^?#]*';

/**
 * Rewrites an expression so that JavaScript matches it in linear time, as the browser's rules do: with several `*`, it would try every way to
 * share the path out among them. Here each of them ends where the text after it first stands, for good: nothing goes back into a lookahead.
 *
 * @param {string} source
 */
function linear(source) {
  const [start = '', ...texts] = source.split(ANYTHING);
  const last = texts.pop();
  if (last === undefined) return source;
  return `${start}${texts.map((text, n) => `(?=(${ANYTHING}?${text}))\\${n + 1}`).join('')}${ANYTHING}${last}`;
}

/** Compiles regular expressions. @param {string[]} sources @param {RegExp} fallback used in place of an invalid one */
function compiled(sources, fallback) {
  return sources.map((source) => {
    try {
      return new RegExp(linear(source));
    } catch (error) {
      console.error(`navtrace: the pattern ${JSON.stringify(source)} can't be used`, error);
      return fallback;
    }
  });
}

/** @param {string} url */
function withoutQuery(url) {
  const end = url.search(/[?#]/);
  return end === -1 ? url : url.slice(0, end);
}

/** An IP address, which has no subdomains. */
const IP_ADDRESS = /^[\d.]+$/;

/** Filter for all requests. A blocking listener with it delays each of them. */
export const EVERYTHING = { urls: ['<all_urls>'] };

/** @param {PropagationSettings} settings @returns {chrome.webRequest.RequestFilter} */
function filterOf({ domains, resources }) {
  const hosts = domains.map((domain) => (IP_ADDRESS.test(domain) ? domain : `*.${domain}`));
  const urls = hosts.flatMap((host) => ['http', 'https', 'ws', 'wss'].map((scheme) => `${scheme}://${host}/*`));
  return {
    urls: urls.length === 0 ? EVERYTHING.urls : urls,
    ...(resources.length === 0 ? {} : { types: /** @type {`${chrome.webRequest.ResourceType}`[]} */ (resources) }),
  };
}

/** One state of the settings. */
export class Propagation {
  /** @type {Propagator[]} */
  #configured;
  /** @type {ForeignFormat[]} */
  #foreign;
  /** @type {Set<string>} every header that is read */
  #read;
  #readsBaggage;
  #targets;
  #excluded;

  /**
   * @param {PropagationSettings} [settings] @param {object} [state]
   * @param {boolean} [state.paused] whether no request gets headers for now
   * @param {boolean} [state.listens] whether a listener matches the patterns, for which the limits of rules do not matter
   * @param {string[]} [state.refused] regular expressions that the browser refuses in rules
   */
  constructor(settings = DEFAULT_PROPAGATION, { paused = false, listens = false, refused = [] } = {}) {
    /** As the host sent them. */
    this.settings = settings;
    this.paused = paused;
    this.listens = listens;
    this.refused = refused;
    this.#configured = propagatorsOf(settings.propagators);
    /** The headers of the configured propagators, in lower case. */
    this.fields = new Set(this.#configured.flatMap(({ fields }) => fields));
    this.#readsBaggage = this.#configured.includes(PROPAGATORS.baggage);
    /** Those of them that name a span. */
    this.spanFields = new Set([...this.fields].filter((field) => field !== BAGGAGE));
    this.#foreign = foreignFormats(this.#configured);
    const foreignFields = this.#foreign.flatMap(({ fields }) => fields);
    // Sentry has a part of its context in there.
    const baggage = foreignFields.length === 0 ? [] : [BAGGAGE];
    this.#read = new Set([...this.fields, ...foreignFields, ...baggage]);
    /** The headers of other formats that rules remove, since they can't read them. */
    this.removedFields = settings.existing === 'keep' ? [] : foreignFields;
    /** Regular expressions for the addresses to which rules add headers; every address when empty. */
    this.targets = settings.targets.filter((target) => !refused.includes(target));
    /** Whether the session's baggage goes only to hosts that clients navigate to. */
    this.limitsBaggage = this.#readsBaggage && settings.baggage !== '' && settings.targets.length === 0;
    const noneLeft = this.targets.length === 0 && settings.targets.length > 0;
    // An exclusion that cannot be used must not lead to headers, so then everything is excluded.
    const nothing = paused || noneLeft || settings.exclude.some((exclude) => refused.includes(exclude));
    /** Regular expressions for the addresses among them that get none. */
    this.exclude = nothing ? [EVERY_ADDRESS] : settings.exclude;
    // An invalid one gives no headers either.
    this.#targets = compiled(listens ? settings.targets : this.targets, MATCHES_NONE);
    this.#excluded = compiled(listens && !paused ? settings.exclude : this.exclude, MATCHES_ALL);
    /** Addresses of the collector, without a query. */
    this.collector = new Set(settings.collector);
    /** The browser's filter for requests that have a span of their own. It compares host and kind alone, so it selects some others too. */
    this.filter = filterOf(settings);
  }

  /**
   * Makes the flags of a span above navigations. Where each navigation has its own decision, it is sampled whenever one of them may be.
   *
   * @param {string} decided
   * @returns {string} 2 hex digits
   */
  flagsAbove(decided) {
    const { samplePer, sampler } = this.settings;
    return samplePer === 'navigation' && sampler.ratio > 0 ? this.flags(true, decided) : decided;
  }

  /**
   * Writes a context as headers.
   *
   * @param {Partial<Carried>} context
   * @param {readonly string[]} [propagators] names; the configured ones by default
   */
  inject(context, propagators) {
    /** @type {Written[]} */
    const written = [];
    const chosen = propagators === undefined ? this.#configured : propagatorsOf(propagators);
    for (const propagator of chosen) propagator.inject(context, written);
    return written;
  }

  /** Reads the context of headers; null when they name no span. Ignores invalid headers. @param {HttpHeader[] | undefined} headers */
  extract(headers) {
    const get = this.#getter(headers);
    return get === null ? null : this.#extract(get);
  }

  /** Reads the contexts of headers in every format; null when no header can have one. @param {HttpHeader[] | undefined} headers @returns {Existing | null} */
  read(headers) {
    const get = this.#getter(headers);
    if (get === null) return null;
    const there = this.#foreign.filter(({ fields }) => fields.some((field) => get(field) !== undefined));
    const others = there.map(({ fields, read }) => ({ fields, context: read(get) }));
    const contexts = [this.#extract(get), ...others.map(({ context }) => context)].filter((context) => context !== null);
    return { contexts, others };
  }

  /** @param {Get} get */
  #extract(get) {
    /** @type {Partial<Carried>} */
    const context = {};
    // A later propagator wins, as with OpenTelemetry's composite.
    for (const propagator of this.#configured) Object.assign(context, propagator.extract(get).context);
    const { traceId, spanId, flags, tracestate = '', baggage = '' } = context;
    if (traceId === undefined || spanId === undefined || flags === undefined) return null;
    return { traceId, spanId, flags, tracestate, baggage };
  }

  /** Reads a context in any format, since a script may have chosen another one. @param {HttpHeader[] | undefined} headers */
  extractAny(headers) {
    return this.extract(headers) ?? ANY.extract(headers);
  }

  /** Reads the valid part of the baggage; empty where baggage is not configured. @param {HttpHeader[] | undefined} headers */
  baggageOf(headers) {
    const get = this.#readsBaggage ? this.#getter(headers) : null;
    return get === null ? '' : (PROPAGATORS.baggage.extract(get).context.baggage ?? '');
  }

  /** Returns whether requests for an address get headers. @param {string} url */
  isTarget(url) {
    const targets = this.#targets;
    if (targets.length > 0 && !targets.some((target) => target.test(url))) return false;
    if (this.#excluded.length > 0 && this.#excluded.some((exclude) => exclude.test(url))) return false;
    return this.collector.size === 0 || !this.collector.has(withoutQuery(url));
  }

  /** Decides whether a trace or a part of one is sampled. @param {string | null} parentFlags flags of the parent, if any */
  decide(parentFlags) {
    const { ratio, parentBased } = this.settings.sampler;
    return parentBased && parentFlags !== null ? isSampled(parentFlags) : draw(ratio);
  }

  /**
   * Makes the flags of a trace or a part of one.
   *
   * @param {boolean} sampled @param {string | null} parentFlags
   * @returns {string} 2 hex digits
   */
  flags(sampled, parentFlags) {
    const isRandom = parentFlags === null || (parseInt(parentFlags, 16) & RANDOM_FLAG) !== 0;
    return `0${(sampled ? SAMPLED_FLAG : 0) | (this.settings.randomFlag && isRandom ? RANDOM_FLAG : 0)}`;
  }

  /**
   * Gathers the headers that are read, in one pass; null when there are none.
   *
   * @param {HttpHeader[] | undefined} headers @returns {Get | null}
   */
  #getter(headers) {
    /** @type {Map<string, string> | undefined} */
    let values;
    for (const { name, value } of headers ?? []) {
      if (name.length > MAX_FIELD_LENGTH) continue;
      const lower = name.toLowerCase();
      if (!this.#read.has(lower)) continue;
      values ??= new Map();
      const before = values.get(lower);
      // A header that is not UTF-8 has no `value`. It has no valid context, but it is there.
      values.set(lower, before === undefined ? (value ?? '') : `${before},${value ?? ''}`);
    }
    const gathered = values;
    return gathered === undefined ? null : (name) => gathered.get(name);
  }
}

const ANY = new Propagation({ ...DEFAULT_PROPAGATION, propagators: ['tracecontext', 'b3', 'b3multi', 'jaeger'] });
