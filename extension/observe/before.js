/**
 * Knows what belongs to a session that a new trace has ended: what was under way then ends in it. Pure.
 */

/** @import { Observation, SessionContext } from '../channel/messages.js' */

/** How many requests and spans of sessions before are remembered: those that came last. */
const MOST_BEFORE = 10_000;

/**
 * @param {Map<string, SessionContext>} map
 * @param {Iterable<string>} ids
 * @param {SessionContext} session
 */
function addAll(map, ids, session) {
  for (const id of ids) map.set(id, session);
  for (const id of map.keys()) {
    if (map.size <= MOST_BEFORE) return;
    map.delete(id);
  }
}

/** What sessions before have left under way. */
export class Before {
  /** @type {Map<string, SessionContext>} by the browser's ids of requests */
  #requests = new Map();
  /** @type {Map<string, SessionContext>} by the span ids of navigations, and of the sessions themselves */
  #spans = new Map();

  /**
   * Learns that a session is over.
   *
   * @param {SessionContext} session
   * @param {Iterable<string>} requests under way
   * @param {Iterable<string>} spans its navigations that may still be named
   */
  ended(session, requests, spans) {
    // What an even earlier one left stays that one's.
    addAll(this.#requests, [...requests].filter((request) => !this.#requests.has(request)), session);
    addAll(this.#spans, [...spans, session.spanId].filter((span) => !this.#spans.has(span)), session);
  }

  /** Tells whether a navigation is of a session before. @param {string} spanId */
  has(spanId) {
    return this.#spans.has(spanId);
  }

  /**
   * Finds the session that an observation belongs to.
   *
   * @param {Observation} observation
   * @returns {SessionContext | undefined} undefined for the one in force
   */
  sessionOf(observation) {
    switch (observation.what) {
      case 'request-started': {
        const session = observation.parent === undefined ? undefined : this.#spans.get(observation.parent);
        // A hop that leaves with the new trace goes on in it.
        if (session === undefined) this.#requests.delete(observation.request);
        else this.#requests.set(observation.request, session);
        return session;
      }
      case 'request-completed':
      case 'request-failed': {
        const session = this.#requests.get(observation.request);
        if (session !== undefined) this.#requests.delete(observation.request);
        return session;
      }
      case 'request-redirected':
      case 'response-started':
        return this.#requests.get(observation.request);
      case 'context-issued':
      case 'tab-closed':
        return undefined;
      default:
        return this.#spans.get(observation.spanId);
    }
  }
}
