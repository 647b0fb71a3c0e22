/**
 * Keeps the record from which a restarted worker continues: in one rule that matches nothing, so that a navigation costs no other write.
 */

import { isBoolean, isChoice, isNavigationContext, isNumber, isObject, isPropagation, isSessionContext, isString, isTrace, listOf, orMissing, orNull, shape } from '../channel/messages.js';

/** @import { PropagationSettings } from '../context/propagation.js' */
/** @import { Kept } from '../context/session.js' */
/** @import { TracedContext } from '../context/traces.js' */
/** @import { Mode, SessionContext } from '../protocol.d.ts' */
/** @typedef {chrome.declarativeNetRequest.Rule} Rule */
/**
 * The contexts of a tab's requests: `next` for main frames, `current` for all others. The rules have `ruleId` and the id after it.
 *
 * @typedef {{ ruleId: number, current: TracedContext, next: TracedContext }} TabContexts
 */
/**
 * The contexts that rules carry. `spare` is for navigations in tabs without rules of their own.
 *
 * @typedef {object} Contexts
 * @property {SessionContext} session
 * @property {TracedContext} spare
 * @property {Map<number, TabContexts>} tabs
 * @property {(tabId: number) => boolean} [needsRules] whether a tab needs rules in detailed mode; none does by default
 * @property {(tabId: number) => string[]} [hostsWithoutRules] the hosts from whose pages a tab's rules take no navigations; none by default
 * @property {boolean} [excludesWorkers] whether requests of workers carry nothing
 */
/**
 * @typedef {object} SessionRecord
 * @property {Mode} mode
 * @property {SessionContext} session
 * @property {PropagationSettings} propagation
 * @property {Contexts | null} contexts null in detailed mode
 * @property {Kept | null} kept
 */

const isKeptContexts = shape({
  session: orNull(isTrace),
  isTaken: isBoolean,
  open: listOf(shape({ windows: listOf(isNumber), trace: orNull(isTrace) })),
});

/** @type {(value: unknown) => value is Kept} */
const isKept = shape({
  paused: isBoolean,
  started: isNumber,
  chosen: isChoice,
  hosts: orNull(listOf(isString)),
  hadIncognito: isBoolean,
  contexts: orMissing(isKeptContexts),
});

/** @type {(value: unknown) => value is TabContexts & { tabId: number }} */
const isTabRecord = shape({ tabId: isNumber, ruleId: isNumber, current: isNavigationContext, next: isNavigationContext });

const RECORD_RULE = 1;

/** Contradicts itself, so that it matches no request. A name that does not exist is not enough: pages can ask for it, and proxies answer. */
const NO_REQUEST = { requestDomains: ['navtrace.invalid'], excludedRequestDomains: ['navtrace.invalid'] };

/** Builds the rule that keeps a record. @param {SessionRecord} record */
export function recordRule({ mode, session: { traceId, spanId, flags }, propagation, contexts, kept }) {
  const tabs = contexts && Array.from(contexts.tabs, ([tabId, { ruleId, current, next }]) => ({ tabId, ruleId, current, next }));
  const json = JSON.stringify({
    mode,
    session: { traceId, spanId, flags },
    propagation,
    contexts: contexts && { spare: contexts.spare, tabs },
    kept,
  });
  // The value of a header is ASCII.
  const value = json.replace(/[\u007f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  /** @type {object} */
  const action = { type: 'modifyHeaders', requestHeaders: [{ header: 'navtrace-record', operation: 'set', value }] };
  return /** @type {Rule} */ ({ id: RECORD_RULE, priority: 2, condition: NO_REQUEST, action });
}

/** Reads the record that rules keep; null when there is no valid one. @param {Rule[]} rules @returns {SessionRecord | null} */
export function readRecord(rules) {
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

/** @param {string | undefined} text @returns {unknown} */
function parsed(text) {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return null;
  }
}
