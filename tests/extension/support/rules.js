/**
 * Rules of two tabs, and requests that leave under them.
 */

import { BrowserContexts } from '../../../extension/context/browser-contexts.js';
import { DEFAULT_PROPAGATION, Propagation } from '../../../extension/context/propagation.js';
import { AS_CONFIGURED } from '../../../extension/context/session.js';
import { Traces } from '../../../extension/context/traces.js';
import { recordRule } from '../../../extension/headers/record.js';
import { detailedRules, lightweightRules } from '../../../extension/headers/rules.js';
import { fakeChrome } from './chrome.js';
import { fakeOutbox, fakeSession, spanId } from './session.js';

/** @import { PropagationSettings } from '../../../extension/context/propagation.js' */
/** @import { TracedContext } from '../../../extension/context/traces.js' */
/** @import { Steering } from '../../../extension/context/steering.js' */
/** @import { Contexts } from '../../../extension/headers/record.js' */
/** @import { ResourceType, Rule } from '../../../extension/headers/rules.js' */

/** @type {ResourceType[]} */
export const TYPES = ['image', 'main_frame', 'script'];

/** @param {number} n @param {Partial<TracedContext>} [special] @returns {TracedContext} */
export const context = (n, special) => ({ spanId: spanId(n), flags: '01', ...special });

export const SESSION = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), flags: '00' };

/** @type {Contexts} */
export const contexts = {
  session: SESSION,
  spare: context(1),
  tabs: new Map([
    [7, { ruleId: 10, current: context(2), next: context(3) }],
    [8, { ruleId: 12, current: context(4), next: context(4) }],
  ]),
};

/** The rule of detailed mode. */
export const DETAILED = recordRule({ mode: 'detailed', session: SESSION, propagation: DEFAULT_PROPAGATION, contexts: null, kept: null });

/** What tab 7 carries, in place of what it carries above. @param {TracedContext} current @param {TracedContext} [next] */
export const withTab = (current, next = current) => ({ ...contexts, tabs: new Map([[7, { ruleId: 10, current, next }]]) });

/**
 * Builds the rules of a session.
 *
 * @param {Partial<PropagationSettings>} [settings]
 * @param {Contexts} [carried]
 * @param {number[]} [clients] the tabs whose client puts headers on every request
 * @param {string[] | null} [hosts] the hosts that clients have navigated to
 */
export function rulesOf(settings, carried = contexts, clients = [], hosts = undefined) {
  const session = fakeSession(settings, { context: SESSION });
  const traces = new Traces(session, fakeOutbox(), session.events, new BrowserContexts());
  const known = { carried: traces.carried.bind(traces), rootOf: traces.rootOf.bind(traces), clients: { withHeaders: () => clients } };
  const kept = hosts === undefined ? null : { paused: false, chosen: AS_CONFIGURED, started: 0, hosts, hadIncognito: false };
  return lightweightRules(carried, TYPES, session.propagation, known, kept);
}

/** @type {ResourceType[]} */
const DETAILED_TYPES = ['image', 'main_frame', 'script', 'xmlhttprequest'];

/**
 * Builds the rules of detailed mode for the same tabs.
 *
 * @param {Partial<PropagationSettings>} [settings]
 * @param {object} [state]
 * @param {number[]} [state.clients] the tabs whose client puts headers on every request
 * @param {Map<number, TracedContext>} [state.roots] the roots of tabs that are not in the session's trace
 * @param {boolean} [state.paused]
 * @param {(tabId: number) => boolean} [state.needsRules]
 * @param {(tabId: number) => string[]} [state.hostsWithoutRules]
 * @param {string[]} [state.hosts] the hosts that clients have navigated to
 * @param {Contexts['tabs']} [tabs]
 */
export function detailedRulesOf(settings, { clients = [], roots = new Map(), paused = false, needsRules = () => false, hostsWithoutRules, hosts = [] } = {}, tabs = contexts.tabs) {
  const session = fakeSession(settings, { context: SESSION });
  const traces = new Traces(session, fakeOutbox(), session.events, new BrowserContexts());
  const known = {
    carried: traces.carried.bind(traces),
    rootOf: (/** @type {number} */ tabId) => roots.get(tabId) ?? SESSION,
    clients: { withHeaders: () => clients },
  };
  const propagation = new Propagation(session.propagation.settings, { paused });
  return detailedRules({ session: SESSION, tabs, needsRules, hostsWithoutRules }, DETAILED_TYPES, propagation, known, { paused, chosen: AS_CONFIGURED, started: 0, hosts, hadIncognito: false });
}

/** Settings by which images and scripts have no span of their own. @type {Pick<PropagationSettings, 'resources'>} */
export const CALLS = { resources: ['main_frame', 'sub_frame', 'xmlhttprequest', 'ping', 'websocket'] };

/**
 * Returns a function that sends requests under rules.
 *
 * @param {Rule[]} rules
 */
export function under(rules) {
  const browser = fakeChrome();
  rules.forEach((rule) => browser.rules.set(rule.id, rule));
  /** @param {object} details @param {Record<string, string>} [headers] @returns {Record<string, string>} */
  const carried = (details, headers = {}) => {
    const requestHeaders = Object.entries(headers).map(([name, value]) => ({ name, value }));
    return Object.fromEntries(browser.leave({ ...details, requestHeaders }).map(({ name, value }) => [name, value ?? '']));
  };
  return carried;
}

/** Patterns of targets. */
export const SHOP = '^https://shop\\.test/';
export const BANK = '^https://bank\\.test/(?:a|b)';
/** @param {Rule[]} rules */
export const ids = (rules) => rules.map(({ id }) => id);

/** @param {Partial<Steering>} asked @returns {Steering} */
export const steering = (asked) => ({ off: false, propagators: null, sampling: null, newTrace: false, parent: null, mode: null, ...asked });
export const OFF = steering({ off: true });
