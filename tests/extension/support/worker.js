/**
 * Connects the parts that speak with the host, as the service worker does.
 */

import { mock } from 'node:test';

import { Host } from '../../../extension/channel/host.js';
import { Session, fallbackSession } from '../../../extension/context/session.js';
import { Status } from '../../../extension/pages/status.js';
import { Outbox } from '../../../extension/observe/outbox.js';

/** @param {Partial<import('../../../extension/channel/host.js').Handlers>} [handlers] */
export function connectHost({ renewed = () => {}, changed = () => {}, forgotten = () => {}, contextsKept = () => {}, testChanged = () => {}, measurePages = async () => {}, readK6Spans = async () => {} } = {}) {
  const fallback = fallbackSession();
  const outbox = new Outbox();
  const session = new Session(fallback, { taken: () => host.replenish() });
  const host = new Host(session, outbox, {
    renewed,
    changed: () => {
      status.show();
      changed();
    },
    forgotten,
    contextsKept,
    testChanged,
    measurePages,
    readK6Spans,
  });
  const status = new Status(session, host);
  host.connect();
  return { fallback, outbox, session, host };
}

/** Resets all mocks, and silences the console. */
export function resetMocks() {
  mock.reset();
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  mock.method(console, 'error', () => {});
  return mock.method(console, 'warn', () => {});
}
