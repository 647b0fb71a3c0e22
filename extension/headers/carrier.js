/**
 * Puts contexts on requests, in one of two modes:
 *
 * - lightweight: session rules carry the contexts and change once per navigation;
 * - detailed: a blocking listener puts its own span id on every request. Rules that match win over the listener, so the only rule is the
 *   record, which matches nothing.
 */

import { detailedRules, lightweightRules } from './rules.js';

/** @import { Requests } from '../observe/requests.js' */
/** @import { Mode } from '../protocol.d.ts' */
/** @import { Injector } from './injector.js' */
/** @import { SessionRules } from './session-rules.js' */
/** @import { Tracing } from './tabs.js' */

/** The rules and the listener. */
export class Carrier {
  #rules;
  #injector;
  #requests;
  /** Sorted as the browser returns them, so that rules compare equal after a restart. */
  #allTypes = Object.values(chrome.declarativeNetRequest.ResourceType).sort();

  /**
   * @param {SessionRules} rules @param {Injector} injector
   * @param {Requests} requests observes how requests start, while no listener does
   */
  constructor(rules, injector, requests) {
    this.#rules = rules;
    this.#injector = injector;
    this.#requests = requests;
  }

  /** Whether the browser has asked the listener about a request. */
  get isAsked() {
    return this.#injector.asked;
  }

  /** Starts the listener for detailed mode, before the rules are removed. @param {Tracing} tracing */
  listen(tracing) {
    this.#requests.stop();
    this.#injector.start(tracing);
  }

  /**
   * Puts the rules of a mode in force.
   *
   * @param {Mode} mode @param {Tracing} tracing
   * @returns {Promise<boolean>} whether they, or later ones, are in force
   */
  updateRules(mode, { session: { context, propagation, kept }, tabs, traces }) {
    const rules =
      mode === 'lightweight'
        ? lightweightRules(tabs.contexts(), this.#allTypes, propagation, traces, kept)
        : detailedRules(context, this.#allTypes, propagation, traces, kept);
    return this.#rules.replace(rules);
  }

  /** Stops the listener where rules have taken its place. @param {Mode} mode @param {Tracing} tracing */
  finish(mode, { session, traces }) {
    if (mode === 'lightweight' || session.propagation.paused) this.#injector.stop();
    if (mode === 'lightweight') this.#requests.listen(session.context, traces);
  }
}
