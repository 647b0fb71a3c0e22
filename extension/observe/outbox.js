/**
 * Sends observations to the host in batches, and keeps each batch until the host has acknowledged it.
 */

import { observed } from '../channel/messages.js';
import { newSpanId } from '../context/ids.js';
import { dropOldest } from '../drop-oldest.js';
import { EarlierSessions } from './earlier-sessions.js';

/** @import { Frame } from '../channel/messages.js' */
/** @import { IncognitoTabs } from '../context/incognito.js' */
/** @import { Observation, SessionContext, ToExtension } from '../protocol.d.ts' */
/** @typedef {{ observation: Observation, tabId: number | null }} Observed `tabId` is null where the window does not matter */
/** @typedef {{ number: number, session: SessionContext | null, observations: Observed[] }} Batch `session` is null for the current one */

/**
 * Time that an observation waits for others, in milliseconds. With a longer time a killed browser loses more observations; with a shorter one
 * the messages cost its pages more time.
 */
export const BATCH_DELAY = 40;

/** Observations after which a client may close its browser: they and what was observed before are sent without {@link BATCH_DELAY}. */
const AT_ONCE = new Set(['document-loaded', 'tab-closed']);

/** Limit per batch. This many fit into the 1 MiB that the host accepts, even with the longest addresses, escaped in JSON throughout. */
export const MAX_IN_BATCH = 100;

/**
 * Limit for batches that are sent and not acknowledged. A host that is stopped, or whose disk is, takes no more: whatever is sent to it stays in
 * the browser's or the host's memory.
 */
export const MAX_IN_FLIGHT = 64;

/** Limit for observations without an acknowledgement. The oldest batches that are not sent yet are dropped. */
export const MAX_KEPT = 20_000;

/** Limit for requests under way of Incognito windows whose start was removed. The oldest are forgotten. */
const MAX_REMOVED = 5000;

/** The observations of one worker that the host has not acknowledged. */
export class Outbox {
  /** Distinguishes this worker's batches from those of the workers before it. */
  #worker = newSpanId();
  /** @type {Map<SessionContext | null, Observed[]>} not in a batch yet, by earlier session; null for the current one */
  #fresh = new Map();
  /** @type {Batch[]} not acknowledged, oldest first */
  #batches = [];
  /** How many of the batches are sent to the present host. */
  #inFlight = 0;
  #lastNumber = 0;
  #kept = 0;
  #dropped = 0;
  /** @type {((frame: Frame) => void) | null} null while no host continues the session */
  #send = null;
  /** Whether the tabs are not known yet, so that nothing is sent or shown. */
  #awaitsTabs = false;
  /** @type {Pick<IncognitoTabs, 'observes'> | null} the tabs, until they are known and a host has said what to observe of them */
  #tabs = null;
  /** @type {Set<string>} ids of requests whose start was removed */
  #removed = new Set();
  #earlier = new EarlierSessions();
  #history;

  /** @param {{ observe: (observation: Observation) => void }} [history] sees every observation too */
  constructor(history) {
    this.#history = history;
  }

  /**
   * Adds an observation. A request may be waiting, so batches are made later.
   *
   * @param {Observation} observation
   * @param {number | null} [tabId] the tab that it is about
   */
  observe(observation, tabId = null) {
    if (this.#isOfRemoved(observation)) return;
    if (!this.#awaitsTabs) this.#history?.observe(observation);
    const session = this.#earlier.sessionOf(observation) ?? null;
    const fresh = this.#fresh.get(session);
    if (fresh !== undefined) fresh.push({ observation, tabId });
    else this.#fresh.set(session, [{ observation, tabId }]);
    if (AT_ONCE.has(observation.what)) this.#batchAll();
    else if (fresh === undefined) setTimeout(() => this.#batchAll(), BATCH_DELAY);
  }

  /** Sends and shows nothing until {@link tabsKnown}, since any tab may be in an Incognito window. @param {Pick<IncognitoTabs, 'observes'>} tabs */
  awaitTabs(tabs) {
    this.#awaitsTabs = true;
    this.#tabs = tabs;
  }

  /** Sends and shows what was observed before the tabs were known, except what is not observed of Incognito windows. */
  tabsKnown() {
    this.#removeUnobserved();
    if (this.#send !== null) this.#tabs = null;
    this.#awaitsTabs = false;
    for (const { observations } of this.#batches) for (const { observation } of observations) this.#history?.observe(observation);
    this.#post();
  }

  /**
   * Ends the current session. It keeps all observations so far, and later ones about the requests and navigations given here.
   *
   * @param {SessionContext} session
   * @param {Iterable<string>} requests ids of its requests under way
   * @param {Iterable<string>} spans ids of its navigations that observations may still name
   */
  endSession({ traceId, spanId, flags }, requests, spans) {
    this.#batchAll();
    const session = { traceId, spanId, flags };
    for (const batch of this.#batches) batch.session ??= session;
    this.#earlier.add(session, requests, spans);
  }

  /** Returns whether a navigation belongs to an earlier session. @param {string} spanId */
  isEarlier(spanId) {
    return this.#earlier.has(spanId);
  }

  /** Starts sending, first the batches without an acknowledgement. @param {(frame: Frame) => void} send */
  open(send) {
    if (this.#send !== null) return;
    if (!this.#awaitsTabs) {
      // Without a host all tabs were alike.
      this.#removeUnobserved();
      this.#tabs = null;
    }
    this.#send = send;
    this.#post();
  }

  /** Stops sending. */
  close() {
    this.#send = null;
    this.#inFlight = 0;
  }

  /** Removes the batches that a host has acknowledged. @param {Extract<ToExtension, { type: 'received' }>} message */
  received({ worker, number }) {
    if (worker !== this.#worker) return;
    while (this.#batches[0] !== undefined && this.#batches[0].number <= number) {
      this.#remove(0);
      this.#inFlight = Math.max(this.#inFlight - 1, 0);
    }
    this.#post();
  }

  /** Drops a batch that a host cannot read, so that others can be sent. @param {number} number */
  refused(number) {
    const at = this.#batches.findIndex((batch) => batch.number === number);
    if (at === -1 || at >= this.#inFlight) return;
    this.#dropped += this.#remove(at);
    this.#inFlight -= 1;
    this.#post();
  }

  /** Removes what is not observed of Incognito windows. Nothing has been sent yet. */
  #removeUnobserved() {
    const tabs = this.#tabs;
    if (tabs === null) return;
    this.#batchAll();
    for (const batch of this.#batches) {
      batch.observations = batch.observations.filter(({ observation, tabId }) => {
        if (tabId === null || tabs.observes(tabId)) return true;
        if ('request' in observation) this.#removed.add(observation.request);
        this.#kept -= 1;
        return false;
      });
    }
    this.#batches = this.#batches.filter(({ observations }) => observations.length > 0);
    dropOldest(this.#removed, MAX_REMOVED);
  }

  /** Returns whether an observation is about a request whose start was removed. @param {Observation} observation */
  #isOfRemoved(observation) {
    if (this.#removed.size === 0 || !('request' in observation)) return false;
    // A redirect hop that is observed again is another start.
    if (observation.what === 'request-started') this.#removed.delete(observation.request);
    return this.#removed.has(observation.request);
  }

  #batchAll() {
    const fresh = this.#fresh;
    this.#fresh = new Map();
    for (const [session, observations] of fresh) if (session !== null) this.#batch(observations, session);
    this.#batch(fresh.get(null) ?? [], null);
  }

  /** @param {Observed[]} fresh @param {SessionContext | null} session */
  #batch(fresh, session) {
    for (let start = 0; start < fresh.length; start += MAX_IN_BATCH) {
      this.#lastNumber += 1;
      const observations = fresh.slice(start, start + MAX_IN_BATCH);
      this.#batches.push({ number: this.#lastNumber, session, observations });
      this.#kept += observations.length;
      this.#post();
      // What is sent may have arrived, so it is no loss.
      while (this.#kept > MAX_KEPT) this.#dropped += this.#remove(this.#inFlight);
    }
  }

  /** Sends batches as far as the limit for those in flight permits. */
  #post() {
    if (this.#send === null || this.#awaitsTabs) return;
    while (this.#inFlight < Math.min(this.#batches.length, MAX_IN_FLIGHT)) {
      const batch = this.#batches[this.#inFlight];
      this.#inFlight += 1;
      if (batch === undefined) return;
      const { number, session } = batch;
      const observations = batch.observations.map(({ observation }) => observation);
      this.#send(observed({ worker: this.#worker, number, dropped: this.#dropped, session, observations }));
    }
  }

  /** Removes a batch and returns the number of its observations. @param {number} at its position */
  #remove(at) {
    const [batch] = this.#batches.splice(at, 1);
    const length = batch?.observations.length ?? 0;
    this.#kept -= length;
    return length;
  }
}
