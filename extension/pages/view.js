/**
 * Derives the view of the session that the popup and the options page show.
 */

import { redactor } from '../context/redaction.js';

/** @import { Session } from '../context/session.js' */
/** @import { NavigationTracker } from '../headers/tracker.js' */
/** @import { History } from './history.js' */
/** @import { NavigationView, TabView, View } from './messages.js' */
/** @import { Status } from './status.js' */

/** Every kind of request has a span of its own. */
const ALL = 'all';

/** @param {Session} session @param {Status['current']} status @param {TabView | null} tab @returns {View} */
export function viewOf(session, status, tab) {
  const { connected, version, reason, exporter, configured, started, redact, ...shown } = status;
  const { traceId, spanId, flags } = session.context;
  const { sampler } = session.propagation.settings;
  const { endpoint = null, link = null, ratio = sampler.ratio, parentBased = sampler.parentBased } = configured ?? {};
  const { targets = [], exclude = [], resources = [ALL] } = configured ?? {};
  const { exported = 0, kept = 0, dropped = 0, problem = null } = exporter ?? {};
  return {
    ...shown,
    type: 'view',
    version: chrome.runtime.getManifest().version,
    host: { state: connected ? 'connected' : reason === null ? 'starting' : 'missing', version, reason },
    exporter: exporter && { endpoint, exported, kept, dropped, problem },
    link,
    session: { traceId, spanId, flags, started },
    configured: { ratio, parentBased, targets, exclude, resources },
    tab: tab && { ...tab, navigations: tab.navigations.map((navigation) => withoutSecrets(navigation, redactor(redact))) },
  };
}

/** @param {NavigationView} navigation @param {(address: string) => string} redacted @returns {NavigationView} */
const withoutSecrets = (navigation, redacted) => ({
  ...navigation,
  url: redacted(navigation.url),
  requests: navigation.requests.map((request) => ({ ...request, url: redacted(request.url) })),
});

/**
 * @param {NavigationTracker} navigations
 * @param {History} history
 * @param {number | null} tabId
 * @returns {Promise<TabView | null>} null if no tab is watched or it is closed
 */
export async function viewOfTab(navigations, history, tabId) {
  if (tabId === null) return null;
  const tab = await chrome.tabs.get(tabId).catch(() => null);
  return tab && { id: tabId, ...navigations.contextOf(tabId, tab.url ?? ''), navigations: history.of(tabId) };
}
