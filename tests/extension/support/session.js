/**
 * A fake session, whose ids number what it issues.
 */

import { mock } from 'node:test';

import { ClientHosts } from '../../../extension/context/client-hosts.js';
import { IncognitoTabs } from '../../../extension/context/incognito.js';
import { DEFAULT_PROPAGATION, Propagation } from '../../../extension/context/propagation.js';

/** @import { PropagationSettings } from '../../../extension/context/propagation.js' */

/** @param {number} n */
export const spanId = (n) => n.toString(16).padStart(16, '0');

/** @param {number} n */
export const traceId = (n) => n.toString(16).padStart(32, '0');

/** @param {Partial<PropagationSettings>} [settings] */
export const propagating = (settings) => new Propagation({ ...DEFAULT_PROPAGATION, ...settings });

/** The tabs of a browser that a test client drives. */
export const ALIKE = new IncognitoTabs(() => 'shared');

export const SESSION = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '01' };

/**
 * Makes a session that issues contexts and traces with the ids 1, 2, 3 and so on.
 *
 * @param {Partial<PropagationSettings>} [settings]
 * @param {{ context?: typeof SESSION, flags?: string }} [options] `flags`: of all that is issued
 */
export function fakeSession(settings, { context = SESSION, flags = context.flags } = {}) {
  let issued = 0;
  const problem = mock.fn((/** @type {string} */ _message) => {});
  return {
    context,
    exports: true,
    propagation: propagating(settings),
    hosts: new ClientHosts(),
    incognito: new IncognitoTabs(() => settings?.incognito),
    /** @type {import('../../../extension/protocol.d.ts').TestContext | null} */
    test: null,
    use: mock.fn(),
    take: () => ({ spanId: spanId(++issued), flags }),
    takeTrace: () => ({ traceId: traceId(++issued), spanId: spanId(issued), flags }),
    /** What {@link Traces} calls. */
    events: { problem, sampled: mock.fn(), clientChanged: mock.fn() },
    /** The problems reported so far. */
    problems: () => problem.mock.calls.map(({ arguments: [message] }) => message),
  };
}

/** Makes an outbox that keeps observations as the host would read them. */
export function fakeOutbox() {
  /** @type {any[]} */
  const observed = [];
  return { observed, observe: (/** @type {any} */ observation) => void observed.push(JSON.parse(JSON.stringify(observation))) };
}
