/**
 * Derives what the user sees of the session: the view that the popup and the options page show, and the badge of the extension's button.
 */

/** @import { Session } from '../context/session.js' */
/** @import { NavigationTracker } from '../headers/tracker.js' */
/** @import { History } from './history.js' */
/** @import { TabView, View } from './messages.js' */
/** @import { Status } from './status.js' */
/** @typedef {Pick<Status['current'], 'mode' | 'wantedMode' | 'paused' | 'connected'> & { problem: string | null }} BadgeState */

/** @param {Session} session @param {Status['current']} status @param {TabView | null} tab @returns {View} */
export function viewOf(session, status, tab) {
  const { connected, version, reason, exporter, configured, started, ...shown } = status;
  const { traceId, spanId, flags } = session.context;
  const { sampler } = session.propagation.settings;
  const { endpoint = null, link = null, ratio = sampler.ratio, parentBased = sampler.parentBased, targets = [], exclude = [] } = configured ?? {};
  const { exported = 0, kept = 0, dropped = 0, problem = null } = exporter ?? {};
  return {
    ...shown,
    type: 'view',
    version: chrome.runtime.getManifest().version,
    host: { state: connected ? 'connected' : reason === null ? 'starting' : 'missing', version, reason },
    exporter: exporter && { endpoint, exported, kept, dropped, problem },
    link,
    session: { traceId, spanId, flags, started },
    configured: { ratio, parentBased, targets, exclude },
    tab,
  };
}

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

/** @param {BadgeState} state @returns {{ text: string, title: string }} */
function badgeOf({ mode, wantedMode, paused, connected, problem }) {
  const faults = [];
  if (!connected) faults.push('no host, nothing is exported');
  else if (problem !== null) faults.push(problem);
  if (wantedMode === 'detailed' && mode === 'lightweight') faults.push('this browser does not allow detailed mode');
  const state = paused ? 'paused, nothing is traced' : mode === null ? 'starting' : `${mode} mode`;
  return { text: paused ? 'off' : faults.length > 0 ? '!' : '', title: [`navtrace: ${state}`, ...faults].join('; ') };
}

/** The badge and the title of the extension's button. */
export class Badge {
  #text = '';
  #title = '';

  /** Updates the button if something changed: the counts of spans call this all the time. @param {BadgeState} state */
  show(state) {
    const { text, title } = badgeOf(state);
    if (text === this.#text && title === this.#title) return;
    this.#text = text;
    this.#title = title;
    void chrome.action.setBadgeText({ text });
    void chrome.action.setTitle({ title });
  }
}
