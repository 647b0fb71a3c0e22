/**
 * Sends observations to the host in batches, and keeps each batch until the host has acknowledged it.
 */

import { observed } from '../channel/messages.js';
import { newSpanId } from '../context/ids.js';
import { EarlierSessions } from './earlier-sessions.js';

/** @import { Frame } from '../channel/messages.js' */
/** @import { Observation, SessionContext, ToExtension } from '../protocol.d.ts' */
/** @typedef {{ number: number, session: SessionContext | null, observations: Observation[] }} Batch `session` is null for the current one */

/**
 * Time that an observation waits for others, in milliseconds. With a longer time a killed browser loses more observations; with a shorter one
 * the messages cost its pages more time.
 */
export const BATCH_DELAY = 40;

/** Limit per batch. This many fit into the 1 MiB that the host accepts, even with the longest addresses, escaped in JSON throughout. */
export const MAX_IN_BATCH = 100;

/**
 * Limit for batches that are sent and not acknowledged. A host that is stopped, or whose disk is, takes no more: whatever is sent to it stays in
 * the browser's or the host's memory.
 */
export const MAX_IN_FLIGHT = 64;

/** Limit for observations without an acknowledgement. The oldest batches that are not sent yet are dropped. */
export const MAX_KEPT = 20_000;

/** The observations of one worker that the host has not acknowledged. */
export class Outbox {
  /** Distinguishes this worker's batches from those of the workers before it. */
  #worker = newSpanId();
  /** @type {Map<SessionContext | null, Observation[]>} not in a batch yet, by earlier session; null for the current one */
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
  #earlier = new EarlierSessions();
  #history;

  /** @param {{ observe: (observation: Observation) => void }} [history] sees every observation too */
  constructor(history) {
    this.#history = history;
  }

  /** Adds an observation. A request may be waiting, so batches are made later. @param {Observation} observation */
  observe(observation) {
    this.#history?.observe(observation);
    const session = this.#earlier.sessionOf(observation) ?? null;
    const fresh = this.#fresh.get(session);
    if (fresh !== undefined) return void fresh.push(observation);
    this.#fresh.set(session, [observation]);
    return void setTimeout(() => this.#batchAll(), BATCH_DELAY);
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

  #batchAll() {
    const fresh = this.#fresh;
    this.#fresh = new Map();
    for (const [session, observations] of fresh) if (session !== null) this.#batch(observations, session);
    this.#batch(fresh.get(null) ?? [], null);
  }

  /** @param {Observation[]} fresh @param {SessionContext | null} session */
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
    if (this.#send === null) return;
    while (this.#inFlight < Math.min(this.#batches.length, MAX_IN_FLIGHT)) {
      const batch = this.#batches[this.#inFlight];
      this.#inFlight += 1;
      if (batch === undefined) return;
      const { number, session, observations } = batch;
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
