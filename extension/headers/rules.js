/**
 * Turns contexts into session rules and back. The rules in force are also the record that a restarted worker reads, so that a navigation
 * costs no other write.
 */

import { formatTraceparent, parseTraceparent } from '../context/traceparent.js';

/** @import { Mode, NavigationContext, SessionContext } from '../channel/messages.js' */
/** @typedef {chrome.declarativeNetRequest.Rule} Rule */
/** @typedef {`${chrome.declarativeNetRequest.ResourceType}`} ResourceType */

/**
 * What a tab's requests carry: `next` goes with main-frame requests, `current` with all others.
 *
 * @typedef {{ ruleId: number, current: NavigationContext, next: NavigationContext }} TabContexts
 */
/** @typedef {{ session: SessionContext, spare: NavigationContext, tabs: Map<number, TabContexts> }} Contexts */
/** @typedef {{ session: SessionContext, mode: Mode, contexts: Contexts | null }} InForce `contexts`: in lightweight mode */

const ROOT_RULE = 1;
const SPARE_RULE = 2;
const FIRST_TAB_RULE = 10;

/** A domain that can't exist, so that a rule for it matches nothing. */
const NOWHERE = 'navtrace.invalid';

/** The rule with the highest priority wins: a tab's own over the spare, a main frame's over the one for all types. */
const PRIORITY = { root: 1, spare: 2, current: 3, next: 4 };

/**
 * Returns the lowest rule id that is free for a tab. A tab has it and the one after it.
 *
 * @param {Iterable<TabContexts>} tabs
 * @returns {number}
 */
export function freeRuleId(tabs) {
  const used = new Set(Array.from(tabs, ({ ruleId }) => ruleId));
  let ruleId = FIRST_TAB_RULE;
  while (used.has(ruleId)) ruleId += 2;
  return ruleId;
}

/**
 * Writes a navigation's context as its response names it.
 *
 * @param {string} traceId
 * @param {NavigationContext} context
 */
export const serverTiming = (traceId, { spanId, flags }) => ({
  name: 'Server-Timing',
  value: `traceparent;desc="${formatTraceparent({ traceId, spanId, flags })}"`,
});

/** @param {string} traceId @param {NavigationContext} context */
const requestHeader = (traceId, { spanId, flags }) => ({
  header: 'traceparent',
  operation: 'set',
  value: formatTraceparent({ traceId, spanId, flags }),
});

/** @param {string} traceId @param {NavigationContext} context */
function responseHeader(traceId, context) {
  const { name, value } = serverTiming(traceId, context);
  return { header: name, operation: 'append', value };
}

/**
 * Builds the rules that put every context on its requests, and a navigation's on its response.
 *
 * @param {Contexts} contexts
 * @param {ResourceType[]} allTypes every type that the browser knows: a rule without types would leave main frames out
 * @returns {Rule[]}
 */
export function rulesFor({ session, spare, tabs }, allTypes) {
  const { traceId } = session;
  /**
   * @param {number} id
   * @param {number} priority
   * @param {NavigationContext} context
   * @param {number} [tabId]
   */
  const rule = (id, priority, context, tabId) => {
    const resourceTypes = priority === PRIORITY.spare || priority === PRIORITY.next ? ['main_frame'] : allTypes;
    const requestHeaders = [requestHeader(traceId, context)];
    return /** @type {Rule} */ ({
      id,
      priority,
      condition: tabId === undefined ? { resourceTypes } : { resourceTypes, tabIds: [tabId] },
      // Every rule that matches appends: the spare, which matches in every tab, must not.
      action:
        priority === PRIORITY.next
          ? { type: 'modifyHeaders', requestHeaders, responseHeaders: [responseHeader(traceId, context)] }
          : { type: 'modifyHeaders', requestHeaders },
    });
  };

  const rules = [rule(ROOT_RULE, PRIORITY.root, session), rule(SPARE_RULE, PRIORITY.spare, spare)];
  for (const [tabId, { ruleId, current, next }] of tabs) {
    rules.push(rule(ruleId, PRIORITY.current, current, tabId), rule(ruleId + 1, PRIORITY.next, next, tabId));
  }
  return rules;
}

/**
 * Builds the rule that matches nothing and keeps the session's context.
 *
 * @param {SessionContext} session
 * @returns {Rule}
 */
export const recordOf = (session) =>
  /** @type {Rule} */ ({
    id: ROOT_RULE,
    priority: PRIORITY.root,
    condition: { requestDomains: [NOWHERE] },
    action: { type: 'modifyHeaders', requestHeaders: [requestHeader(session.traceId, session)] },
  });

/**
 * Reads back what rules that {@link rulesFor} or {@link recordOf} built stand for; null when they are not such rules.
 *
 * @param {Rule[]} rules
 * @returns {InForce | null}
 */
export function inForceBy(rules) {
  const byId = new Map(rules.map((rule) => [rule.id, rule]));
  /** @param {number} id */
  const contextOf = (id) => parseTraceparent(byId.get(id)?.action.requestHeaders?.[0]?.value);

  const session = contextOf(ROOT_RULE);
  if (session === null) return null;
  if (byId.get(ROOT_RULE)?.condition.requestDomains?.[0] === NOWHERE) return { session, mode: 'detailed', contexts: null };
  const spare = contextOf(SPARE_RULE);
  if (spare === null) return null;

  /** @type {Contexts['tabs']} */
  const tabs = new Map();
  for (const { id, priority, condition } of rules) {
    const [tabId] = condition.tabIds ?? [];
    const current = contextOf(id);
    const next = contextOf(id + 1);
    if (priority !== PRIORITY.current || tabId === undefined || current === null || next === null) continue;
    tabs.set(tabId, { ruleId: id, current: withoutTrace(current), next: withoutTrace(next) });
  }
  return { session, mode: 'lightweight', contexts: { session, spare: withoutTrace(spare), tabs } };
}

/**
 * @param {SessionContext} context
 * @returns {NavigationContext}
 */
const withoutTrace = ({ spanId, flags }) => ({ spanId, flags });
