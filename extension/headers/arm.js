/**
 * Puts session rules in force. Every update makes the renderers drop their memory cache, so it makes none that changes nothing.
 */

import { attempt } from '../attempt.js';

/** @import { Rule } from './rules.js' */

/**
 * Writes a value with its keys in order: the browser hands rules back with keys ordered otherwise.
 *
 * @param {unknown} value
 * @returns {string}
 */
const canonical = (value) =>
  JSON.stringify(value, (_, part) =>
    part === null || typeof part !== 'object' || Array.isArray(part)
      ? part
      : Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))),
  );

/** @param {Rule[]} rules @returns {Map<number, string>} */
const byId = (rules) => new Map(rules.map((rule) => [rule.id, canonical(rule)]));

/** The rules in force, and the one way to change them. */
export class Arm {
  /** @type {Map<number, string> | null} what the updates sent so far lead to; null when that is not known */
  #armed = null;
  /** @type {Set<number>} every id that may be in force */
  #ids = new Set();
  /** @type {Rule[]} */
  #wished = [];
  /** @type {Set<Promise<void>>} updates without an answer */
  #underWay = new Set();
  #latest = Promise.resolve(true);
  /** @type {Promise<boolean> | null} */
  #recovery = null;

  /**
   * Reads the rules in force.
   *
   * @returns {Promise<Rule[]>} none when they can't be read
   */
  async inForce() {
    const rules = await this.#read();
    if (rules !== null) this.#armed = byId(rules);
    return rules ?? [];
  }

  /** @returns {Promise<Rule[] | null>} */
  async #read() {
    const rules = await attempt('reading the rules', async () => chrome.declarativeNetRequest.getSessionRules(), null);
    for (const { id } of rules ?? []) this.#ids.add(id);
    return rules;
  }

  /**
   * Puts rules in force. It does not wait for an update that is under way, since the browser takes them in their order and a tab's first
   * requests race against its update.
   *
   * @param {Rule[]} rules
   * @returns {Promise<boolean>} whether they, or ones wished for after them, are in force
   */
  wish(rules) {
    this.#wished = rules;
    for (const { id } of rules) this.#ids.add(id);
    if (this.#recovery !== null || this.#armed === null) return this.#recover();
    const armed = this.#armed;
    const wished = byId(rules);
    const removeRuleIds = [...armed.keys()].filter((id) => wished.get(id) !== armed.get(id));
    const addRules = rules.filter(({ id }) => wished.get(id) !== armed.get(id));
    if (removeRuleIds.length > 0 || addRules.length > 0) {
      this.#armed = wished;
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
    this.#underWay.add(answer);
    try {
      await answer;
    } finally {
      this.#underWay.delete(answer);
    }
  }

  /** Starts over: one rule that the browser refuses takes a whole update with it, and updates after it were made to follow it. */
  #recover() {
    this.#recovery ??= this.#startOver().finally(() => {
      this.#recovery = null;
    });
    return this.#recovery;
  }

  /** Replaces whatever is in force by what is wished for, until nothing else is. */
  async #startOver() {
    await Promise.allSettled(this.#underWay);
    await this.#read();
    for (;;) {
      const wished = this.#wished;
      this.#armed = null;
      try {
        // An id that is not in force does no harm here, while one that is left makes the browser refuse its new rule.
        await this.#update({ removeRuleIds: [...this.#ids], addRules: wished });
        this.#armed = byId(wished);
        this.#latest = Promise.resolve(true);
      } catch (error) {
        console.error('navtrace: the browser refused the rules altogether', error);
      }
      if (wished === this.#wished) return this.#armed !== null;
    }
  }
}
