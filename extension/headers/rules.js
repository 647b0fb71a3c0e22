/**
 * Turns contexts into session rules, and reads back what a worker before this one left: one rule, which matches nothing, keeps the record of it,
 * so that a navigation costs no other write.
 */

import { isChoice, isNavigationContext, isObject, isPropagation, isSessionContext } from '../channel/messages.js';
import { CONTROL_HEADER } from '../context/control.js';
import { BAGGAGE } from '../context/lists.js';
import { formatTraceparent } from '../context/traceparent.js';

/** @import { Choice, Mode, Propagation as Settings, SessionContext } from '../channel/messages.js' */
/** @import { Propagation } from '../context/propagation.js' */
/** @import { NavigationContext, Traces } from '../context/traces.js' */
/** @typedef {chrome.declarativeNetRequest.Rule} Rule */
/** @typedef {`${chrome.declarativeNetRequest.ResourceType}`} ResourceType */

/**
 * What a tab's requests carry: `next` goes with main-frame requests, `current` with all others.
 *
 * @typedef {{ ruleId: number, current: NavigationContext, next: NavigationContext }} TabContexts
 */
/** @typedef {{ session: SessionContext, spare: NavigationContext, tabs: Map<number, TabContexts> }} Contexts */
/**
 * What the user chose in the popup, for as long as the browser runs, and since when the session's trace is in use.
 *
 * @typedef {{ paused: boolean, chosen: Choice, started: number }} Kept
 */
/** @typedef {{ session: SessionContext, mode: Mode, propagation: Settings, contexts: Contexts | null, kept: Kept | null }} InForce `contexts`: in lightweight mode */

const RECORD_RULE = 1;
const CONTROL_RULE = 2;
const CLIENT_RULE = 3;
const ROOT_RULE = 4;
const SPARE_RULE = 5;
const FIRST_TAB_RULE = 10;

/** Each target has rules of its own, so many ids from the ones of the target before; then come those of what is excluded. */
const TARGET_RULES = 10_000;
const EXCLUDE_RULES = 1_000_000_000;
const CLIENT_EXCLUDE_RULES = 1_100_000_000;

/** Every address: nobody gets headers while navtrace is paused. */
const EVERY_ADDRESS = '^';

/** A domain that can't exist, so that a rule for it matches nothing. */
const NOWHERE = 'navtrace.invalid';

/**
 * The rule with the highest priority wins: a tab's own over the spare, a main frame's over the one for all types; and whatever takes headers
 * away, or keeps them from being set, over all of these.
 */
const PRIORITY = { client: 1, root: 2, spare: 3, current: 4, next: 5, exclude: 6, control: 7 };

/** The browser takes 5,000 session rules in all, and 1,000 with a regular expression. */
const MOST_RULES = 4800;
const MOST_REGEX_RULES = 1000;

/** Rules that do not belong to a tab. */
const COMMON_RULES = 10;

/**
 * Tells how many tabs there is room for.
 *
 * @param {Settings} settings
 * @returns {number}
 */
export function mostSlots({ targets, exclude }) {
  const rules = targets.length === 0 ? MOST_RULES : (MOST_REGEX_RULES - 2 * exclude.length) / targets.length - COMMON_RULES;
  return Math.floor(rules / 2);
}

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
 * @param {string} traceId of the session
 * @param {NavigationContext} context
 */
export const serverTiming = (traceId, { spanId, flags, trace }) => ({
  name: 'Server-Timing',
  value: `traceparent;desc="${formatTraceparent({ traceId: trace?.traceId ?? traceId, spanId, flags })}"`,
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
 * @param {Propagation} propagation
 * @param {Pick<Traces, 'carried' | 'withClients'>} traces
 * @param {Kept} [kept]
 * @returns {Rule[]}
 */
export function rulesFor(contexts, allTypes, propagation, traces, kept) {
  const { session, spare, tabs } = contexts;
  const { targets } = propagation.settings;
  const exclude = propagation.paused ? [EVERY_ADDRESS] : propagation.settings.exclude;
  const fields = [...propagation.fields];
  const subTypes = allTypes.filter((type) => type !== 'main_frame');

  /**
   * Builds one rule; for each target, where not everything is one.
   *
   * @param {number} id
   * @param {keyof typeof PRIORITY} kind
   * @param {NavigationContext} context
   * @param {number} [tabId]
   * @returns {Rule[]}
   */
  const rulesOf = (id, kind, context, tabId) => {
    const condition = {
      resourceTypes: kind === 'spare' || kind === 'next' ? ['main_frame'] : kind === 'current' ? subTypes : allTypes,
      ...(tabId === undefined ? {} : { tabIds: [tabId] }),
    };
    const action = actionOf(kind, context);
    if (action === null) return [];
    const conditions = targets.length === 0 ? [condition] : targets.map((target) => ({ ...condition, ...matching(target) }));
    return conditions.map((each, n) => rule(id + n * TARGET_RULES, kind, each, action));
  };

  /** @param {string} kind @param {NavigationContext} context */
  const actionOf = (kind, context) => {
    // Keeps all rules of lower priority from setting headers.
    if (context.steering?.off === true) return { type: 'allow' };
    const written = propagation.inject(traces.carried(context, context.spanId), context.steering?.propagators ?? undefined);
    if ((context.steering?.propagators ?? null) !== null) {
      // What rules of lower priority would set all the same, or a client has set.
      const set = new Set(written.map(([header]) => header));
      const others = fields.filter((field) => !set.has(field) && (field !== BAGGAGE || propagation.settings.baggage !== ''));
      written.push(...others.map((field) => /** @type {[string, null]} */ ([field, null])));
    }
    if (written.length === 0) return null;
    const requestHeaders = written.map(([header, value]) =>
      value === null ? { header, operation: 'remove' } : { header, operation: 'set', value },
    );
    // Every rule that matches appends: the spare, which matches in every tab, must not.
    if (kind !== 'next') return { type: 'modifyHeaders', requestHeaders };
    return { type: 'modifyHeaders', requestHeaders, responseHeaders: [responseHeader(session.traceId, context)] };
  };

  const rules = [
    recordRule('lightweight', session, propagation.settings, contexts, kept),
    controlRule(allTypes),
    ...rulesOf(ROOT_RULE, 'root', session),
    ...rulesOf(SPARE_RULE, 'spare', spare),
  ];
  for (const [tabId, { ruleId, current, next }] of tabs) {
    rules.push(...rulesOf(ruleId, 'current', current, tabId), ...rulesOf(ruleId + 1, 'next', next, tabId));
  }
  // What a client puts on every request goes to targets alone, as ours does.
  const tabIds = targets.length + exclude.length === 0 || fields.length === 0 ? [] : traces.withClients();
  rules.push(...clientRules(allTypes, tabIds, fields));
  for (const [n, pattern] of exclude.entries()) {
    const condition = { resourceTypes: allTypes, ...matching(pattern) };
    rules.push(rule(EXCLUDE_RULES + n, 'exclude', condition, { type: 'allow' }));
    if (tabIds.length > 0) rules.push(rule(CLIENT_EXCLUDE_RULES + n, 'control', { ...condition, tabIds }, taking(fields)));
  }
  return rules;
}

/** @param {string} pattern */
const matching = (pattern) => ({ regexFilter: pattern, isUrlFilterCaseSensitive: true });

/** @param {string[]} headers */
const taking = (headers) => ({
  type: 'modifyHeaders',
  requestHeaders: headers.map((header) => ({ header, operation: 'remove' })),
});

/**
 * @param {number} id
 * @param {keyof typeof PRIORITY} kind
 * @param {object} condition
 * @param {object} action
 */
const rule = (id, kind, condition, action) => /** @type {Rule} */ ({ id, priority: PRIORITY[kind], condition, action });

/**
 * Builds the rule that matches nothing and keeps the record of what is in force.
 *
 * @param {Mode} mode
 * @param {SessionContext} session
 * @param {Settings} propagation
 * @param {Contexts | null} contexts
 * @param {Kept} [kept]
 * @returns {Rule}
 */
function recordRule(mode, session, propagation, contexts, kept) {
  const { traceId, spanId, flags } = session;
  const record = {
    mode,
    session: { traceId, spanId, flags },
    propagation,
    contexts: contexts && {
      spare: contexts.spare,
      tabs: Array.from(contexts.tabs, ([tabId, { ruleId, current, next }]) => ({ tabId, ruleId, current, next })),
    },
    kept,
  };
  // A header's value is ASCII.
  const value = JSON.stringify(record).replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return rule(RECORD_RULE, 'root', { requestDomains: [NOWHERE] }, {
    type: 'modifyHeaders',
    requestHeaders: [{ header: 'navtrace-record', operation: 'set', value }],
  });
}

/** What a script steers by never leaves the browser. @param {ResourceType[]} allTypes */
const controlRule = (allTypes) => rule(CONTROL_RULE, 'control', { resourceTypes: allTypes }, taking([CONTROL_HEADER]));

/**
 * Takes away what clients put on every request of their tabs.
 *
 * @param {ResourceType[]} allTypes
 * @param {number[]} tabIds
 * @param {string[]} fields
 * @returns {Rule[]}
 */
const clientRules = (allTypes, tabIds, fields) =>
  tabIds.length === 0 ? [] : [rule(CLIENT_RULE, 'client', { resourceTypes: allTypes, tabIds }, taking(fields))];

/**
 * Builds the one rule of detailed mode.
 *
 * @param {SessionContext} session
 * @param {Settings} propagation
 * @param {Kept} [kept]
 * @returns {Rule}
 */
export const recordOf = (session, propagation, kept) => recordRule('detailed', session, propagation, null, kept);

/**
 * Builds the rules of detailed mode while navtrace is paused: no listener is asked then. What a client puts on every request goes to nobody, as in
 * lightweight mode.
 *
 * @param {SessionContext} session
 * @param {Propagation} propagation
 * @param {ResourceType[]} allTypes
 * @param {Pick<Traces, 'withClients'>} traces
 * @param {Kept} kept
 * @returns {Rule[]}
 */
export function pausedRules(session, propagation, allTypes, traces, kept) {
  const fields = [...propagation.fields];
  const tabIds = fields.length === 0 ? [] : traces.withClients();
  return [recordOf(session, propagation.settings, kept), controlRule(allTypes), ...clientRules(allTypes, tabIds, fields)];
}

/**
 * Reads the record that rules of {@link rulesFor} or {@link recordOf} have; null when they have none that can be read.
 *
 * @param {Rule[]} rules
 * @returns {InForce | null}
 */
export function inForceBy(rules) {
  const record = parsed(rules.find(({ id }) => id === RECORD_RULE)?.action.requestHeaders?.[0]?.value);
  if (!isObject(record)) return null;
  const { mode, session, propagation, contexts } = record;
  const kept = isKept(record.kept) ? record.kept : null;
  if (!isSessionContext(session) || !isPropagation(propagation)) return null;
  if (mode === 'detailed') return { session, mode, propagation, contexts: null, kept };
  if (mode !== 'lightweight' || !isObject(contexts) || !isNavigationContext(contexts.spare) || !Array.isArray(contexts.tabs)) return null;
  const tabs = new Map(contexts.tabs.filter(isTabRecord).map(({ tabId, ...tab }) => [tabId, tab]));
  return { session, mode, propagation, contexts: { session, spare: contexts.spare, tabs }, kept };
}

/** @param {unknown} value @returns {value is Kept} */
const isKept = (value) =>
  isObject(value) &&
  typeof value.paused === 'boolean' &&
  typeof value.started === 'number' &&
  isObject(value.chosen) &&
  isChoice(value.chosen);

/** @param {string | undefined} text @returns {unknown} */
function parsed(text) {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return null;
  }
}

/** @param {unknown} value @returns {value is TabContexts & { tabId: number }} */
const isTabRecord = (value) =>
  isObject(value) &&
  typeof value.tabId === 'number' &&
  typeof value.ruleId === 'number' &&
  isNavigationContext(value.current) &&
  isNavigationContext(value.next);
