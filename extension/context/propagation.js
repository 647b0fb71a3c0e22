/**
 * How contexts are made and carried, as the user chose it: the host's settings at work.
 */

import { BAGGAGE } from './lists.js';
import { PROPAGATORS, isSampled, propagatorsOf } from './propagators.js';

/** @import { Carried, Get, Propagator, Written } from './propagators.js' */
/** @import { SessionMessage } from '../channel/messages.js' */
/** @typedef {chrome.webRequest.HttpHeader} HttpHeader */
/** @typedef {SessionMessage['propagation']} PropagationSettings */

/**
 * What holds while no host has said anything else.
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
};

const SAMPLED_FLAG = 0x01;
/** At least the last 7 bytes of the trace id are random. */
const RANDOM_FLAG = 0x02;

/** Random numbers ahead of time, as for ids. */
const numbers = new Uint32Array(256);
let drawn = numbers.length;

/** @returns {number} a random number from 0 up to, but not, 1, with all the bits that a number has */
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

/**
 * Decides by fresh randomness, since the bits of a trace id may be anything but random.
 *
 * @param {number} ratio how often it is true: 0 never, 1 always
 * @returns {boolean}
 */
export const draw = (ratio) => ratio >= 1 || (ratio > 0 && random() < ratio);

const MATCHES_NONE = /(?!)/;
const MATCHES_ALL = /(?:)/;

/**
 * Compiles regular expressions.
 *
 * @param {string[]} sources
 * @param {RegExp} fallback stands for one that can't be
 * @returns {RegExp[]}
 */
function compiled(sources, fallback) {
  return sources.map((source) => {
    try {
      return new RegExp(source);
    } catch (error) {
      console.error(`navtrace: the pattern ${JSON.stringify(source)} can't be used`, error);
      return fallback;
    }
  });
}

/** The settings in force. */
export class Propagation {
  /** @type {Propagator[]} */
  #configured;
  #readsBaggage;
  #targets;
  #exclude;

  /**
   * @param {PropagationSettings} [settings]
   * @param {boolean} [paused] whether nobody gets headers for now
   */
  constructor(settings = DEFAULT_PROPAGATION, paused = false) {
    this.paused = paused;
    /** What was said, as it came. */
    this.settings = settings;
    this.#configured = propagatorsOf(settings.propagators);
    /** The headers of the configured propagators, by their lower-case names. */
    this.fields = new Set(this.#configured.flatMap(({ fields }) => fields));
    this.#readsBaggage = this.#configured.includes(PROPAGATORS.baggage);
    /** Those of them that name a span. */
    this.spanFields = new Set([...this.fields].filter((field) => field !== BAGGAGE));
    // On the safe side: headers go to nobody for whom they may not be meant.
    this.#targets = compiled(settings.targets, MATCHES_NONE);
    this.#exclude = compiled(settings.exclude, MATCHES_ALL);
  }

  /**
   * Makes the flags of what is above navigations: what is decided for single ones of these is no decision for it, and no parent may be missing.
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
   * @param {readonly string[]} [propagators] names, when not the configured ones
   * @returns {Written[]}
   */
  inject(context, propagators) {
    /** @type {Written[]} */
    const written = [];
    const chosen = propagators === undefined ? this.#configured : propagatorsOf(propagators);
    for (const propagator of chosen) propagator.inject(context, written);
    return written;
  }

  /**
   * Reads the context that headers carry; null when they name no span. Headers that can't be used count as not there.
   *
   * @param {HttpHeader[] | undefined} headers
   * @returns {Carried | null}
   */
  extract(headers) {
    const get = this.#getter(headers);
    if (get === null) return null;
    /** @type {Partial<Carried>} */
    const context = {};
    // A later one that finds something wins, as with OpenTelemetry's composite.
    for (const propagator of this.#configured) Object.assign(context, propagator.extract(get).context);
    const { traceId, spanId, flags, tracestate = '', baggage = '' } = context;
    if (traceId === undefined || spanId === undefined || flags === undefined) return null;
    return { traceId, spanId, flags, tracestate, baggage };
  }

  /**
   * Reads the context that headers carry in any format: what single pages are steered to may not be configured.
   *
   * @param {HttpHeader[] | undefined} headers
   * @returns {Carried | null}
   */
  extractAny(headers) {
    return this.extract(headers) ?? ANY.extract(headers);
  }

  /**
   * Reads the baggage that headers carry: what is valid of it, where baggage is carried at all.
   *
   * @param {HttpHeader[] | undefined} headers
   * @returns {string}
   */
  baggageOf(headers) {
    const get = this.#readsBaggage ? this.#getter(headers) : null;
    return get === null ? '' : (PROPAGATORS.baggage.extract(get).context.baggage ?? '');
  }

  /**
   * Tells whether requests for an address get headers.
   *
   * @param {string} url
   * @returns {boolean}
   */
  isTarget(url) {
    if (this.paused) return false;
    const targets = this.#targets;
    if (targets.length > 0 && !targets.some((target) => target.test(url))) return false;
    return this.#exclude.length === 0 || !this.#exclude.some((exclude) => exclude.test(url));
  }

  /**
   * Decides whether a trace, or a part of one, is sampled.
   *
   * @param {string | null} parentFlags what the context that is continued says, if one is
   * @returns {boolean}
   */
  decide(parentFlags) {
    const { ratio, parentBased } = this.settings.sampler;
    return parentBased && parentFlags !== null ? isSampled(parentFlags) : draw(ratio);
  }

  /**
   * Makes the flags of a trace, or a part of one, that begins here or continues a parent.
   *
   * @param {boolean} sampled
   * @param {string | null} parentFlags
   * @returns {string} 2 hex digits
   */
  flags(sampled, parentFlags) {
    const isRandom = parentFlags === null || (parseInt(parentFlags, 16) & RANDOM_FLAG) !== 0;
    return `0${(sampled ? SAMPLED_FLAG : 0) | (this.settings.randomFlag && isRandom ? RANDOM_FLAG : 0)}`;
  }

  /**
   * Gathers the headers that are read, in one pass; null when there is none, as with nearly every request.
   *
   * @param {HttpHeader[] | undefined} headers
   * @returns {Get | null}
   */
  #getter(headers) {
    /** @type {Map<string, string> | undefined} */
    let values;
    for (const { name, value } of headers ?? []) {
      const lower = name.toLowerCase();
      // What is not UTF-8 has no `value`, and is of no format.
      if (value === undefined || !this.fields.has(lower)) continue;
      values ??= new Map();
      const before = values.get(lower);
      values.set(lower, before === undefined ? value : `${before},${value}`);
    }
    const gathered = values;
    return gathered === undefined ? null : (name) => gathered.get(name);
  }
}

const ANY = new Propagation({ ...DEFAULT_PROPAGATION, propagators: ['tracecontext', 'b3', 'b3multi', 'jaeger'] });
