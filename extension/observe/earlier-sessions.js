/**
 * Assigns observations to earlier sessions. When a new trace begins, requests and navigations under way end in the session that they began in.
 * Pure.
 */

import { dropOldest } from '../drop-oldest.js';

/** @import { Observation, SessionContext } from '../protocol.d.ts' */

/** Limit for requests and for spans of earlier sessions. The oldest are forgotten. */
const MAX_REMEMBERED = 10_000;

/**
 * Adds the ids that are not in the map yet.
 *
 * @param {Map<string, SessionContext>} map
 * @param {string[]} ids
 * @param {SessionContext} session
 */
function addNew(map, ids, session) {
  for (const id of ids) if (!map.has(id)) map.set(id, session);
  dropOldest(map, MAX_REMEMBERED);
}

/** The requests and navigations of the sessions before the current one. */
export class EarlierSessions {
  /** @type {Map<string, SessionContext>} by the browser's request id */
  #requests = new Map();
  /** @type {Map<string, SessionContext>} by the span ids of navigations and of the sessions themselves */
  #spans = new Map();

  /**
   * Adds a session that has ended.
   *
   * @param {SessionContext} session
   * @param {Iterable<string>} requests ids of its requests under way
   * @param {Iterable<string>} spans ids of its navigations that observations may still name
   */
  add(session, requests, spans) {
    addNew(this.#requests, [...requests], session);
    addNew(this.#spans, [...spans, session.spanId], session);
  }

  /** Returns whether a navigation belongs to an earlier session. @param {string} spanId */
  has(spanId) {
    return this.#spans.has(spanId);
  }

  /**
   * Returns the earlier session that an observation belongs to, or undefined for the current session.
   *
   * @param {Observation} observation
   * @returns {SessionContext | undefined}
   */
  sessionOf(observation) {
    switch (observation.what) {
      case 'request-started': {
        const session = observation.parent === undefined ? undefined : this.#spans.get(observation.parent);
        // A redirect hop that starts in the new trace moves its request there.
        if (session === undefined) this.#requests.delete(observation.request);
        else this.#requests.set(observation.request, session);
        return session;
      }
      case 'request-completed':
      case 'request-failed': {
        // One that never left names the navigation of its page.
        const parent = observation.what === 'request-failed' ? observation.parent : undefined;
        const session = this.#requests.get(observation.request) ?? (parent === undefined ? undefined : this.#spans.get(parent));
        if (session !== undefined) this.#requests.delete(observation.request);
        return session;
      }
      case 'request-challenged':
      case 'request-redirected':
      case 'request-left':
        return this.#requests.get(observation.request);
      case 'context-issued':
      case 'tab-closed':
        return undefined;
      default:
        return this.#spans.get(observation.spanId);
    }
  }
}
