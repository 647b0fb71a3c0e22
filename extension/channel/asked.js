/**
 * Knows what a host was asked for and has not answered. Answers come in the order of the questions.
 */

/** @import { Answer, Refusal } from './port.js' */

/** Refusals that answer a question; an older host does not know what it is asked for. */
const REFUSALS = new Set(['refused', 'invalid', 'unknown-type']);

/** The questions to the host that is there. */
export class Asked {
  /** @type {{ type: Answer['type'], settle: (answer: Answer | string) => void }[]} */
  #questions = [];

  /**
   * Waits for the answer to what was just sent.
   *
   * @template {Answer['type']} T
   * @param {T} type what answers it
   * @returns {Promise<Extract<Answer, { type: T }> | string>} a sentence for the user when there is no answer
   */
  answerTo(type) {
    return new Promise((resolve) => {
      this.#questions.push({ type, settle: (answer) => resolve(/** @type {Extract<Answer, { type: T }> | string} */ (answer)) });
    });
  }

  /**
   * @param {Answer} message
   * @returns {boolean} whether it was an answer
   */
  answered(message) {
    if (message.type !== this.#questions[0]?.type) return false;
    this.#questions.shift()?.settle(message);
    return true;
  }

  /**
   * @param {Refusal} refusal
   * @returns {boolean} whether it was an answer
   */
  refused({ code, message }) {
    const question = REFUSALS.has(code) ? this.#questions.shift() : undefined;
    question?.settle(code === 'unknown-type' ? `the host is older than the extension and can't do this: ${message}` : message);
    return question !== undefined;
  }

  /** Gives up: the host has gone. */
  closed() {
    for (const { settle } of this.#questions.splice(0)) settle('the host has gone before it answered');
  }
}
