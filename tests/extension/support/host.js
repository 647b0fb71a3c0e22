/**
 * A session with a fake host.
 */

import { mock } from 'node:test';

import { DEFAULT_PROPAGATION } from '../../../extension/context/propagation.js';
import { fakeChrome, settled } from './chrome.js';
import { connectHost } from './worker.js';

/** @import { SessionContext } from '../../../extension/protocol.d.ts' */

export const NAMED = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '00' };

/** @param {object} [session] @param {string} [mode] @param {boolean} [webVitals] */
export const answer = (session = NAMED, mode = 'auto', webVitals = false) => ({
  v: 1,
  type: 'session',
  host: '0.1.0',
  mode,
  exports: true,
  webVitals,
  propagation: DEFAULT_PROPAGATION,
  session,
  contexts: [{ spanId: 'c'.repeat(16), flags: '00' }],
  traces: [],
});

/** @param {{ sent: { type: string }[] } | undefined} port */
export const types = (port) => port?.sent.map(({ type }) => type);

/** @param {{ sent: { type: string, mode?: string }[] } | undefined} port */
export const modes = (port) => port?.sent.filter(({ type }) => type === 'armed').map(({ mode }) => mode);

/** @param {number} time */
export const observation = (time) => ({ what: /** @type {const} */ ('document-parsed'), time, spanId: '1'.repeat(16) });

/** @param {SessionContext | null} [inForce] */
export async function begin(inForce = null) {
  const browser = fakeChrome();
  const renewed = mock.fn();
  const measurePages = mock.fn(async () => {});
  const changed = mock.fn();
  const forgotten = mock.fn();
  const contextsKept = mock.fn();
  const testChanged = mock.fn();
  const parts = connectHost({ renewed, changed, forgotten, contextsKept, testChanged, measurePages });
  const record = inForce && { session: inForce, propagation: DEFAULT_PROPAGATION, kept: null };
  const open = parts.host.openSession(Promise.resolve(record));
  await settled();
  return { ...browser, ...parts, open, renewed, changed, forgotten, contextsKept, testChanged, measurePages };
}

/** @param {object} changed @param {object} [more] */
export const carrying = (changed, more) => ({ ...answer(), propagation: { ...DEFAULT_PROPAGATION, ...changed }, ...more });
