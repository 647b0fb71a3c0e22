/**
 * Derives what the user sees of the session: the view that the popup and the options page show, and the badge of the extension's button.
 */

/** @import { Mode, WantedMode } from '../channel/messages.js' */
/** @import { Session } from '../context/session.js' */
/** @import { Modes } from '../headers/modes.js' */
/** @import { History } from './history.js' */
/** @import { TabView, View } from './messages.js' */
/**
 * @typedef {object} BadgeState
 * @property {Mode | null} mode null until headers are in place
 * @property {WantedMode | null} wantedMode
 * @property {boolean} paused
 * @property {boolean} connected whether there is a host that knows the session
 * @property {string | null} problem why spans can't be sent
 */

/**
 * @param {Session} session
 * @param {TabView | null} tab
 * @returns {View}
 */
export function viewOf(session, tab) {
  const { connected, host, reason, exporter, configured, started, mode, wantedMode, offTheRecord, paused, chosen, problems } = session.shown;
  const { traceId, spanId, flags } = session.context;
  const { sampler } = session.propagation.settings;
  return {
    type: 'view',
    version: chrome.runtime.getManifest().version,
    mode,
    wantedMode,
    offTheRecord,
    paused,
    host: { state: connected ? 'connected' : reason === null ? 'starting' : 'missing', version: host, reason },
    exporter: exporter && {
      endpoint: configured?.endpoint ?? null,
      exported: exporter.exported,
      kept: exporter.kept,
      dropped: exporter.dropped,
      problem: exporter.problem,
    },
    link: configured?.link ?? null,
    session: { traceId, spanId, flags, started },
    chosen,
    configured: {
      ratio: configured?.ratio ?? sampler.ratio,
      parentBased: configured?.parentBased ?? sampler.parentBased,
      targets: configured?.targets ?? [],
      exclude: configured?.exclude ?? [],
    },
    tab,
    problems,
  };
}

/**
 * @param {Modes} modes
 * @param {History} history
 * @param {number | null} tabId
 * @returns {Promise<TabView | null>} null if no tab is watched or it is closed
 */
export async function viewOfTab(modes, history, tabId) {
  if (tabId === null) return null;
  const tab = await chrome.tabs.get(tabId).catch(() => null);
  return tab && { id: tabId, ...modes.contextOf(tabId, tab.url ?? ''), navigations: history.of(tabId) };
}

/**
 * @param {BadgeState} state
 * @returns {{ text: string, title: string }}
 */
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
