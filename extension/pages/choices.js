/**
 * Does what the user chooses in the popup for this session: a pause, the sampling ratio, the targets.
 */

import { choose } from '../channel/messages.js';
import { AS_CONFIGURED } from '../context/session.js';
import { hasPatternRules } from '../headers/mode.js';
import { refusalsOf, refusedRegexes } from '../headers/patterns.js';

/** @import { Host } from '../channel/host.js' */
/** @import { SessionMessage } from '../channel/messages.js' */
/** @import { Session } from '../context/session.js' */
/** @import { Choose } from '../protocol.d.ts' */

/** The choices of a session. */
export class Choices {
  #session;
  #host;
  #paused;

  /**
   * @param {Session} session @param {Pick<Host, 'ask' | 'carryChosen' | 'connection' | 'problem' | 'state'>} host
   * @param {() => void} paused called after a pause has begun or ended
   */
  constructor(session, host, paused) {
    this.#session = session;
    this.#host = host;
    this.#paused = paused;
  }

  /** @param {boolean} paused */
  pause(paused) {
    if (paused === this.#session.propagation.paused) return;
    this.#session.pause(paused);
    this.#paused();
  }

  /**
   * @param {Choose} chosen
   * @param {Choose} [otherwise] the choice to go back to when this one cannot be followed
   * @returns {Promise<string | null>} a sentence for the user when it cannot
   */
  async choose(chosen, otherwise = this.#session.chosen) {
    const { connection } = this.#host;
    const answer = await this.#host.ask(choose(chosen), 'session');
    if (typeof answer === 'string') return answer;
    const refusal = await this.#refusal(chosen, answer);
    if (refusal !== null) {
      await this.#host.ask(choose(otherwise), 'session');
      return refusal;
    }
    // A host that came meanwhile has not heard of the choice.
    if (connection !== this.#host.connection) return this.choose(chosen, otherwise);
    this.#session.chosen = chosen;
    this.#host.carryChosen(answer);
    return null;
  }

  /**
   * Repeats the choice to a new host. If that cannot follow it, the session continues as configured.
   *
   * @param {SessionMessage} message how the new host carries contexts
   */
  async repeat(message) {
    const { connection } = this.#host;
    const reason = await this.choose(this.#session.chosen, AS_CONFIGURED);
    if (reason === null || connection !== this.#host.connection) return;
    this.#host.problem(`what was chosen for this session does not hold any more: ${reason}`);
    this.#session.chosen = AS_CONFIGURED;
    this.#host.carryChosen(message);
  }

  /**
   * Finds a chosen target that rules of the browser cannot match. Detailed mode has such rules only for requests without a span of their own.
   *
   * @param {Choose} chosen @param {SessionMessage} answer
   * @returns {Promise<string | null>} a sentence for the user
   */
  async #refusal({ targets }, { propagation }) {
    if (targets === null || !hasPatternRules(this.#host.state.mode, propagation)) return null;
    const regexes = { targets: propagation.targets, exclude: [] };
    return refusalsOf(regexes, await refusedRegexes(regexes), { targets, exclude: [] })[0] ?? null;
  }
}
