/**
 * Finds the patterns of targets and exclusions that rules of the browser cannot match. Only the browser knows its limits.
 */

import { attempt } from '../attempt.js';

/** @typedef {{ targets: string[], exclude: string[] }} Patterns */

/** Asks the browser which regular expressions its rules refuse. @param {Patterns} regexes */
export async function refusedRegexes({ targets, exclude }) {
  const regexes = [...targets, ...exclude];
  const answers = await Promise.all(
    regexes.map((regex) =>
      attempt('isRegexSupported', async () => chrome.declarativeNetRequest.isRegexSupported({ regex, isCaseSensitive: true }), null),
    ),
  );
  return regexes.filter((_, n) => answers[n]?.isSupported === false);
}

/** A pattern from which the host makes two regular expressions: both schemes, with a port that is the default of one. */
const TWO_REGEXES = /^\*:\/\/[^/]*:0*(80|443)\//;

/**
 * Finds the pattern of a regular expression, or returns the expression.
 *
 * @param {string} regex @param {string[]} regexes @param {string[]} patterns
 */
function patternOf(regex, regexes, patterns) {
  const sources = patterns.flatMap((pattern) => (TWO_REGEXES.test(pattern) ? [pattern, pattern] : [pattern]));
  return (sources.length === regexes.length && sources[regexes.indexOf(regex)]) || regex;
}

/** Longest part of a pattern that a message repeats. */
const MAX_PATTERN_LENGTH = 100;

/** @param {string} pattern */
const shortened = (pattern) => (pattern.length > MAX_PATTERN_LENGTH ? `${pattern.slice(0, MAX_PATTERN_LENGTH - 3)}...` : pattern);

/**
 * Returns a sentence for the user for each refused pattern.
 *
 * @param {Patterns & { listens?: boolean }} regexes in detailed mode (`listens`) they matter only to requests without a span of their own
 * @param {string[]} refused @param {Patterns} patterns
 */
export function refusalsOf({ targets, exclude, listens = false }, refused, patterns) {
  /** @param {string[]} regexes @param {string[]} sources @param {string} kind @param {string} effect */
  const sentences = (regexes, sources, kind, effect) => {
    const found = regexes.filter((regex) => refused.includes(regex)).map((regex) => shortened(patternOf(regex, regexes, sources)));
    const reason = `is too long or complex for a rule of the browser, so ${effect}: shorten it, or use detailed mode with NAVTRACE_RESOURCES=all`;
    return [...new Set(found)].map((pattern) => `the ${kind} "${pattern}" ${reason}`);
  };
  return [
    ...sentences(targets, patterns.targets, 'target', listens ? 'only requests with spans get headers there' : 'it gets no headers'),
    ...sentences(exclude, patterns.exclude, 'exclusion', listens ? 'only requests with spans get headers' : 'nothing gets headers'),
  ];
}
