/**
 * Traces of a session, and the observations about them.
 */

import assert from 'node:assert/strict';
import { BrowserContexts } from '../../../extension/context/browser-contexts.js';
import { Traces } from '../../../extension/context/traces.js';
import { SESSION, fakeOutbox, fakeSession, spanId as S, traceId as T } from './session.js';

/** @import { PropagationSettings } from '../../../extension/context/propagation.js' */
/** @import { TracedContext } from '../../../extension/context/traces.js' */

export const TAB = 7;
export const ROOT = { traceId: SESSION.traceId, spanId: SESSION.spanId };

/** What a client puts on a navigation, by a number. @param {number} n @param {object} [more] */
export const client = (n, more) => ({ traceId: T(n), spanId: S(n + 1), flags: '01', tracestate: '', baggage: '', ...more });

/**
 * Makes the traces of a session, and records the observations about them.
 *
 * @param {Partial<PropagationSettings>} [settings]
 * @param {Parameters<typeof fakeSession>[1]} [options]
 */
export function traced(settings, options) {
  const session = fakeSession(settings, options);
  const outbox = fakeOutbox();
  const traces = new Traces(session, outbox, session.events, new BrowserContexts());
  /** The observations since the last call. */
  const observed = () =>
    outbox.observed.splice(0).map(({ what, time, ...context }) => {
      assert.equal(what, 'context-issued');
      assert.equal(typeof time, 'number');
      return context;
    });
  /** The descriptions of root spans since the start. */
  const described = () =>
    outbox.observed.flatMap(({ what, time: _time, ...root }) => (what === 'root-described' ? [root] : []));
  return { session, traces, observed, described };
}

/** What a worker left in force. @param {TracedContext} next @param {TracedContext} [current] @param {TracedContext} [spare] */
export const left = (next, current = next, spare = next) => ({ spare, tabs: new Map([[TAB, { ruleId: 10, current, next }]]) });

/** @param {string} spanId @param {object} more */
export const navigation = (spanId, more) => ({ issuedFor: 'navigation', spanId, flags: '01', ...more });
