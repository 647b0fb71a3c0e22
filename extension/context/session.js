/**
 * Holds the session's context and the stock of contexts for its navigations, and speaks with the host about both.
 */

import * as messages from '../channel/messages.js';
import { Channel } from '../channel/port.js';
import { newSpanId, newTraceId } from './ids.js';
import { Stock } from './stock.js';

/** @import { NavigationContext, SessionContext, SessionMessage } from '../channel/messages.js' */
/** @import { Answer } from '../channel/port.js' */
/** @import { Report } from '../headers/tabs.js' */

/** How long a browser start waits for the host to name the session. */
const ANSWER_TIMEOUT = 1000;

/** Where a restarted worker finds the session's context. It lives as long as the browser. */
const STORED = 'session';

/** What a session has when no host has named it: sampled, so that services record it. */
const OWN_FLAGS = '01';

/**
 * @param {SessionContext} a
 * @param {SessionContext} b
 */
const same = (a, b) => a.traceId === b.traceId && a.spanId === b.spanId && a.flags === b.flags;

/** One browser process's session. */
export class Session {
  /** @type {SessionContext | null} */
  #context = null;
  #stock = new Stock(OWN_FLAGS);
  #channel;
  #renewed;
  #offTheRecord = false;
  /** Whether some navigation has carried the session's trace id already. */
  #used = false;
  /** Whether this extension named the session, since no host did in time. */
  #own = false;
  #armed = false;
  /** What was said on the channel that is open. */
  #said = { armed: false, replenish: false, session: false };
  /** @type {() => void} */
  #answered = () => {};

  /** @param {() => void} renewed learns that a host that came late has named the session anew, before anything used it */
  constructor(renewed) {
    this.#renewed = renewed;
    this.#channel = new Channel({
      opened: () => this.#hello(),
      received: (message) => this.#received(message),
      closed: () => this.#closed(),
    });
  }

  /**
   * Finds the session's context: the one that a worker before this one used, the host's, or one of its own when no host answers.
   *
   * @returns {Promise<void>}
   */
  async open() {
    const [stored, offTheRecord] = await Promise.all([
      chrome.storage.session.get(STORED),
      chrome.extension.isAllowedIncognitoAccess(),
    ]);
    this.#offTheRecord = offTheRecord;
    const context = stored[STORED];
    if (messages.isSessionContext(context)) {
      this.#adopt(context);
      this.#used = true;
    }
    const answer = new Promise((resolve) => {
      this.#answered = () => resolve(null);
      setTimeout(resolve, ANSWER_TIMEOUT);
    });
    this.#channel.open();
    if (this.#context !== null) return;
    await answer;
    if (this.#context === null) this.#issueOwn();
  }

  /** @returns {SessionContext} */
  get context() {
    if (this.#context === null) throw new Error('the session is not open');
    return this.#context;
  }

  /**
   * Takes a context for a navigation to come.
   *
   * @returns {NavigationContext}
   */
  take() {
    const context = this.#stock.take();
    this.#replenish();
    return context;
  }

  /** Learns that a navigation carries the session's trace id, which from now on stays. */
  use() {
    this.#used = true;
  }

  /** Learns that the rules are in force. */
  armed() {
    this.#armed = true;
    this.#announceArmed();
  }

  /** @param {Report} report */
  report(report) {
    this.#channel.send(messages.navigation(report));
  }

  #hello() {
    this.#said = { armed: false, replenish: false, session: false };
    this.#introduce();
    this.#announceArmed();
  }

  #introduce() {
    const extension = chrome.runtime.getManifest().version;
    this.#channel.send(messages.hello({ extension, offTheRecord: this.#offTheRecord, session: this.#context }));
  }

  #announceArmed() {
    if (!this.#armed || this.#said.armed) return;
    this.#said.armed = true;
    this.#channel.send(messages.armed());
  }

  #replenish() {
    const count = this.#stock.missing();
    if (count === 0 || this.#said.replenish || !this.#said.session) return;
    this.#said.replenish = true;
    this.#channel.send(messages.replenish(count));
  }

  /** @param {Answer} message */
  #received(message) {
    if (message.type === 'contexts') {
      this.#said.replenish = false;
      this.#stock.fill(message.contexts);
    } else {
      this.#named(message);
      showHost(true);
    }
  }

  /** @param {SessionMessage} message */
  #named({ session, contexts }) {
    const first = !this.#said.session;
    this.#said.session = true;
    if (this.#context === null) {
      this.#adopt(session);
      this.#stock.fill(contexts);
      this.#answered();
    } else if (same(this.#context, session)) {
      this.#stock.fill(contexts);
    } else if (this.#own && !this.#used) {
      this.#adopt(session);
      this.#stock.fill(contexts);
      this.#renewed();
    } else if (first) {
      // The host answered too late to name the session: it learns which one requests carry.
      this.#introduce();
    }
  }

  #closed() {
    this.#said.session = false;
    this.#answered();
    showHost(false);
  }

  /** @param {SessionContext} context */
  #adopt({ traceId, spanId, flags }) {
    this.#context = { traceId, spanId, flags };
    this.#own = false;
    this.#stock = new Stock(flags);
    void chrome.storage.session.set({ [STORED]: this.#context });
  }

  #issueOwn() {
    this.#adopt({ traceId: newTraceId(), spanId: newSpanId(), flags: OWN_FLAGS });
    this.#own = true;
    console.warn('navtrace: no host answers: requests carry a trace of their own, and nothing is exported');
  }
}

/**
 * Shows on the extension's button whether there is a host.
 *
 * @param {boolean} present
 */
function showHost(present) {
  void chrome.action.setBadgeText({ text: present ? '' : '!' });
  void chrome.action.setTitle({ title: present ? 'navtrace' : 'navtrace: no host, nothing is exported' });
}
