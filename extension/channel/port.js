/**
 * Keeps a native messaging port to the host open for as long as the worker lives. An open port also keeps the worker alive.
 */

import { read } from './messages.js';

/** @import { Frame, ToExtension } from './messages.js' */
/** @typedef {Extract<ToExtension, { type: 'error' }>} Refusal */
/** @typedef {Exclude<ToExtension, Refusal>} Answer */

export const HOST = 'dev.navtrace.host';

const FIRST_DELAY = 100;
const LONGEST_DELAY = 10_000;

/** A host that went sooner counts as one that failed to start: messages prove nothing, since a host may answer once and die, every time. */
const LIVED = 5000;

/**
 * Tells how long to wait before another try. The jitter keeps browsers that lost their hosts together from coming back together.
 *
 * @param {number} failures failed tries in a row, 1 or more
 * @param {number} random from 0 up to 1
 * @returns {number} milliseconds
 */
export function backOff(failures, random) {
  const delay = Math.min(FIRST_DELAY * 2 ** (failures - 1), LONGEST_DELAY);
  return delay * (1 - random / 4);
}

/** The extension's end of the channel: connects, passes checked messages on, and connects again when the host goes. */
export class Channel {
  /** @type {chrome.runtime.Port | null} */
  #port = null;
  #failures = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} the next try */
  #retry;
  #opened = 0;
  /** @type {Set<string>} */
  #said = new Set();
  #handlers;

  /**
   * @param {object} handlers
   * @param {() => void} handlers.opened sends the first message of a channel
   * @param {(message: Answer) => void} handlers.received takes a message that was checked
   * @param {(refusal: Refusal) => boolean} handlers.refused takes what the host could not do; tells whether somebody has asked for that
   * @param {(reason: string | null) => void} handlers.closed learns that there is no host for now; null when another is on its way
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
      this.#opened = Date.now();
      port.onMessage.addListener((value) => port === this.#port && this.#receive(value));
      port.onDisconnect.addListener(() => {
        const reason = chrome.runtime.lastError?.message ?? 'the host has gone';
        if (port === this.#port) this.#lost(reason);
      });
    } catch (error) {
      return this.#lost(String(error));
    }
    return this.#handlers.opened();
  }

  /** Connects at once: to another host, should there be one. That is no failure. */
  reopen() {
    clearTimeout(this.#retry);
    const port = this.#port;
    this.#port = null;
    this.#failures = 0;
    if (port !== null) {
      this.#handlers.closed(null);
      port.disconnect();
    }
    this.open();
  }

  /**
   * Sends a message, or drops it when there is no host: nothing waits for one.
   *
   * @param {Frame} message
   */
  send(message) {
    try {
      this.#port?.postMessage(message);
    } catch (error) {
      // The port closed and its event is still to come, which is what connects again.
      this.#warn(String(error));
    }
  }

  /** @param {unknown} value */
  #receive(value) {
    const { message, fault } = read(value);
    if (message === null) return this.#warn(fault);
    if (message.type !== 'error') return this.#handlers.received(message);
    if (this.#handlers.refused(message)) return undefined;
    return this.#warn(`the host refused a message (${message.code}): ${message.message}`);
  }

  /** @param {string} reason */
  #lost(reason) {
    const lived = this.#port !== null && Date.now() - this.#opened >= LIVED;
    this.#port = null;
    this.#failures = lived ? 1 : this.#failures + 1;
    this.#warn(`no host: ${reason}`);
    this.#retry = setTimeout(() => this.open(), backOff(this.#failures, Math.random()));
    this.#handlers.closed(reason);
  }

  /**
   * Says each thing once, so that a host which stays away does not fill the log.
   *
   * @param {string} text
   */
  #warn(text) {
    if (this.#said.has(text)) return;
    this.#said.add(text);
    console.warn(`navtrace: ${text}`);
  }
}
