/**
 * Holds the session's context and the stock of contexts for its navigations, and speaks with the host about both.
 */

import { attempt } from '../attempt.js';
import { armed, hello, navigation, replenish } from '../channel/messages.js';
import { Channel } from '../channel/port.js';
import { newSpanId, newTraceId } from './ids.js';
import { Stock } from './stock.js';

/** @import { NavigationContext, SessionContext, SessionMessage } from '../channel/messages.js' */
/** @import { Answer } from '../channel/port.js' */
/** @import { Report } from '../headers/tabs.js' */

/** How long a browser start waits for the host to name the session. */
const ANSWER_TIMEOUT = 1000;

/** The most reports that are kept while there is no host to take them. */
export const MOST_REPORTS = 1000;

/** What a session has when no host has named it: sampled, so that services record it. */
const OWN_FLAGS = '01';

/**
 * @param {SessionContext | null} a
 * @param {SessionContext | null} b
 */
const sameSession = (a, b) => a?.traceId === b?.traceId && a?.spanId === b?.spanId && a?.flags === b?.flags;

/** What is known of the channel that is open: `agreed` when its host continues the session in use, the others when they were said. */
const nothingSaid = () => ({ agreed: false, armed: false, replenish: false, corrected: false });

/** One browser process's session. */
export class Session {
  /** @type {SessionContext | null} */
  #context = null;
  #stock = new Stock(OWN_FLAGS);
  #channel;
  #renewed;
  /** @type {boolean | null} null until it is known, and hello can be said */
  #offTheRecord = null;
  /** Whether some navigation has carried the session's trace id already. */
  #used = false;
  /** Whether this extension named the session, since no host did in time. */
  #own = false;
  /** @type {SessionMessage | null} what a host answered after that */
  #offer = null;
  /** @type {SessionContext | null} the session of the rules in force */
  #armed = null;
  /** @type {Report[]} not sent yet */
  #reports = [];
  #channelState = nothingSaid();
  /** @type {() => void} */
  #settle = () => {};
  /** Settled when the first host has answered or gone. */
  #settled = new Promise((resolve) => (this.#settle = () => resolve(null)));

  /**
   * Connects at once: the browser's start waits for the host's.
   *
   * @param {() => void} renewed learns that a host that came late has named the session: {@link renew} takes its name
   */
  constructor(renewed) {
    this.#renewed = renewed;
    this.#channel = new Channel({
      opened: () => this.#hello(),
      received: (message) => this.#received(message),
      closed: () => this.#closed(),
    });
    this.#channel.open();
  }

  /**
   * Finds the session's context: the one that requests carry already, the host's, or one of its own when no host answers.
   *
   * @param {Promise<SessionContext | null>} inForce what a worker before this one put in force
   * @returns {Promise<void>}
   */
  async open(inForce) {
    const offTheRecord = attempt('isAllowedIncognitoAccess', async () => chrome.extension.isAllowedIncognitoAccess(), false);
    const context = await inForce;
    if (context !== null) {
      this.#adopt(context);
      this.#used = true;
    }
    this.#offTheRecord = await offTheRecord;
    this.#hello();
    if (this.#context === null) await Promise.race([this.#settled, new Promise((resolve) => setTimeout(resolve, ANSWER_TIMEOUT))]);
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

  /**
   * Takes the name that a host gave too late, unless a navigation carries this extension's by now: then the host learns that one.
   *
   * @returns {boolean} whether the context is another one now
   */
  renew() {
    const offer = this.#offer;
    this.#offer = null;
    if (offer === null) return false;
    if (this.#used) {
      this.#correct();
      return false;
    }
    this.#adopt(offer.session);
    this.#agree(offer.contexts);
    return true;
  }

  /**
   * Learns that rules are in force.
   *
   * @param {SessionContext} session what they carry
   */
  armed(session) {
    this.#armed = session;
    this.#announceArmed();
  }

  /** @param {Report} report */
  report(report) {
    this.#used = true;
    this.#reports.push(report);
    if (this.#reports.length > MOST_REPORTS) this.#reports.shift();
    this.#sendReports();
  }

  /** Says who this is, once that is known. */
  #hello() {
    if (this.#offTheRecord === null) return;
    const extension = chrome.runtime.getManifest().version;
    this.#channel.send(hello({ extension, offTheRecord: this.#offTheRecord, session: this.#context }));
  }

  /** Tells a host that goes by another session which one requests carry. */
  #correct() {
    if (this.#channelState.corrected) return;
    this.#channelState.corrected = true;
    this.#hello();
  }

  /** Announces only what is true of the session that the host knows, because its gate opens then. */
  #announceArmed() {
    const { agreed, armed: announced } = this.#channelState;
    if (!agreed || announced || !sameSession(this.#armed, this.#context)) return;
    this.#channelState.armed = true;
    this.#channel.send(armed());
  }

  #replenish() {
    const count = this.#stock.missing();
    if (count === 0 || this.#channelState.replenish || !this.#channelState.agreed) return;
    this.#channelState.replenish = true;
    this.#channel.send(replenish(count));
  }

  #sendReports() {
    if (!this.#channelState.agreed) return;
    const unsent = this.#reports.findIndex((report) => !this.#channel.send(navigation(report)));
    this.#reports.splice(0, unsent === -1 ? this.#reports.length : unsent);
  }

  /** @param {Answer} message */
  #received(message) {
    if (message.type === 'session') return this.#named(message);
    this.#channelState.replenish = false;
    return this.#stock.fill(message.contexts);
  }

  /** @param {SessionMessage} message */
  #named(message) {
    if (this.#context === null) this.#adopt(message.session);
    if (sameSession(this.#context, message.session)) return this.#agree(message.contexts);
    if (!this.#own || this.#used) return this.#correct();
    this.#offer = message;
    return this.#renewed();
  }

  /**
   * The host continues the session in use.
   *
   * @param {NavigationContext[]} contexts
   */
  #agree(contexts) {
    this.#channelState.agreed = true;
    this.#stock.fill(contexts);
    this.#settle();
    this.#announceArmed();
    this.#sendReports();
    showHost(true);
  }

  #closed() {
    this.#channelState = nothingSaid();
    this.#offer = null;
    this.#settle();
    showHost(false);
  }

  /** @param {SessionContext} context */
  #adopt({ traceId, spanId, flags }) {
    this.#context = { traceId, spanId, flags };
    this.#own = false;
    this.#stock = new Stock(flags);
  }

  #issueOwn() {
    this.#adopt({ traceId: newTraceId(), spanId: newSpanId(), flags: OWN_FLAGS });
    this.#own = true;
    showHost(false);
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
