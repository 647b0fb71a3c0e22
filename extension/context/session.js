/**
 * Holds the session's context and the stock of contexts for its navigations, and speaks with the host about both.
 */

import { attempt } from '../attempt.js';
import { describeBrowser } from '../channel/browser.js';
import { armed, hello, problem, replenish } from '../channel/messages.js';
import { Channel } from '../channel/port.js';
import { newSpanId, newTraceId } from './ids.js';
import { Propagation } from './propagation.js';
import { CAPACITY, FEW, Stock } from './stock.js';

/** @import { Mode, NavigationContext, SessionContext, SessionMessage, WantedMode } from '../channel/messages.js' */
/** @import { Answer } from '../channel/port.js' */
/** @import { InForce } from '../headers/rules.js' */
/** @import { Outbox } from '../observe/outbox.js' */

/** How long a browser start waits for the host to name the session. */
const ANSWER_TIMEOUT = 1000;

/** How many problems the user is told of: a page must not make more of them than anybody reads. */
const MOST_PROBLEMS = 20;

/**
 * Names a session that no host has named: sampled, so that services record it.
 *
 * @returns {SessionContext}
 */
export const ownSession = () => ({ traceId: newTraceId(), spanId: newSpanId(), flags: '01' });

/**
 * @param {SessionContext | null} a
 * @param {SessionContext | null} b
 */
const sameSession = (a, b) => a?.traceId === b?.traceId && a?.spanId === b?.spanId && a?.flags === b?.flags;

/**
 * What is known of the channel that is open: `agreed` when its host continues the session in use, the others what was said.
 *
 * @returns {{ agreed: boolean, armed: Mode | null, replenish: boolean, corrected: boolean }}
 */
const nothingSaid = () => ({ agreed: false, armed: null, replenish: false, corrected: false });

/** One browser process's session. */
export class Session {
  /** @type {SessionContext | null} */
  #context = null;
  #stock = new Stock();
  #propagation = new Propagation();
  #channel;
  #renewed;
  #outbox;
  #measurePages;
  /** @type {Promise<void> | null} null while no host has asked for it */
  #measuring = null;
  /** @type {boolean | null} null until it is known, and hello can be said */
  #offTheRecord = null;
  /** Whether some navigation has carried the session's trace id already. */
  #used = false;
  /** What this extension calls the session when no host names it in time. */
  #own;
  /** @type {SessionMessage | null} what a host answered after that */
  #offer = null;
  /** @type {{ session: SessionContext, mode: Mode } | null} what requests carry, and how they get it */
  #armed = null;
  /** @type {WantedMode | null} null until a host has said it */
  #wantedMode = null;
  #channelState = nothingSaid();
  /** @type {Set<string>} what the user was told, or is to be once there is a host: each once */
  #problems = new Set();
  /** @type {string[]} what a host is still to be told of that */
  #untold = [];
  /** @type {() => void} */
  #settle = () => {};
  /** Settled when the first host has answered or gone. */
  #settled = new Promise((resolve) => (this.#settle = () => resolve(null)));

  /**
   * Connects at once: the browser's start waits for the host's.
   *
   * @param {() => void} renewed learns that a host has named the session too late, or wants contexts carried otherwise than before:
   *   {@link renew} takes its name
   * @param {SessionContext} own what the session is called when no host names it
   * @param {Outbox} outbox has what is to be sent to a host that continues the session
   * @param {() => Promise<void>} measurePages is called if the host wants pages to be measured
   */
  constructor(renewed, own, outbox, measurePages) {
    this.#renewed = renewed;
    this.#own = own;
    this.#outbox = outbox;
    this.#measurePages = measurePages;
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
   * @param {Promise<Pick<InForce, 'session' | 'propagation'> | null>} inForce what a worker before this one put in force
   * @returns {Promise<void>}
   */
  async open(inForce) {
    const offTheRecord = attempt('isAllowedIncognitoAccess', async () => chrome.extension.isAllowedIncognitoAccess(), false);
    const before = await inForce;
    if (before !== null) {
      this.#adopt(before.session);
      this.#propagation = new Propagation(before.propagation);
      this.#used = true;
    }
    this.#offTheRecord = await offTheRecord;
    this.#hello();
    if (this.#context === null) await Promise.race([this.#settled, new Promise((resolve) => setTimeout(resolve, ANSWER_TIMEOUT))]);
    if (this.#context === null) this.#issueOwn();
    await this.#measuring;
  }

  /** @returns {SessionContext} */
  get context() {
    if (this.#context === null) throw new Error('the session is not open');
    return this.#context;
  }

  /** @returns {Propagation} how contexts are carried */
  get propagation() {
    return this.#propagation;
  }

  /** @returns {WantedMode | null} the mode that the user chose; null until a host has said it */
  get wantedMode() {
    return this.#wantedMode;
  }

  /**
   * Takes a context for a navigation to come.
   *
   * @returns {NavigationContext}
   */
  take() {
    const context = this.#stock.take() ?? { spanId: newSpanId(), flags: this.#flagsOfNavigation() };
    // Later, since a request may wait for this one.
    queueMicrotask(() => this.#replenish());
    return context;
  }

  /**
   * Takes a trace for what has one of its own.
   *
   * @returns {SessionContext}
   */
  takeTrace() {
    const propagation = this.#propagation;
    const trace = this.#stock.takeTrace();
    queueMicrotask(() => this.#replenish());
    if (trace !== null) return trace;
    return { traceId: newTraceId(), spanId: newSpanId(), flags: propagation.flags(propagation.decide(null), null) };
  }

  /**
   * Tells the user of a problem, once.
   *
   * @param {string} message one sentence
   */
  problem(message) {
    if (this.#problems.size >= MOST_PROBLEMS || this.#problems.has(message)) return;
    this.#problems.add(message);
    console.warn(`navtrace: ${message}`);
    this.#untold.push(message);
    // Later, since a request may wait for this one.
    queueMicrotask(() => this.#tell());
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
    this.#agree(offer);
    return true;
  }

  /**
   * Learns that headers are in place.
   *
   * @param {SessionContext} session what they carry
   * @param {Mode} mode
   */
  armed(session, mode) {
    if (mode === this.#armed?.mode && sameSession(session, this.#armed.session)) return;
    this.#armed = { session, mode };
    this.#announceArmed();
    this.#show();
  }

  /** Says who this is, once that is known. */
  #hello() {
    if (this.#offTheRecord === null) return;
    const extension = chrome.runtime.getManifest().version;
    const self = { extension, offTheRecord: this.#offTheRecord, session: this.#context, browser: describeBrowser() };
    this.#channel.send(hello(self));
  }

  /** Tells a host that goes by another session which one requests carry. */
  #correct() {
    if (this.#channelState.corrected) return;
    this.#channelState.corrected = true;
    this.#hello();
  }

  /** Announces only what is true of the session that the host knows, because its gate opens then. */
  #announceArmed() {
    const mode = this.#armed?.mode;
    if (!this.#channelState.agreed || mode === undefined || mode === this.#channelState.armed) return;
    if (!sameSession(this.#armed?.session ?? null, this.#context)) return;
    this.#channelState.armed = mode;
    this.#channel.send(armed(mode));
  }

  #replenish() {
    const missing = this.#stock.missing(this.#propagation.settings.scope === 'session' ? FEW : CAPACITY);
    if (missing.count + missing.traces === 0 || this.#channelState.replenish || !this.#channelState.agreed) return;
    this.#channelState.replenish = true;
    this.#channel.send(replenish(missing));
  }

  /** Decides for a navigation that the host has issued no context for. */
  #flagsOfNavigation() {
    const { flags } = this.context;
    const propagation = this.#propagation;
    if (propagation.settings.samplePer === 'trace') return flags;
    return propagation.flags(propagation.decide(null), flags);
  }

  #tell() {
    if (!this.#channelState.agreed) return;
    for (const message of this.#untold.splice(0)) this.#channel.send(problem(message));
  }

  /** @param {Answer} message */
  #received(message) {
    if (message.type === 'session') return this.#named(message);
    if (message.type === 'received') return this.#outbox.received(message);
    this.#channelState.replenish = false;
    return this.#stock.fill(message.contexts, message.traces);
  }

  /** @param {SessionMessage} message */
  #named(message) {
    // The same one as long as nothing is to be carried otherwise: others compare by that.
    const isOther = JSON.stringify(this.#propagation.settings) !== JSON.stringify(message.propagation);
    const changed = isOther || this.#wantedMode !== message.mode;
    this.#wantedMode = message.mode;
    if (isOther) this.#propagation = new Propagation(message.propagation);
    if (message.webVitals) this.#measuring ??= this.#measurePages();
    if (this.#context === null) this.#adopt(message.session);
    if (sameSession(this.#context, message.session)) this.#agree(message);
    else if (!sameSession(this.#context, this.#own) || this.#used) this.#correct();
    else this.#offer = message;
    if (this.#offer !== null || changed) this.#renewed();
  }

  /**
   * The host continues the session in use.
   *
   * @param {SessionMessage} message
   */
  #agree({ contexts, traces }) {
    this.#channelState.agreed = true;
    this.#stock.fill(contexts, traces);
    this.#settle();
    this.#announceArmed();
    this.#outbox.open((frame) => this.#channel.send(frame));
    this.#tell();
    this.#show();
  }

  #closed() {
    this.#outbox.close();
    this.#channelState = nothingSaid();
    this.#offer = null;
    this.#settle();
    this.#show();
  }

  /** @param {SessionContext} context */
  #adopt({ traceId, spanId, flags }) {
    this.#context = { traceId, spanId, flags };
    this.#stock = new Stock();
  }

  #issueOwn() {
    this.#adopt(this.#own);
    this.#show();
    console.warn('navtrace: no host answers: requests carry a trace of their own, and nothing is exported');
  }

  /** Shows on the extension's button how requests get their headers, and whether there is a host. */
  #show() {
    const { agreed } = this.#channelState;
    const mode = this.#armed === null ? 'starting' : `${this.#armed.mode} mode`;
    void chrome.action.setBadgeText({ text: agreed ? '' : '!' });
    void chrome.action.setTitle({ title: `navtrace: ${mode}${agreed ? '' : '; no host, nothing is exported'}` });
  }
}
