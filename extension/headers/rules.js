/**
 * Turns contexts into session rules and back. The rules in force are also the record that a restarted worker reads, so that a navigation
 * costs no other write.
 */

import { formatTraceparent, parseTraceparent } from '../context/traceparent.js';

/** @import { NavigationContext, SessionContext } from '../channel/messages.js' */
/** @typedef {chrome.declarativeNetRequest.Rule} Rule */
/** @typedef {`${chrome.declarativeNetRequest.ResourceType}`} ResourceType */

/**
 * What a tab's requests carry: `next` goes with main-frame requests, `current` with all others.
 *
 * @typedef {{ ruleId: number, current: NavigationContext, next: NavigationContext }} TabContexts
 */
/** @typedef {{ session: SessionContext, spare: NavigationContext, tabs: Map<number, TabContexts> }} Contexts */

const ROOT_RULE = 1;
const SPARE_RULE = 2;
const FIRST_TAB_RULE = 10;

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
 * Builds the rules that put every context on its requests.
 *
 * @param {Contexts} contexts
 * @param {ResourceType[]} allTypes every type that the browser knows: a rule without types would leave main frames out
 * @returns {Rule[]}
 */
export function rulesFor({ session, spare, tabs }, allTypes) {
  /**
   * @param {number} id
   * @param {number} priority
   * @param {NavigationContext} context
   * @param {ResourceType[]} resourceTypes
   * @param {number} [tabId]
   */
  const rule = (id, priority, context, resourceTypes, tabId) =>
    /** @type {Rule} */ ({
      id,
      priority,
      condition: tabId === undefined ? { resourceTypes } : { resourceTypes, tabIds: [tabId] },
      action: {
        type: 'modifyHeaders',
        requestHeaders: [
          { header: 'traceparent', operation: 'set', value: formatTraceparent({ traceId: session.traceId, ...context }) },
        ],
      },
    });

  const { spanId, flags } = session;
  const rules = [
    rule(ROOT_RULE, PRIORITY.root, { spanId, flags }, allTypes),
    rule(SPARE_RULE, PRIORITY.spare, spare, ['main_frame']),
  ];
  for (const [tabId, { ruleId, current, next }] of tabs) {
    rules.push(rule(ruleId, PRIORITY.current, current, allTypes, tabId));
    if (next.spanId !== current.spanId) rules.push(rule(ruleId + 1, PRIORITY.next, next, ['main_frame'], tabId));
  }
  return rules;
}

/**
 * Reads the contexts back from rules that {@link rulesFor} built; null when they are not such rules.
 *
 * @param {Rule[]} rules
 * @returns {Contexts | null}
 */
export function contextsFrom(rules) {
  const byId = new Map(rules.map((rule) => [rule.id, rule]));
  /** @param {number} id */
  const contextOf = (id) => parseTraceparent(byId.get(id)?.action.requestHeaders?.[0]?.value);

  const session = contextOf(ROOT_RULE);
  const spare = contextOf(SPARE_RULE);
  if (session === null || spare === null) return null;

  /** @type {Contexts['tabs']} */
  const tabs = new Map();
  for (const { id, priority, condition } of rules) {
    const [tabId] = condition.tabIds ?? [];
    const current = contextOf(id);
    if (priority !== PRIORITY.current || tabId === undefined || current === null) continue;
    const next = contextOf(id + 1) ?? current;
    tabs.set(tabId, { ruleId: id, current: withoutTrace(current), next: withoutTrace(next) });
  }
  return { session, spare: withoutTrace(spare), tabs };
}

/**
 * @param {SessionContext} context
 * @returns {NavigationContext}
 */
const withoutTrace = ({ spanId, flags }) => ({ spanId, flags });
