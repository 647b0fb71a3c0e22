/**
 * The control header, with which a script steers what its own requests carry: `navtrace: off`, or
 * `navtrace: propagator=b3,jaeger; sampling=0.1; new-trace`.
 */

import { PROPAGATORS } from './propagators.js';

/**
 * What the header asks for: no headers at all, other propagators, how often a trace is sampled, a trace of its own.
 *
 * @typedef {{ off: boolean, propagators: string[] | null, sampling: number | null, newTrace: boolean }} Steering
 */

/** The header, by its lower-case name. */
export const CONTROL_HEADER = 'navtrace';

/**
 * Nothing is asked for.
 *
 * @type {Readonly<Steering>}
 */
export const DEFAULT_STEERING = Object.freeze({ off: false, propagators: null, sampling: null, newTrace: false });

/**
 * Tells whether something is asked for.
 *
 * @param {Readonly<Steering>} steering
 * @returns {boolean}
 */
export const steers = ({ off, propagators, sampling, newTrace }) => off || propagators !== null || sampling !== null || newTrace;

const PROPAGATOR_NAMES = Object.keys(PROPAGATORS);

/** What k6 calls a propagator. */
const ALIASES = new Map([['w3c', 'tracecontext']]);

/** Without an exponent, and with digits on one side of the point at least. */
const DECIMAL = /^(?:\d+(?:\.\d*)?|\.\d+)$/;

/** The most characters of a header that its fault repeats. */
const LONGEST_QUOTE = 60;

/** @param {string} text */
function quoted(text) {
  // It goes to a log: nothing in it may look like a line of that.
  const safe = text.replace(/[^ -~]/gu, '?');
  return `"${safe.length > LONGEST_QUOTE ? `${safe.slice(0, LONGEST_QUOTE - 3)}...` : safe}"`;
}

/** @param {string[]} names */
const listed = (names) => `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;

/**
 * Counts the characters to insert, delete or replace between two words (Levenshtein).
 *
 * @param {string} a
 * @param {string} b
 * @returns {number}
 */
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

/**
 * Names the known word that an unknown one is most like, if it is like any.
 *
 * @param {string} word
 * @param {string[]} known
 * @returns {string}
 */
function suggestion(word, known) {
  let nearest = '';
  let least = Infinity;
  for (const name of known) {
    // A third of it may be wrong. That also keeps long words from being compared.
    const most = Math.max(1, Math.floor(name.length / 3));
    const apart = Math.abs(word.length - name.length) > most ? Infinity : distance(word, name);
    if (apart > most || apart >= least) continue;
    nearest = name;
    least = apart;
  }
  return nearest === '' ? '' : ` (did you mean "${nearest}"?)`;
}

/**
 * Reads the names of propagators. Gives the reason when one is not known, or there is none.
 *
 * @param {string} text
 * @returns {string[] | string}
 */
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
  return names.size === 0 ? `"propagator" names none; there are ${listed(PROPAGATOR_NAMES)}` : [...names];
}

/**
 * Reads how often a trace is sampled. Gives the reason when it can't be.
 *
 * @param {string} text
 * @returns {number | string}
 */
function readRatio(text) {
  const ratio = DECIMAL.test(text) ? Number(text) : Infinity;
  return ratio <= 1 ? ratio : `${quoted(text)} is not a number from 0 to 1, as in "sampling=0.1"`;
}

/**
 * The directives there are: each one's value as an example shows it, null when it takes none, and what it asks for, or the reason when that
 * can't be read.
 *
 * @type {Record<string, { example: string | null, read: (argument: string) => Partial<Steering> | string }>}
 */
const DIRECTIVES = {
  off: { example: null, read: () => ({ off: true }) },
  on: { example: null, read: () => ({ off: false }) },
  propagator: {
    example: 'b3,jaeger',
    read: (argument) => {
      const propagators = readPropagators(argument);
      return typeof propagators === 'string' ? propagators : { propagators };
    },
  },
  sampling: {
    example: '0.1',
    read: (argument) => {
      const sampling = readRatio(argument);
      return typeof sampling === 'string' ? sampling : { sampling };
    },
  },
  'new-trace': { example: null, read: () => ({ newTrace: true }) },
};
const NAMES = Object.keys(DIRECTIVES);

/**
 * Reads one directive. Gives the reason when it can't be.
 *
 * @param {string} text
 * @param {Set<string>} seen the names of the ones before it
 * @returns {Partial<Steering> | string}
 */
function readDirective(text, seen) {
  const at = text.indexOf('=');
  const word = at === -1 ? text : text.slice(0, at).trimEnd();
  const name = word.toLowerCase();
  const directive = Object.hasOwn(DIRECTIVES, name) ? DIRECTIVES[name] : undefined;
  if (directive === undefined) return `${quoted(word)} is not known${suggestion(name, NAMES)}; there are ${listed(NAMES)}`;
  if (seen.has(name)) return `${quoted(word)} is there twice`;
  seen.add(name);
  if (seen.has('off') && seen.has('on')) return '"off" and "on" exclude each other';
  const { example, read } = directive;
  if (example === null && at !== -1) return `${quoted(text)} has a value, and "${name}" takes none`;
  if (example !== null && at === -1) return `${quoted(word)} has no value, as in "${name}=${example}"`;
  return read(text.slice(at + 1).trim());
}

/**
 * Reads the header. One that has anything wrong with it is ignored as a whole: half of what was meant may be the opposite of it.
 *
 * @param {string} value
 * @returns {{ steering: Steering, fault: null } | { steering: null, fault: string }}
 */
export function parseControl(value) {
  /** @param {string} reason @returns {{ steering: null, fault: string }} */
  const ignored = (reason) => ({ steering: null, fault: `the ${CONTROL_HEADER} header is ignored: ${reason}` });
  /** @type {Steering} */
  const steering = { ...DEFAULT_STEERING };
  /** @type {Set<string>} */
  const seen = new Set();
  for (const part of value.split(';')) {
    const text = part.trim();
    if (text === '') continue;
    const read = readDirective(text, seen);
    if (typeof read === 'string') return ignored(read);
    Object.assign(steering, read);
  }
  return seen.size === 0 ? ignored(`it is empty; there are ${listed(NAMES)}`) : { steering, fault: null };
}
