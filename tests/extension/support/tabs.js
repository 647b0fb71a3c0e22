/**
 * Tabs whose contexts are numbered.
 */

import { BrowserContexts } from '../../../extension/context/browser-contexts.js';
import { Tabs } from '../../../extension/headers/tabs.js';
import { ALIKE } from './session.js';

/** @import { TracedContext } from '../../../extension/context/traces.js' */
/** @import { Change, TabTraces } from '../../../extension/headers/tab.js' */

export const TAB = 100;
export const PAGE = 'https://example.test/';

/**
 * Traces in which every address is traced.
 *
 * @param {TracedContext} session
 * @param {() => TracedContext} issue
 * @returns {TabTraces}
 */
export const everywhere = (session, issue) => ({
  issue,
  isTarget: () => true,
  rootOf: () => session,
  useSpare: () => {},
  isStale: () => false,
  isMisplaced: () => false,
  browserContexts: new BrowserContexts(),
  clients: { closed: () => {} },
});

/** Makes tabs whose contexts are numbered as they are issued, and short helpers for events. */
export function browser() {
  let taken = 0;
  const session = { context: { traceId: 't', spanId: 'root', flags: '01' }, incognito: ALIKE };
  const tabs = new Tabs(session, everywhere(session.context, () => ({ spanId: `s${taken++}`, flags: '01' })));
  /** @param {number} [tabId] */
  const slot = (tabId = TAB) => tabs.contexts().tabs.get(tabId);
  /** @param {number} [tabId] */
  const spans = (tabId = TAB) => [slot(tabId)?.current.spanId, slot(tabId)?.next.spanId];
  /** @param {string} requestId @param {number} [tabId] */
  const leave = (requestId, tabId = TAB) => {
    const sent = slot(tabId)?.next ?? tabs.contexts().spare;
    tabs.requested(tabId, requestId, sent);
    return sent.spanId;
  };
  /** @param {Change} change */
  const said = ({ update, ended }) => [update, ...ended.map(({ spanId }) => spanId)];
  return { session, tabs, slot, spans, leave, said };
}

/** Makes a browser with one tab that shows a page. */
export function withPage() {
  const b = browser();
  b.tabs.opened([TAB], [TAB - 1]);
  b.leave('first');
  b.tabs.responded(TAB, 'first', PAGE);
  b.tabs.committed(TAB, PAGE);
  const [current, next] = b.spans();
  return { ...b, current, next };
}

export const ELSEWHERE = 'https://elsewhere.test/';

/** Makes a browser with one untraced address, and a tab that shows a traced page. */
export function withElsewhere() {
  let taken = 0;
  const session = { traceId: 't', spanId: 'root', flags: '01' };
  /** @type {[number | null, string | undefined][]} for which tabs contexts were taken, and after which ones */
  const takes = [];
  /** @type {[number, string][]} */
  const claims = [];
  /** The root of the tab's requests without a navigation. */
  const state = { root: /** @type {TracedContext} */ (session), stale: '' };
  const tabs = new Tabs(
    { context: session, incognito: ALIKE },
    {
      issue: (tabId, previous) => {
        takes.push([tabId, previous?.spanId]);
        return { spanId: `s${taken++}`, flags: '01' };
      },
      isTarget: (url) => url !== ELSEWHERE,
      rootOf: () => state.root,
      useSpare: (tabId, { spanId }) => void claims.push([tabId, spanId]),
      isStale: (_, { spanId }) => state.stale === spanId,
      isMisplaced: () => false,
      browserContexts: new BrowserContexts(),
      clients: { closed: () => {} },
    },
  );
  const spans = () => [tabs.contexts().tabs.get(TAB)?.current.spanId, tabs.contexts().tabs.get(TAB)?.next.spanId];
  /** @param {string} requestId */
  const leave = (requestId) => {
    const sent = tabs.contexts().tabs.get(TAB)?.next ?? tabs.contexts().spare;
    tabs.requested(TAB, requestId, sent);
    return sent.spanId;
  };
  /** @param {Change} change */
  const said = ({ update, ended }) => [update, ...ended.map(({ spanId }) => spanId)];
  tabs.opened([TAB], [TAB - 1]);
  leave('first');
  tabs.responded(TAB, 'first', PAGE);
  tabs.committed(TAB, PAGE);
  const [current, next] = spans();
  return { tabs, spans, leave, said, takes, claims, state, current, next };
}
