/**
 * Finds the patterns of targets and exclusions that rules of the browser cannot match. Only the browser knows its limits.
 */

import { attempt } from '../attempt.js';

/** @typedef {{ targets: string[], exclude: string[] }} Patterns */

/**
 * Asks the browser which regular expressions its rules refuse.
 *
 * @param {Patterns} regexes
 * @returns {Promise<string[]>}
 */
export async function refusedRegexes({ targets, exclude }) {
  const regexes = [...targets, ...exclude];
  const answers = await Promise.all(
    regexes.map((regex) =>
      attempt('isRegexSupported', async () => chrome.declarativeNetRequest.isRegexSupported({ regex, isCaseSensitive: true }), null),
    ),
  );
  return regexes.filter((_, n) => answers[n]?.isSupported === false);
}

/** A pattern of both schemes with the port that one of them leaves out: the host makes two regular expressions of it. */
const TWO_REGEXES = /^\*:\/\/[^/]*:0*(80|443)\//;

/**
 * Finds the pattern that a regular expression comes from; the expression itself when the patterns are not known.
 *
 * @param {string} regex
 * @param {string[]} regexes
 * @param {string[]} patterns
 */
function patternOf(regex, regexes, patterns) {
  const sources = patterns.flatMap((pattern) => (TWO_REGEXES.test(pattern) ? [pattern, pattern] : [pattern]));
  return (sources.length === regexes.length && sources[regexes.indexOf(regex)]) || regex;
}

const REASON = 'is too long or complex for a rule of the browser';
const ADVICE = 'shorten it, or use detailed mode';

/**
 * Tells the user of refused patterns, in one sentence each.
 *
 * @param {Patterns} regexes
 * @param {string[]} refused
 * @param {Patterns} patterns
 * @returns {string[]}
 */
export function refusalsOf({ targets, exclude }, refused, patterns) {
  /** @param {string[]} regexes @param {string[]} sources @param {(pattern: string) => string} sentence */
  const sentences = (regexes, sources, sentence) => {
    const found = regexes.filter((regex) => refused.includes(regex)).map((regex) => patternOf(regex, regexes, sources));
    return [...new Set(found)].map(sentence);
  };
  return [
    ...sentences(targets, patterns.targets, (pattern) => `the target "${pattern}" ${REASON}, so it gets no headers: ${ADVICE}`),
    ...sentences(exclude, patterns.exclude, (pattern) => `the excluded "${pattern}" ${REASON}, so nothing gets headers: ${ADVICE}`),
  ];
}
