/**
 * Speaks with the host about the session: which context it has and how contexts are carried, contexts for the stock, headers in place, and
 * problems.
 */

import { attempt } from '../attempt.js';
import { sameContext } from '../context/session.js';
import { armed, describeBrowser, hello, overlap, problem, replenish } from './messages.js';
import { Channel } from './port.js';
import { Problems } from './problems.js';

/** @import { Session } from '../context/session.js' */
/** @import { Configured, ExporterState, Mode, SessionContext, ToExtension, WantedMode } from '../protocol.d.ts' */
/** @import { Frame, SessionMessage } from './messages.js' */
/** @import { Answer } from './port.js' */
/** @typedef {Parameters<Session['restore']>[0]} Restored */
/** @typedef {Extract<Answer, { type: 'received' }>} Received */
/** @typedef {Extract<Answer, { type: 'overlap' }>} Overlapped */
/**
 * @typedef {object} Outbox
 * @property {(send: (frame: Frame) => void) => void} open
 * @property {() => void} close
 * @property {(message: Received) => void} received
 * @property {(number: number) => void} refused
 */
/**
 * @typedef {object} Handlers
 * @property {() => void} renewed called when the host wants another session, mode or propagation: {@link Host.acceptSession} follows
 * @property {() => void} changed called when {@link Host.state} changes
 * @property {(message: SessionMessage) => void} forgotten called when a new host does not know what the user chose
 * @property {(answer: Overlapped) => void} contextsKept called with the answer to {@link Host.keepContexts}
 * @property {() => void} testChanged called when another test drives the browser, or none
 * @property {() => Promise<void>} measurePages called when the host wants pages to be measured
 * @property {() => Promise<void>} readK6Spans called when the host wants the span ids that k6 gives pages
 */
/**
 * What the host has reported; null until then.
 *
 * @typedef {object} Facts
 * @property {string | null} version null also when there is no host
 * @property {string | null} reason why there is no host
 * @property {WantedMode | null} wantedMode
 * @property {Configured | null} configured
 * @property {ExporterState | null} exporter
 * @property {string[] | null} redact names of the parameters in addresses whose values are secret
 */

/** Time that the start of a browser waits for the host to name the session, in milliseconds. */
const ANSWER_TIMEOUT = 1000;

/**
 * Returns the state of a new connection. `agreed` is set when its host continues the session, `switching` while it changes to a new trace, and
 * the others when the message was sent.
 *
 * @returns {{ agreed: boolean, switching: boolean, corrected: boolean, chosen: boolean, replenish: boolean, armed: Mode | null }}
 */
const newConnection = () => ({ agreed: false, switching: false, corrected: false, chosen: false, replenish: false, armed: null });

/** The host, as the extension knows it. */
export class Host {
  #session;
  #outbox;
  #handlers;
  #channel;
  /** State of the connection to the host; another object for each connection. */
  connection = newConnection();
  #problems = new Problems();
  /** @type {Facts} */
  facts = { version: null, reason: null, wantedMode: null, configured: null, exporter: null, redact: null };
  /** @type {boolean | null} null until it is known, when hello can be sent */
  #offTheRecord = null;
  /** @type {SessionMessage | null} the session of a host that answered after the fallback was in use */
  #late = null;
  /** @type {{ session: SessionContext, mode: Mode } | null} the context that requests carry, and the mode */
  #armed = null;
  /** @type {number | null} the question about browser contexts that has no answer yet */
  #overlap = null;
  /** @type {Promise<void> | null} null until a host asks for it */
  #measuring = null;
  /** @type {Promise<void> | null} null until a host asks for it */
  #reading = null;
  /** @type {() => void} */
  #settle = () => {};
  /** Settled when the first host has answered or gone. */
  #settled = new Promise((resolve) => (this.#settle = () => resolve(null)));

  /** @param {Session} session @param {Outbox} outbox @param {Handlers} handlers */
  constructor(session, outbox, handlers) {
    this.#session = session;
    this.#outbox = outbox;
    this.#handlers = handlers;
    this.#channel = new Channel({
      opened: () => this.#hello(),
      received: (message) => this.#received(message),
      closed: (reason) => this.#closed(reason),
    });
  }

  /** Connects. The start of the browser waits for this. */
  connect() {
    this.#channel.open();
  }

  /** Connects anew at once. */
  reconnect() {
    this.#channel.reopen();
  }

  /**
   * Opens the session: continues an earlier worker's, or else waits for the host to name one, or else uses the fallback.
   *
   * @param {Promise<Restored | null>} reading what an earlier worker left
   */
  async openSession(reading) {
    const offTheRecord = attempt('isAllowedIncognitoAccess', async () => chrome.extension.isAllowedIncognitoAccess(), false);
    const before = await reading;
    if (before !== null) this.#session.restore(before);
    this.#offTheRecord = await offTheRecord;
    this.#hello();
    const isOpen = () => this.#session.contextIfOpen !== null;
    if (!isOpen()) await Promise.race([this.#settled, new Promise((resolve) => setTimeout(resolve, ANSWER_TIMEOUT))]);
    if (!isOpen()) {
      this.#session.adopt(this.#session.fallback);
      this.#handlers.changed();
      console.warn('navtrace: no host answers: requests carry a trace of their own, and nothing is exported');
    }
    await Promise.all([this.#measuring, this.#reading]);
  }

  /** The state to show. */
  get state() {
    const { agreed, switching } = this.connection;
    return {
      ...this.facts,
      connected: agreed || switching,
      mode: this.#armed?.mode ?? null,
      offTheRecord: this.#offTheRecord === true,
      problems: this.#problems.all,
    };
  }

  /** Reports a problem to the user, once. @param {string} message one sentence */
  problem(message) {
    // Sent later, since a request may wait for the caller.
    if (this.#problems.add(message)) queueMicrotask(() => this.#sendProblems());
  }

  /**
   * Takes the session of a host that answered late, unless a navigation carries the fallback by now: then tells the host to continue
   * the fallback session.
   *
   * @returns {boolean} whether the session has another context now
   */
  acceptSession() {
    const late = this.#late;
    this.#late = null;
    if (late === null) return false;
    if (!this.#session.isReplaceable) {
      this.#correct();
      return false;
    }
    this.#session.adopt(late.session);
    this.#agree(late);
    return true;
  }

  /** Tells the host that headers are in place. @param {SessionContext} session the context that they carry @param {Mode} mode */
  armed(session, mode) {
    if (mode === this.#armed?.mode && sameContext(session, this.#armed.session)) return;
    this.#armed = { session, mode };
    this.#sendArmed();
    this.#handlers.changed();
  }

  /** Asks for contexts, if the stock runs low. */
  replenish() {
    const missing = this.#session.missing();
    if (missing.count + missing.traces === 0 || this.connection.replenish || !this.connection.agreed) return;
    this.connection.replenish = true;
    this.#channel.send(replenish(missing));
  }

  /**
   * Sends a request to the host, and waits for the answer.
   *
   * @template {Answer['type']} T
   * @param {Frame} frame
   * @param {T} type type of the answer
   * @returns {Promise<Extract<Answer, { type: T }> | string>} a sentence for the user when there is no answer
   */
  ask(frame, type) {
    const { reason } = this.facts;
    if (!this.connection.agreed) return Promise.resolve(`there is no host to ask${reason === null ? '' : `: ${reason}`}`);
    return this.#channel.request(frame, type);
  }

  /** Asks the host to keep all browser contexts reported. @param {number} opened number of contexts so far */
  keepContexts(opened) {
    this.#overlap = opened;
    this.#sendOverlap();
  }

  /** Carries contexts as the answer to a choice says. @param {SessionMessage} message */
  carryChosen({ propagation, session, contexts, traces }) {
    this.connection.chosen = true;
    this.#session.carry(propagation);
    if (sameContext(this.#session.contextIfOpen, session)) this.#session.fill(contexts, traces);
    this.#handlers.renewed();
    this.#handlers.changed();
  }

  /** Begins a new trace. The caller keeps what is under way in the trace before. */
  beginTrace() {
    this.#session.beginTrace();
    this.#late = null;
    this.#outbox.close();
    const { agreed, switching } = this.connection;
    Object.assign(this.connection, { agreed: false, switching: agreed || switching, corrected: true, replenish: false, armed: null });
    this.#hello();
    this.#handlers.changed();
  }

  #hello() {
    if (this.#offTheRecord === null) return;
    const extension = chrome.runtime.getManifest().version;
    const session = this.#session.contextIfOpen;
    this.#channel.send(hello({ extension, offTheRecord: this.#offTheRecord, session, browser: describeBrowser() }));
  }

  /** Tells a host that names another session which one requests carry. */
  #correct() {
    if (this.connection.corrected) return;
    this.connection.corrected = true;
    this.#hello();
  }

  /** Sends armed only when it holds for the session that the host knows, since the gate opens then. */
  #sendArmed() {
    const mode = this.#armed?.mode;
    if (!this.connection.agreed || mode === undefined || mode === this.connection.armed) return;
    if (!sameContext(this.#armed?.session ?? null, this.#session.contextIfOpen)) return;
    this.connection.armed = mode;
    this.#channel.send(armed(mode));
  }

  #sendOverlap() {
    if (this.connection.agreed && this.#overlap !== null) this.#channel.send(overlap(this.#overlap));
  }

  #sendProblems() {
    if (!this.connection.agreed) return;
    for (const message of this.#problems.takeUnsent()) this.#channel.send(problem(message));
  }

  /** @param {ToExtension} message */
  #received(message) {
    if (message.type === 'session') this.#named(message);
    if (message.type === 'received') this.#outbox.received(message);
    if (message.type === 'error' && message.about === 'observed' && message.number !== undefined) this.#outbox.refused(message.number);
    if (message.type === 'overlap') {
      if (message.opened === this.#overlap) this.#overlap = null;
      this.#handlers.contextsKept(message);
    }
    if (message.type === 'test') {
      this.#session.test = message.test;
      this.#handlers.testChanged();
    }
    if (message.type === 'exporter') {
      this.facts.exporter = message;
      this.#handlers.changed();
    }
    // Before the host has agreed, contexts are those of the session before.
    if (message.type === 'contexts' && this.connection.agreed) {
      this.connection.replenish = false;
      this.#session.fill(message.contexts, message.traces);
    }
  }

  /** @param {SessionMessage} message */
  #named(message) {
    this.facts.version = message.host;
    this.facts.configured = message.configured ?? null;
    this.facts.redact = message.redact ?? null;
    // Until a new host knows what the user chose, contexts are carried as before.
    const forgotten = !this.connection.chosen && Object.values(this.#session.chosen).some((choice) => choice !== null);
    const carried = !forgotten && this.#session.carry(message.propagation);
    const changed = carried || this.facts.wantedMode !== message.mode || this.#session.exports !== message.exports;
    this.facts.wantedMode = message.mode;
    this.#session.exports = message.exports;
    if (message.webVitals) this.#measuring ??= this.#handlers.measurePages();
    if (message.k6Spans === true) this.#reading ??= this.#handlers.readK6Spans();
    if (this.#session.contextIfOpen === null) this.#session.adopt(message.session);
    if (sameContext(this.#session.contextIfOpen, message.session)) this.#agree(message);
    else if (this.#session.isReplaceable) this.#late = message;
    else this.#correct();
    if (this.#late !== null || changed) this.#handlers.renewed();
    if (forgotten && this.connection.agreed) this.#handlers.forgotten(message);
  }

  /** Handles a host that continues the session. @param {SessionMessage} message */
  #agree({ contexts, traces }) {
    Object.assign(this.connection, { agreed: true, switching: false });
    this.facts.reason = null;
    this.#session.fill(contexts, traces);
    this.#settle();
    this.#sendArmed();
    this.#outbox.open((frame) => this.#channel.send(frame));
    this.#sendProblems();
    this.#sendOverlap();
    this.#handlers.changed();
  }

  /** @param {string | null} reason */
  #closed(reason) {
    this.#outbox.close();
    Object.assign(this.facts, { version: null, reason, exporter: null });
    this.connection = newConnection();
    this.#late = null;
    this.#settle();
    this.#handlers.changed();
  }
}
