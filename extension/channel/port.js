/**
 * Keeps a native messaging port to the host open for as long as the worker lives. An open port also keeps the worker alive.
 */

import { read } from './messages.js';

/** @import { ToExtension } from '../protocol.d.ts' */
/** @import { Frame } from './messages.js' */
/** @typedef {Extract<ToExtension, { type: 'error' }>} ErrorMessage */
/** @typedef {Exclude<ToExtension, ErrorMessage>} Answer */
/** @typedef {{ question: Frame['type'], type: Answer['type'], settle: (answer: Answer | string) => void }} Pending */

/** The host's name in its native messaging manifest. */
const HOST = 'dev.navtrace.host';

/** Bounds of the delay between two attempts to connect, in milliseconds. */
const FIRST_DELAY = 100;
const MAX_DELAY = 10_000;

/** A host that exits sooner counts as a failed start, in milliseconds. Its messages do not count: it may answer once and crash every time. */
const MIN_LIFETIME = 5000;

/** Codes of errors that answer a request. A host older than the extension answers `unknown-type`. */
const REFUSALS = new Set(['refused', 'invalid', 'unknown-type']);

/**
 * Returns the delay before the next attempt to connect. The jitter spreads out browsers that lost their hosts at the same time.
 *
 * @param {number} failures failed attempts in a row, 1 or more
 * @param {number} random from 0 up to 1
 * @returns {number} milliseconds
 */
export function backOff(failures, random) {
  const delay = Math.min(FIRST_DELAY * 2 ** (failures - 1), MAX_DELAY);
  return delay * (1 - random / 4);
}

/** The extension's end of the channel: connects, checks incoming messages, and reconnects when the host exits. */
export class Channel {
  /** @type {chrome.runtime.Port | null} */
  #port = null;
  #failures = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} the next attempt to connect */
  #retry;
  /** @type {ReturnType<typeof setTimeout> | undefined} the time after which the host counts as started */
  #starting;
  /** @type {Pending[]} requests without an answer yet, oldest first */
  #pending = [];
  /** @type {Set<string>} */
  #logged = new Set();
  #handlers;

  /**
   * @param {object} handlers
   * @param {() => void} handlers.opened sends the first message of a channel
   * @param {(message: ToExtension) => void} handlers.received takes a checked message that answers no request
   * @param {(reason: string | null) => void} handlers.closed is called when the host is lost, with null if a reconnection follows at once
   */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  /** Connects, unless a port is open. */
  open() {
    if (this.#port !== null) return;
    try {
      const port = chrome.runtime.connectNative(HOST);
      this.#port = port;
      port.onMessage.addListener((value) => port === this.#port && this.#receive(value));
      port.onDisconnect.addListener(() => {
        const reason = chrome.runtime.lastError?.message ?? 'the host has disconnected';
        if (port === this.#port) this.#lost(reason);
      });
    } catch (error) {
      return this.#lost(String(error));
    }
    this.#starting = setTimeout(() => (this.#failures = 0), MIN_LIFETIME);
    return this.#handlers.opened();
  }

  /** Drops the current port and connects again at once. This does not count as a failure. */
  reopen() {
    clearTimeout(this.#retry);
    const port = this.#port;
    this.#port = null;
    this.#failures = 0;
    if (port !== null) {
      this.#close(null);
      port.disconnect();
    }
    this.open();
  }

  /** Sends a message, or drops it if there is no host. @param {Frame} message */
  send(message) {
    try {
      this.#port?.postMessage(message);
    } catch (error) {
      // The port has closed; its `onDisconnect` event follows and triggers the reconnection.
      this.#warn(String(error));
    }
  }

  /**
   * Sends a message and waits for its answer.
   *
   * @template {Answer['type']} T
   * @param {Frame} message
   * @param {T} type of the answer
   * @returns {Promise<Extract<Answer, { type: T }> | string>} the answer, or a sentence for the user that says why there is none
   */
  request(message, type) {
    this.send(message);
    return new Promise((resolve) => {
      this.#pending.push({ question: message.type, type, settle: /** @type {(answer: any) => void} */ (resolve) });
    });
  }

  /** @param {unknown} value */
  #receive(value) {
    const { message, fault } = read(value);
    if (message === null) return this.#warn(fault);
    if (message.type === 'error') return this.#receiveError(message);
    // The host answers requests in their order.
    if (message.type === this.#pending[0]?.type) return this.#pending.shift()?.settle(message);
    return this.#handlers.received(message);
  }

  /** @param {ErrorMessage} error */
  #receiveError(error) {
    const { code, message, about } = error;
    const question = this.#pending[0]?.question;
    // An older host does not say which message it refuses.
    if (REFUSALS.has(code) && question !== undefined && (about ?? question) === question) {
      return this.#pending.shift()?.settle(code === 'unknown-type' ? `the host is older than the extension and can't do this: ${message}` : message);
    }
    this.#warn(`the host refused a message (${code}): ${message}`);
    return this.#handlers.received(error);
  }

  /** @param {string} reason */
  #lost(reason) {
    this.#port = null;
    this.#failures += 1;
    this.#warn(`no host: ${reason}`);
    this.#retry = setTimeout(() => this.open(), backOff(this.#failures, Math.random()));
    this.#close(reason);
  }

  /** @param {string | null} reason */
  #close(reason) {
    clearTimeout(this.#starting);
    for (const { settle } of this.#pending.splice(0)) settle('the host disconnected before it answered');
    this.#handlers.closed(reason);
  }

  /** Logs each text once, so that a host that stays away does not fill the log. @param {string} text */
  #warn(text) {
    if (this.#logged.has(text)) return;
    this.#logged.add(text);
    console.warn(`navtrace: ${text}`);
  }
}
