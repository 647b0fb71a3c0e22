/**
 * Builds the session rules that put contexts on requests. Pure.
 */

import { BAGGAGE } from '../context/lists.js';
import { STEERING_HEADER } from '../context/steering.js';
import { formatTraceparent } from '../context/traceparent.js';
import { recordRule } from './record.js';

/** @import { Propagation } from '../context/propagation.js' */
/** @import { Kept } from '../context/session.js' */
/** @import { TracedContext, Traces } from '../context/traces.js' */
/** @import { SessionContext } from '../protocol.d.ts' */
/** @import { Contexts, TabContexts } from './record.js' */
/** @typedef {chrome.declarativeNetRequest.Rule} Rule */
/** @typedef {`${chrome.declarativeNetRequest.ResourceType}`} ResourceType */
/** @typedef {{ carried: Traces['carried'], clients: Pick<Traces['clients'], 'withHeaders'> }} RuleTraces */

const STEERING_RULE = 2;
const CLIENT_RULE = 3;
const ROOT_RULE = 4;
const SPARE_RULE = 5;
const FIRST_TAB_RULE = 10;

/** Distance between the rule ids of one target and the next. The ids of exclusions follow. */
const TARGET_RULES = 10_000;
const EXCLUDE_RULES = 1_000_000_000;
const CLIENT_EXCLUDE_RULES = 1_100_000_000;

/**
 * The rule with the highest priority wins: a tab's rule over the spare, a main frame's over that for all types, and rules that remove headers
 * or keep them from being set over all of these.
 */
const PRIORITY = { client: 1, root: 2, spare: 3, current: 4, next: 5, exclude: 6, steering: 7 };

/** The browser allows 5,000 session rules, 1,000 of them with a regular expression. */
const MAX_RULES = 4800;
const MAX_REGEX_RULES = 1000;

/** Number of tabs for which there are rules without regular expressions: each has two. */
export const MAX_TABS = MAX_RULES / 2;

/** Rules that do not belong to a tab. */
const COMMON_RULES = 10;

/**
 * Counts the tabs for which there is room.
 *
 * @param {Pick<Propagation, 'targets' | 'exclude'>} propagation
 * @returns {number} may be negative
 */
export const roomForTabs = ({ targets, exclude }) =>
  targets.length === 0 ? MAX_TABS : Math.floor(((MAX_REGEX_RULES - 2 * exclude.length) / targets.length - COMMON_RULES) / 2);

/** Returns the lowest rule id that is free for a tab, together with the id after it. @param {Iterable<TabContexts>} tabs */
export function freeRuleId(tabs) {
  const used = new Set(Array.from(tabs, ({ ruleId }) => ruleId));
  let ruleId = FIRST_TAB_RULE;
  while (used.has(ruleId)) ruleId += 2;
  return ruleId;
}

/**
 * Returns the header by which a response names its navigation's context.
 *
 * @param {string} traceId the session's trace
 * @param {TracedContext} context
 */
export const serverTiming = (traceId, { spanId, flags, trace }) => ({
  name: 'Server-Timing',
  value: `traceparent;desc="${formatTraceparent({ traceId: trace?.traceId ?? traceId, spanId, flags })}"`,
});

/** @param {number} id @param {keyof typeof PRIORITY} kind @param {object} condition @param {object} action */
const rule = (id, kind, condition, action) => /** @type {Rule} */ ({ id, priority: PRIORITY[kind], condition, action });

/** @param {string} pattern */
const matching = (pattern) => ({ regexFilter: pattern, isUrlFilterCaseSensitive: true });

/** @param {string[]} headers */
const removing = (headers) => ({ type: 'modifyHeaders', requestHeaders: headers.map((header) => ({ header, operation: 'remove' })) });

/** The steering header never leaves the browser. @param {ResourceType[]} allTypes */
const steeringRule = (allTypes) => rule(STEERING_RULE, 'steering', { resourceTypes: allTypes }, removing([STEERING_HEADER]));

/** Removes the headers of clients from their tabs. @param {ResourceType[]} allTypes @param {number[]} tabIds @param {string[]} fields */
const clientRules = (allTypes, tabIds, fields) =>
  tabIds.length === 0 ? [] : [rule(CLIENT_RULE, 'client', { resourceTypes: allTypes, tabIds }, removing(fields))];

/**
 * Builds the action that puts a context on requests.
 *
 * @param {TracedContext} context @param {Propagation} propagation @param {Pick<Traces, 'carried'>} traces
 * @returns {{ type: string, requestHeaders?: object[] } | null} null when there is no header to change
 */
function actionOf(context, propagation, traces) {
  const { off = false, propagators = null } = context.steering ?? {};
  // Keeps rules of lower priority from setting headers.
  if (off) return { type: 'allow' };
  const written = propagation.inject(traces.carried(context, context.spanId), propagators ?? undefined);
  if (propagators !== null) {
    // Removes headers that rules of lower priority would set all the same, or that a client has set.
    const set = new Set(written.map(([header]) => header));
    const others = [...propagation.fields].filter((field) => !set.has(field) && (field !== BAGGAGE || propagation.settings.baggage !== ''));
    written.push(...others.map((field) => /** @type {[string, null]} */ ([field, null])));
  }
  if (written.length === 0) return null;
  const requestHeaders = written.map(([header, value]) =>
    value === null ? { header, operation: 'remove' } : { header, operation: 'set', value },
  );
  return { type: 'modifyHeaders', requestHeaders };
}

/**
 * Builds the rules of lightweight mode, which put every context on its requests, and a navigation's on its response.
 *
 * @param {Contexts} contexts
 * @param {ResourceType[]} allTypes every type of the browser: a rule without types would leave main frames out
 * @param {Propagation} propagation @param {RuleTraces} traces @param {Kept | null} [kept]
 */
export function lightweightRules(contexts, allTypes, propagation, traces, kept = null) {
  const { session, spare, tabs } = contexts;
  const { settings, targets, exclude } = propagation;
  const fields = [...propagation.fields];
  const subTypes = allTypes.filter((type) => type !== 'main_frame');

  /**
   * Builds the rule of a context, for each target where there are targets.
   *
   * @param {number} id @param {'root' | 'spare' | 'current' | 'next'} kind @param {TracedContext} context @param {number} [tabId]
   */
  const rulesOf = (id, kind, context, tabId) => {
    const action = actionOf(context, propagation, traces);
    if (action === null) return [];
    // Every rule that matches appends to a response, so the spare must not: it matches in every tab.
    if (kind === 'next' && action.type !== 'allow') {
      const { name, value } = serverTiming(session.traceId, context);
      Object.assign(action, { responseHeaders: [{ header: name, operation: 'append', value }] });
    }
    const condition = {
      resourceTypes: kind === 'spare' || kind === 'next' ? ['main_frame'] : kind === 'current' ? subTypes : allTypes,
      ...(tabId === undefined ? {} : { tabIds: [tabId] }),
    };
    const conditions = targets.length === 0 ? [condition] : targets.map((target) => ({ ...condition, ...matching(target) }));
    return conditions.map((each, n) => rule(id + n * TARGET_RULES, kind, each, action));
  };

  const rules = [
    recordRule({ mode: 'lightweight', session, propagation: settings, contexts, kept }),
    steeringRule(allTypes),
    ...rulesOf(ROOT_RULE, 'root', session),
    ...rulesOf(SPARE_RULE, 'spare', spare),
  ];
  for (const [tabId, { ruleId, current, next }] of tabs) {
    rules.push(...rulesOf(ruleId, 'current', current, tabId), ...rulesOf(ruleId + 1, 'next', next, tabId));
  }
  // A client's headers go to targets only, as ours do.
  const tabIds = targets.length + exclude.length === 0 || fields.length === 0 ? [] : traces.clients.withHeaders();
  rules.push(...clientRules(allTypes, tabIds, fields));
  for (const [n, pattern] of exclude.entries()) {
    const condition = { resourceTypes: allTypes, ...matching(pattern) };
    rules.push(rule(EXCLUDE_RULES + n, 'exclude', condition, { type: 'allow' }));
    if (tabIds.length > 0) rules.push(rule(CLIENT_EXCLUDE_RULES + n, 'steering', { ...condition, tabIds }, removing(fields)));
  }
  return rules;
}

/**
 * Builds the rules of detailed mode: the record only. While paused there is no listener, so that rules remove the headers.
 *
 * @param {SessionContext} session @param {ResourceType[]} allTypes @param {Propagation} propagation
 * @param {RuleTraces} traces @param {Kept | null} kept
 */
export function detailedRules(session, allTypes, propagation, traces, kept) {
  const record = recordRule({ mode: 'detailed', session, propagation: propagation.settings, contexts: null, kept });
  if (!propagation.paused) return [record];
  const fields = [...propagation.fields];
  const tabIds = fields.length === 0 ? [] : traces.clients.withHeaders();
  return [record, steeringRule(allTypes), ...clientRules(allTypes, tabIds, fields)];
}
