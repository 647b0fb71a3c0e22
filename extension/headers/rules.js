/**
 * Builds the session rules that put contexts on requests. Pure.
 */

import { WORKERS } from '../context/incognito.js';
import { BAGGAGE } from '../context/lists.js';
import { STEERING_HEADERS } from '../context/steering.js';
import { recordRule } from './record.js';
import { serverTiming } from './server-timing.js';
import { sameContent } from './tab.js';

/** @import { Propagation, PropagationSettings } from '../context/propagation.js' */
/** @import { Kept } from '../context/session.js' */
/** @import { TracedContext, Traces } from '../context/traces.js' */
/** @import { SessionContext } from '../protocol.d.ts' */
/** @import { Contexts, TabContexts } from './record.js' */
/** @typedef {chrome.declarativeNetRequest.Rule} Rule */
/** @typedef {`${chrome.declarativeNetRequest.ResourceType}`} ResourceType */
/** @typedef {{ carried: Traces['carried'], rootOf: Traces['rootOf'], clients: Pick<Traces['clients'], 'withHeaders'> }} RuleTraces */

const STEERING_RULE = 2;
const CLIENT_RULE = 3;
const ROOT_RULE = 4;
const SPARE_RULE = 5;
const WORKER_EXCLUSION_RULE = 6;
/** Distance to the ids of the same rules for kinds of requests without a span of their own. */
const OTHER_RULES = 4;
const OUTSIDE_RULE = 8;
const WORKER_RULE = 9;
const FIRST_TAB_RULE = 10;

/** Distance between the rule ids of one target and the next. The ids of exclusions follow. */
const TARGET_RULES = 10_000;
const EXCLUDE_RULES = 1_000_000_000;
const CLIENT_EXCLUDE_RULES = 1_100_000_000;

/**
 * The rule with the highest priority wins: a tab's rule over the spare, a main frame's over that for all types. `client` removes a client's
 * headers only where no other rule sets them; `exclude` keeps all of these from setting any.
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
 * @param {Pick<Propagation, 'targets' | 'exclude'> & { limitsBaggage?: boolean }} propagation
 * @returns {number} may be negative
 */
export const roomForTabs = ({ targets, exclude, limitsBaggage }) =>
  targets.length === 0 ? MAX_TABS / (limitsBaggage ? 2 : 1) : Math.floor(((MAX_REGEX_RULES - 2 * exclude.length) / targets.length - COMMON_RULES) / 2);

/** Returns the lowest rule id that is free for a tab, together with the id after it. @param {Iterable<TabContexts>} tabs */
export function freeRuleId(tabs) {
  const used = new Set(Array.from(tabs, ({ ruleId }) => ruleId));
  let ruleId = FIRST_TAB_RULE;
  while (used.has(ruleId)) ruleId += 2;
  return ruleId;
}

/** @param {number} id @param {keyof typeof PRIORITY} kind @param {object} condition @param {object} action */
const rule = (id, kind, condition, action) => /** @type {Rule} */ ({ id, priority: PRIORITY[kind], condition, action });

/** @param {string} pattern */
const matching = (pattern) => ({ regexFilter: pattern, isUrlFilterCaseSensitive: true });

/** Matches an address with or without a query. It needs no regular expression, of which rules can have few. @param {string} address */
const startingWith = (address) => ({ urlFilter: `|${address}^`, isUrlFilterCaseSensitive: true });

/** @param {string[]} headers */
const removing = (headers) => ({ type: 'modifyHeaders', requestHeaders: headers.map((header) => ({ header, operation: 'remove' })) });

/**
 * Builds the action that puts a context on requests.
 *
 * @param {TracedContext} context @param {Propagation} propagation @param {Pick<Traces, 'carried'>} traces
 * @param {readonly string[]} foreign the headers of other formats to remove
 * @param {string} baggage the session's, if it goes along
 * @returns {{ type: string, requestHeaders?: object[] } | null} null when there is no header to change
 */
function actionOf(context, propagation, traces, foreign, baggage) {
  const { off = false, propagators = null } = context.steering ?? {};
  // Keeps rules of lower priority from setting headers.
  if (off) return { type: 'allow' };
  const written = propagation.inject(traces.carried(context, context.spanId, baggage), propagators ?? undefined);
  const set = new Set(written.map(([header]) => header));
  // Removes headers that rules of lower priority would set all the same, or that a client has set.
  const configured = propagators === null ? [] : [...propagation.fields].filter((field) => field !== BAGGAGE || baggage !== '');
  // The root's rule writes baggage in all tabs.
  const apart = context.isIncognito === true && propagation.fields.has(BAGGAGE) && propagation.settings.baggage !== '' ? [BAGGAGE] : [];
  const others = [...new Set([...configured, ...foreign, ...apart])].filter((field) => !set.has(field));
  written.push(...others.map((field) => /** @type {[string, null]} */ ([field, null])));
  if (written.length === 0) return null;
  const requestHeaders = written.map(([header, value]) =>
    value === null ? { header, operation: 'remove' } : { header, operation: 'set', value },
  );
  return { type: 'modifyHeaders', requestHeaders };
}

/**
 * Returns the kinds of addresses that get different headers: as conditions of rules, with the session's baggage if they get it.
 *
 * @param {Propagation} propagation @param {string[] | null} hosts see {@link ClientHosts.list}
 * @param {boolean} isDocuments whether the rules are for main frames alone
 * @returns {{ where: object, baggage: string }[]}
 */
function addressesOf({ targets, limitsBaggage, settings: { baggage } }, hosts, isDocuments) {
  if (targets.length > 0) return targets.map((target) => ({ where: matching(target), baggage }));
  if (!limitsBaggage || (hosts === null && isDocuments)) return [{ where: {}, baggage }];
  // The first page is the client's, and may make its requests before there are rules that know its host.
  if (hosts === null) return [{ where: { domainType: 'thirdParty' }, baggage: '' }, { where: { domainType: 'firstParty' }, baggage }];
  if (hosts.length === 0) return [{ where: {}, baggage: '' }];
  return [{ where: { excludedRequestDomains: hosts }, baggage: '' }, { where: { requestDomains: hosts }, baggage }];
}

/**
 * Builds rules that put contexts on requests.
 *
 * @param {ResourceType[]} types kinds of requests: a rule without types would leave main frames out
 * @param {Propagation} propagation @param {RuleTraces} traces @param {Kept | null} kept
 * @param {boolean} [hasRoot] whether the root's rule matches all that the others match, so that only it need remove the contexts of other formats
 */
function ruleBuilder(types, propagation, traces, kept, hasRoot = true) {
  const { exclude } = propagation;
  const hosts = kept === null ? [] : kept.hosts;
  /** @type {ResourceType[]} */
  const documents = ['main_frame'];
  const typesOf = { root: types, spare: documents, current: types.filter((type) => type !== 'main_frame'), next: documents };
  /**
   * Builds the rules of a context, one for each kind of addresses.
   *
   * @param {number} id @param {keyof typeof typesOf} kind @param {TracedContext} context
   * @param {{ tabId?: number, traceId?: string, hosts?: string[] }} [where] the tab; the session's trace, if responses name the context; the hosts
   *   from whose pages navigations are not matched
   */
  const of = (id, kind, context, { tabId, traceId, hosts: excludedInitiatorDomains = [] } = {}) => {
    const foreign = kind === 'root' || !hasRoot ? propagation.removedFields : [];
    const resourceTypes = typesOf[kind];
    // The browser refuses a rule for no type at all.
    if (resourceTypes.length === 0) return [];
    const condition = {
      resourceTypes,
      ...(tabId === undefined ? {} : { tabIds: [tabId] }),
      ...(excludedInitiatorDomains.length === 0 ? {} : { excludedInitiatorDomains }),
    };
    return addressesOf(propagation, hosts, resourceTypes === documents).flatMap(({ where, baggage }, n) => {
      const action = actionOf(context, propagation, traces, foreign, baggage);
      if (action === null) return [];
      if (traceId !== undefined && action.type !== 'allow') {
        const { name, value } = serverTiming(traceId, context);
        Object.assign(action, { responseHeaders: [{ header: name, operation: 'append', value }] });
      }
      return [rule(id + n * TARGET_RULES, kind, { ...condition, ...where }, action)];
    });
  };
  return {
    of,
    /** Builds the rules of a tab. @param {number} tabId @param {TabContexts} contexts @param {SessionContext} session @param {string[]} [without] */
    ofTab: (tabId, { ruleId, current, next }, { traceId }, without = []) => [
      ...of(ruleId, 'current', current, { tabId }),
      ...of(ruleId + 1, 'next', next, { tabId, traceId, hosts: without }),
    ],
    /** Keeps headers from what is excluded, and from the collector. @param {number[]} clientTabs the tabs whose client sets headers */
    exclusions: (clientTabs) =>
      (types.length === 0 ? [] : [...exclude.map(matching), ...[...propagation.collector].map(startingWith)]).flatMap((addresses, n) => {
        const condition = { resourceTypes: types, ...addresses };
        const excluded = rule(EXCLUDE_RULES + n, 'exclude', condition, { type: 'allow' });
        if (clientTabs.length === 0) return [excluded];
        const action = removing([...propagation.fields]);
        return [excluded, rule(CLIENT_EXCLUDE_RULES + n, 'steering', { ...condition, tabIds: clientTabs }, action)];
      }),
  };
}

/**
 * Builds the rule by which the steering header never leaves the browser. It is in force in every mode, with or without a listener, which sees
 * the header all the same.
 *
 * @param {ResourceType[]} allTypes
 */
const steeringRule = (allTypes) => rule(STEERING_RULE, 'steering', { resourceTypes: allTypes }, removing(STEERING_HEADERS));

/**
 * Builds the rule that removes the contexts that a client puts on every request, which go to targets only.
 *
 * @param {number} offset of the rule id @param {object} condition
 * @param {number[]} clientTabs the tabs whose contexts to remove @param {string[]} fields
 */
const removals = (offset, condition, clientTabs, fields) =>
  clientTabs.length === 0 ? [] : [rule(CLIENT_RULE + offset, 'client', { ...condition, tabIds: clientTabs }, removing(fields))];

/** Keeps headers from requests of workers. @param {ResourceType[]} allTypes @param {boolean} excludesWorkers */
const workerExclusion = (allTypes, excludesWorkers) =>
  excludesWorkers ? [rule(WORKER_EXCLUSION_RULE, 'exclude', { resourceTypes: allTypes, tabIds: [WORKERS] }, { type: 'allow' })] : [];

/** Returns whether requests of a type have a span of their own. @param {PropagationSettings} settings @param {ResourceType} type */
const hasOwnSpan = ({ resources }, type) => resources.length === 0 || resources.some((resource) => resource === type);

/** Returns whether some addresses get no headers. @param {Propagation} propagation */
const hasLimits = ({ targets, exclude }) => targets.length + exclude.length > 0;

/** Returns the tabs whose client sets headers that rules can remove. @param {Propagation} propagation @param {RuleTraces} traces */
const clientTabsOf = ({ fields }, { clients }) => (fields.size === 0 ? [] : clients.withHeaders());

/**
 * Builds the rules of lightweight mode, which put every context on its requests, and a navigation's on its response.
 *
 * @param {Contexts} contexts
 * @param {ResourceType[]} allTypes every type of the browser
 * @param {Propagation} propagation @param {RuleTraces} traces @param {Kept | null} [kept]
 */
export function lightweightRules(contexts, allTypes, propagation, traces, kept = null) {
  const { session, spare, tabs, excludesWorkers = false } = contexts;
  const { settings } = propagation;
  const fields = [...propagation.fields];
  const types = settings.otherResources === 'none' ? allTypes.filter((type) => hasOwnSpan(settings, type)) : allTypes;
  const build = ruleBuilder(types, propagation, traces, kept);
  // A client's headers go to targets only, as ours do.
  const clientTabs = hasLimits(propagation) ? clientTabsOf(propagation, traces) : [];
  const rules = [
    recordRule({ mode: 'lightweight', session, propagation: settings, contexts, kept }),
    steeringRule(allTypes),
    ...removals(0, { resourceTypes: allTypes }, clientTabs, fields),
    ...build.of(ROOT_RULE, 'root', traces.rootOf(WORKERS)),
    // Every rule that matches appends to a response, so the spare must not: it matches in every tab.
    ...build.of(SPARE_RULE, 'spare', spare),
    ...build.exclusions(clientTabs),
    ...workerExclusion(allTypes, excludesWorkers),
  ];
  for (const [tabId, tab] of tabs) rules.push(...build.ofTab(tabId, tab, session));
  return rules;
}

/**
 * Builds the rules of detailed mode: the record, and rules for requests that the listener is not asked about. These hardly ever change, but in
 * browser contexts of which the browser may not report requests.
 *
 * @param {Omit<Contexts, 'spare'>} contexts @param {ResourceType[]} allTypes @param {Propagation} propagation
 * @param {RuleTraces} traces @param {Kept | null} kept
 */
export function detailedRules(contexts, allTypes, propagation, traces, kept) {
  const { session, tabs, needsRules = () => false, hostsWithoutRules = () => [], excludesWorkers = false } = contexts;
  const { settings, paused } = propagation;
  const fields = [...propagation.fields];
  const clientTabs = clientTabsOf(propagation, traces);
  const rules = [recordRule({ mode: 'detailed', session, propagation: settings, contexts: null, kept }), steeringRule(allTypes)];
  if (paused) return [...rules, ...removals(0, { resourceTypes: allTypes }, clientTabs, fields)];
  const { domains, otherResources } = settings;
  if (domains.length > 0) {
    const excludedRequestDomains = domains;
    rules.push(...removals(0, { resourceTypes: allTypes, excludedRequestDomains }, clientTabs, fields));
    // Only clients can set headers on documents, and a client is not known before its first navigation.
    const documents = { resourceTypes: ['main_frame'], excludedRequestDomains };
    if (fields.length > 0) rules.push(rule(OUTSIDE_RULE, 'client', documents, removing(fields)));
  }
  const otherTypes = allTypes.filter((type) => !hasOwnSpan(settings, type));
  const limitedTabs = hasLimits(propagation) ? clientTabs : [];
  if (otherTypes.length > 0) rules.push(...removals(OTHER_RULES, { resourceTypes: otherTypes }, limitedTabs, fields));

  // Where requests may not be reported, rules are about every kind that carries a context; elsewhere about the kinds without a span.
  const carries = (/** @type {ResourceType} */ type) => otherResources === 'session' || hasOwnSpan(settings, type);
  const build = ruleBuilder(allTypes.filter(carries), propagation, traces, kept, false);
  const buildOther = ruleBuilder(otherTypes.filter(carries), propagation, traces, kept);
  const unreported = [...tabs].filter(([tabId]) => needsRules(tabId));
  const root = traces.rootOf(WORKERS);
  const isElsewhere = (/** @type {number} */ tabId) => !sameContent(traces.rootOf(tabId), root);
  const own = otherTypes.length === 0 ? [] : [...tabs].filter(([tabId]) => !needsRules(tabId) && isElsewhere(tabId));
  const workers = needsRules(WORKERS) ? build.of(WORKER_RULE, 'root', root, { tabId: WORKERS }) : [];
  const widest = unreported.length + workers.length > 0 ? build : buildOther;
  rules.push(...workers, ...widest.exclusions(limitedTabs), ...buildOther.of(ROOT_RULE, 'root', root), ...workerExclusion(allTypes, excludesWorkers));
  const room = Math.max(roomForTabs(propagation), 0);
  for (const [tabId, tab] of unreported.slice(0, room)) rules.push(...build.ofTab(tabId, tab, session, hostsWithoutRules(tabId)));
  for (const [tabId, { ruleId }] of own.slice(0, Math.max(room - unreported.length, 0))) {
    rules.push(...buildOther.of(ruleId, 'current', traces.rootOf(tabId), { tabId }));
  }
  return rules;
}
