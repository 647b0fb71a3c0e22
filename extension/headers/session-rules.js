/**
 * Replaces the browser's session rules. An update makes the renderers drop their memory cache, so one without a change is not sent.
 */

import { attempt } from '../attempt.js';

/** @import { Rule } from './rules.js' */

/** Writes a value with its keys in order, since the browser returns rules with their keys in another order. @param {unknown} value */
const canonical = (value) =>
  JSON.stringify(value, (_, part) =>
    part === null || typeof part !== 'object' || Array.isArray(part)
      ? part
      : Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))),
  );

/** @param {Rule[]} rules */
const byId = (rules) => new Map(rules.map((rule) => [rule.id, canonical(rule)]));

/** The rules in force. */
export class SessionRules {
  /** @type {Map<number, string> | null} the rules that the updates sent so far lead to; null when unknown */
  #expected = null;
  /** @type {Set<number>} every id that may be in force */
  #ids = new Set();
  /** @type {Rule[]} */
  #wanted = [];
  /** @type {Set<Promise<void>>} updates without an answer */
  #pending = new Set();
  #latest = Promise.resolve(true);
  /** @type {Promise<boolean> | null} */
  #recovery = null;

  /** Reads the rules in force. @returns {Promise<Rule[]>} empty when they cannot be read */
  async read() {
    const rules = await attempt('reading the rules', async () => chrome.declarativeNetRequest.getSessionRules(), null);
    for (const { id } of rules ?? []) this.#ids.add(id);
    if (rules !== null) this.#expected = byId(rules);
    return rules ?? [];
  }

  /**
   * Replaces all rules. Does not wait for an earlier update, since a tab's first requests race against its update and the browser keeps the
   * order of updates.
   *
   * @param {Rule[]} rules
   * @returns {Promise<boolean>} whether these rules, or later ones, are in force
   */
  replace(rules) {
    this.#wanted = rules;
    for (const { id } of rules) this.#ids.add(id);
    const expected = this.#expected;
    if (this.#recovery !== null || expected === null) return this.#recover();
    const wanted = byId(rules);
    const removeRuleIds = [...expected.keys()].filter((id) => wanted.get(id) !== expected.get(id));
    const addRules = rules.filter(({ id }) => wanted.get(id) !== expected.get(id));
    if (removeRuleIds.length > 0 || addRules.length > 0) {
      this.#expected = wanted;
      this.#latest = this.#send({ removeRuleIds, addRules });
    }
    return this.#latest;
  }

  /** @param {chrome.declarativeNetRequest.UpdateRuleOptions} update */
  async #send(update) {
    try {
      await this.#update(update);
      return true;
    } catch (error) {
      console.error('navtrace: the browser refused a rule update', error);
      return this.#recover();
    }
  }

  /** @param {chrome.declarativeNetRequest.UpdateRuleOptions} update */
  async #update(update) {
    const answer = chrome.declarativeNetRequest.updateSessionRules(update);
    this.#pending.add(answer);
    try {
      await answer;
    } finally {
      this.#pending.delete(answer);
    }
  }

  /** Starts over: an update with one refused rule fails as a whole, and later updates were made to follow it. */
  #recover() {
    this.#recovery ??= this.#startOver().finally(() => {
      this.#recovery = null;
    });
    return this.#recovery;
  }

  /** Replaces everything that may be in force, again if other rules are wanted meanwhile. */
  async #startOver() {
    await Promise.allSettled(this.#pending);
    await this.read();
    for (;;) {
      const wanted = this.#wanted;
      this.#expected = null;
      try {
        // An id that is not in force does no harm, while one that is left makes the browser refuse the new rule.
        await this.#update({ removeRuleIds: [...this.#ids], addRules: wanted });
        this.#expected = byId(wanted);
        this.#latest = Promise.resolve(true);
      } catch (error) {
        console.error('navtrace: the browser refused the rules altogether', error);
      }
      if (wanted === this.#wanted) return this.#expected !== null;
    }
  }
}
