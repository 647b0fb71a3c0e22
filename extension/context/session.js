/**
 * Holds the session's context and the stock of contexts for its navigations, and speaks with the host about both.
 */

import { attempt } from '../attempt.js';
import { armed, choose, describeBrowser, hello, problem, replenish } from '../channel/messages.js';
import { Channel } from '../channel/port.js';
import { Badge } from '../pages/view.js';
import { newSpanId, newTraceId } from './ids.js';
import { Propagation } from './propagation.js';
import { CAPACITY, FEW, Stock } from './stock.js';

/** @import { Configured, ExporterMessage, Frame, Mode, NavigationContext, SessionContext, SessionMessage, WantedMode } from '../channel/messages.js' */
/** @import { Answer } from '../channel/port.js' */
/** @import { InForce, Kept } from '../headers/rules.js' */
/** @import { Outbox } from '../observe/outbox.js' */
/** @import { History } from '../pages/history.js' */

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
 * @returns {{ agreed: boolean, armed: Mode | null, replenish: boolean, corrected: boolean, chosen: boolean, succeeds: boolean }}
 */
const nothingSaid = () => ({ agreed: false, armed: null, replenish: false, corrected: false, chosen: false, succeeds: false });

/** Nothing is chosen. */
const AS_CONFIGURED = Object.freeze({ ratio: null, targets: null });

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
  #paused = false;
  /** @type {Kept['chosen']} */
  #chosen = AS_CONFIGURED;
  /** When requests began to carry the session's trace. */
  #started = 0;
  /** @type {Configured | null} null until a host has said it, which an older one does not */
  #configured = null;
  /** @type {ExporterMessage | null} null until a host has said it */
  #exporter = null;
  /** @type {string | null} the version of the host that is there */
  #host = null;
  /** @type {string | null} why there is none */
  #reason = null;
  #badge = new Badge();
  #history;
  #changed = () => {};
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
   * @param {Pick<History, 'begin'>} [history] learns which trace the session's is
   */
  constructor(renewed, own, outbox, measurePages, history) {
    this.#renewed = renewed;
    this.#own = own;
    this.#outbox = outbox;
    this.#measurePages = measurePages;
    this.#history = history;
    this.#channel = new Channel({
      opened: () => this.#hello(),
      received: (message) => this.#received(message),
      closed: (reason) => this.#closed(reason),
    });
    this.#channel.open();
  }

  /**
   * Finds the session's context: the one that requests carry already, the host's, or one of its own when no host answers.
   *
   * @param {Promise<(Pick<InForce, 'session' | 'propagation'> & { kept?: Kept | null }) | null>} inForce what a worker before this one put in force
   * @returns {Promise<void>}
   */
  async open(inForce) {
    const offTheRecord = attempt('isAllowedIncognitoAccess', async () => chrome.extension.isAllowedIncognitoAccess(), false);
    const before = await inForce;
    if (before !== null) {
      this.#adopt(before.session);
      if (before.kept) ({ paused: this.#paused, chosen: this.#chosen, started: this.#started } = before.kept);
      this.#propagation = new Propagation(before.propagation, this.#paused);
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

  /** @returns {Kept} what is to outlive the worker */
  get kept() {
    return { paused: this.#paused, chosen: this.#chosen, started: this.#started };
  }

  /** What there is to show of the session. */
  get shown() {
    // A host that is about to go over to another trace is there all the time.
    const { agreed, succeeds } = this.#channelState;
    return {
      mode: this.#armed?.mode ?? null,
      wantedMode: this.#wantedMode,
      offTheRecord: this.#offTheRecord === true,
      paused: this.#paused,
      connected: agreed || succeeds,
      host: this.#host,
      reason: this.#reason,
      exporter: this.#exporter,
      configured: this.#configured,
      chosen: this.#chosen,
      started: this.#started,
      problems: [...this.#problems],
    };
  }

  /**
   * Tells of each change of {@link shown} from now on.
   *
   * @param {() => void} changed
   */
  watch(changed) {
    this.#changed = changed;
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

  /**
   * Has nobody get headers, or has everybody get them again who got them before.
   *
   * @param {boolean} paused
   */
  pause(paused) {
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.#propagation = new Propagation(this.#propagation.settings, paused);
    this.#renewed();
    this.#show();
  }

  /**
   * Has the host carry contexts otherwise, for this session.
   *
   * @param {Kept['chosen']} chosen
   * @returns {Promise<string | null>} why that can't be; null when it is so from now on
   */
  async choose(chosen) {
    const answer = await this.ask(choose(chosen), 'session');
    if (typeof answer === 'string') return answer;
    this.#chosen = chosen;
    this.#channelState.chosen = true;
    this.#carry(answer);
    return null;
  }

  /**
   * Asks the host for something.
   *
   * @template {Answer['type']} T
   * @param {Frame} frame
   * @param {T} type what answers it
   * @returns {Promise<Extract<Answer, { type: T }> | string>} a sentence for the user when there is no answer
   */
  ask(frame, type) {
    if (!this.#channelState.agreed) return Promise.resolve(`there is no host to ask${this.#reason === null ? '' : `: ${this.#reason}`}`);
    return this.#channel.request(frame, type);
  }

  /** Goes over to another trace. The caller has seen to it that what is under way stays in the one before. */
  succeed() {
    const { traceId, spanId, flags: decided } = this.takeTrace();
    const { settings } = this.#propagation;
    this.#adopt({ traceId, spanId, flags: this.#propagation.flagsAbove(decided) });
    // It was the trace's before.
    if (settings.tracestate !== '') this.#propagation = new Propagation({ ...settings, tracestate: '' }, this.#paused);
    this.#used = true;
    this.#offer = null;
    this.#outbox.close();
    const { agreed, succeeds } = this.#channelState;
    Object.assign(this.#channelState, { agreed: false, armed: null, replenish: false, corrected: true, succeeds: agreed || succeeds });
    this.#hello();
    this.#show();
  }

  /** Connects to a host now. */
  reconnect() {
    this.#channel.reopen();
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
    if (message.type === 'exporter') {
      this.#exporter = message;
      return this.#show();
    }
    // Nobody has waited for it any more.
    if (message.type !== 'contexts') return undefined;
    // They were decided on in the session before.
    if (!this.#channelState.agreed) return undefined;
    this.#channelState.replenish = false;
    return this.#stock.fill(message.contexts, message.traces);
  }

  /** @param {SessionMessage} message */
  #named(message) {
    this.#host = message.host;
    this.#configured = message.configured ?? null;
    // A new host is still to learn what was chosen; until then everything stays as it is.
    const { ratio, targets } = this.#chosen;
    const keeps = (ratio !== null || targets !== null) && !this.#channelState.chosen;
    const isOther = !keeps && this.#isOther(message);
    const changed = isOther || this.#wantedMode !== message.mode;
    this.#wantedMode = message.mode;
    if (isOther) this.#propagation = new Propagation(message.propagation, this.#paused);
    if (message.webVitals) this.#measuring ??= this.#measurePages();
    if (this.#context === null) this.#adopt(message.session);
    if (sameSession(this.#context, message.session)) this.#agree(message);
    else if (!sameSession(this.#context, this.#own) || this.#used) this.#correct();
    else this.#offer = message;
    if (this.#offer !== null || changed) this.#renewed();
    if (keeps && this.#channelState.agreed) void this.#chooseAgain(message);
  }

  /** Tells a new host what was chosen, and does without if it can't be. @param {SessionMessage} message */
  async #chooseAgain(message) {
    const port = this.#channelState;
    const fault = await this.choose(this.#chosen);
    if (fault === null || port !== this.#channelState) return;
    this.problem(`what was chosen for this session does not hold any more: ${fault}`);
    this.#chosen = AS_CONFIGURED;
    this.#carry(message);
  }

  /**
   * The same one as long as nothing is to be carried otherwise: others compare by that.
   *
   * @param {SessionMessage} message
   */
  #isOther({ propagation }) {
    return JSON.stringify(this.#propagation.settings) !== JSON.stringify(propagation);
  }

  /**
   * Carries contexts as the host says from now on, in the same session.
   *
   * @param {SessionMessage} message
   */
  #carry(message) {
    if (this.#isOther(message)) {
      this.#propagation = new Propagation(message.propagation, this.#paused);
      // They were decided on otherwise.
      this.#stock = new Stock();
    }
    if (sameSession(this.#context, message.session)) this.#stock.fill(message.contexts, message.traces);
    this.#renewed();
    this.#show();
  }

  /**
   * The host continues the session in use.
   *
   * @param {SessionMessage} message
   */
  #agree({ contexts, traces }) {
    Object.assign(this.#channelState, { agreed: true, succeeds: false });
    this.#reason = null;
    this.#stock.fill(contexts, traces);
    this.#settle();
    this.#announceArmed();
    this.#outbox.open((frame) => this.#channel.send(frame));
    this.#tell();
    this.#show();
  }

  /** @param {string | null} reason */
  #closed(reason) {
    this.#outbox.close();
    this.#reason = reason;
    this.#host = null;
    this.#exporter = null;
    this.#channelState = nothingSaid();
    this.#offer = null;
    this.#settle();
    this.#show();
  }

  /** @param {SessionContext} context */
  #adopt({ traceId, spanId, flags }) {
    this.#context = { traceId, spanId, flags };
    this.#started = Date.now();
    this.#history?.begin(traceId);
    this.#stock = new Stock();
  }

  #issueOwn() {
    this.#adopt(this.#own);
    this.#show();
    console.warn('navtrace: no host answers: requests carry a trace of their own, and nothing is exported');
  }

  /** Shows on the extension's button how it stands, and tells who watches. */
  #show() {
    const { mode, wantedMode, paused, connected, exporter } = this.shown;
    this.#badge.show({ mode, wantedMode, paused, connected, problem: exporter?.problem ?? null });
    this.#changed();
  }
}
