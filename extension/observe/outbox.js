/**
 * Brings observations to the host, in batches that are kept until the host has said that they are safe.
 */

import { observed } from '../channel/messages.js';
import { newSpanId } from '../context/ids.js';
import { Before } from './before.js';

/** @import { Frame, Observation, SessionContext, ToExtension } from '../channel/messages.js' */
/** @typedef {{ number: number, session: SessionContext | null, observations: Observation[] }} Batch `session`: null for the one in force */

/** How long an observation waits for others, in milliseconds: a killed browser may lose the last 100, and each message costs its pages time. */
export const BATCH_DELAY = 40;

/** So many fit the 1 MiB that the host takes, even when each has the longest address and all of that is escaped in JSON. */
export const MOST_IN_BATCH = 100;

/** How many observations are kept for a host that does not take them. */
export const MOST_KEPT = 20_000;

/** What one worker has observed and no host has taken. */
export class Outbox {
  #worker = newSpanId();
  /** @type {Observation[]} in no batch yet */
  #fresh = [];
  /** @type {Batch[]} not acknowledged, in their order */
  #batches = [];
  #number = 0;
  #kept = 0;
  #dropped = 0;
  /** @type {((frame: Frame) => void) | null} null while no host continues the session, which observations belong to */
  #send = null;
  /** @type {Before | null} null while there was one session only */
  #before = null;
  /** @type {Map<SessionContext, Observation[]>} of sessions before, in no batch yet */
  #late = new Map();
  #also;

  /** @param {{ observe: (observation: Observation) => void }} [also] sees every observation too */
  constructor(also) {
    this.#also = also;
  }

  /**
   * Takes an observation. A request may be waiting for this, so all else comes later.
   *
   * @param {Observation} observation
   */
  observe(observation) {
    this.#also?.observe(observation);
    const session = this.#before?.sessionOf(observation);
    if (session !== undefined) return this.#keepLate(session, observation);
    if (this.#fresh.push(observation) === 1) this.#sealSoon();
    return undefined;
  }

  /**
   * Learns that another session has taken the place of this one, to which all belongs that was observed so far or was under way.
   *
   * @param {SessionContext} before
   * @param {Iterable<string>} requests under way
   * @param {Iterable<string>} spans navigations that may still be named
   */
  succeed(before, requests, spans) {
    this.#seal();
    const session = { traceId: before.traceId, spanId: before.spanId, flags: before.flags };
    for (const batch of this.#batches) batch.session ??= session;
    this.#before ??= new Before();
    this.#before.ended(session, requests, spans);
  }

  /** Tells whether a navigation is of a session before this one. @param {string} spanId */
  isBefore(spanId) {
    return this.#before?.has(spanId) === true;
  }

  /**
   * Sends what no host has acknowledged, and from now on what is observed.
   *
   * @param {(frame: Frame) => void} send
   */
  open(send) {
    if (this.#send !== null) return;
    this.#send = send;
    for (const batch of this.#batches) this.#post(batch);
  }

  /** Keeps everything from now on. */
  close() {
    this.#send = null;
  }

  /**
   * Lets go of what is safe with the host.
   *
   * @param {Extract<ToExtension, { type: 'received' }>} message
   */
  received({ worker, number }) {
    if (worker !== this.#worker) return;
    while (this.#batches[0] !== undefined && this.#batches[0].number <= number) this.#shift();
  }

  /**
   * @param {SessionContext} session
   * @param {Observation} observation
   */
  #keepLate(session, observation) {
    const late = this.#late.get(session);
    if (late !== undefined) return void late.push(observation);
    this.#late.set(session, [observation]);
    return this.#sealSoon();
  }

  #sealSoon() {
    setTimeout(() => this.#seal(), BATCH_DELAY);
  }

  /** Makes batches of what is in none. */
  #seal() {
    const fresh = this.#fresh;
    this.#fresh = [];
    for (const [session, observations] of this.#late) this.#batch(observations, session);
    this.#late.clear();
    this.#batch(fresh, null);
  }

  /**
   * @param {Observation[]} fresh
   * @param {SessionContext | null} session
   */
  #batch(fresh, session) {
    for (let start = 0; start < fresh.length; start += MOST_IN_BATCH) {
      this.#number += 1;
      const batch = { number: this.#number, session, observations: fresh.slice(start, start + MOST_IN_BATCH) };
      this.#batches.push(batch);
      this.#kept += batch.observations.length;
      while (this.#kept > MOST_KEPT) this.#dropped += this.#shift();
      this.#post(batch);
    }
  }

  /** @param {Batch} batch */
  #post({ number, session, observations }) {
    this.#send?.(observed({ worker: this.#worker, number, dropped: this.#dropped, session, observations }));
  }

  /** @returns {number} how many observations the oldest batch had, which is gone now */
  #shift() {
    const { length } = this.#batches.shift()?.observations ?? [];
    this.#kept -= length;
    return length;
  }
}
