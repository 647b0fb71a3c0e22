/**
 * Shows on the extension's button how requests get their headers, and what is wrong, if anything is.
 */

/** @import { Mode, WantedMode } from '../channel/messages.js' */
/**
 * @typedef {object} Shown
 * @property {Mode | null} mode null until headers are in place
 * @property {WantedMode | null} wantedMode
 * @property {boolean} paused
 * @property {boolean} connected whether there is a host that knows the session
 * @property {string | null} problem why spans can't be sent
 */

/**
 * Finds the button's text and its title. Pure.
 *
 * @param {Shown} shown
 * @returns {{ text: string, title: string }}
 */
export function badgeOf({ mode, wantedMode, paused, connected, problem }) {
  const faults = [];
  if (!connected) faults.push('no host, nothing is exported');
  else if (problem !== null) faults.push(problem);
  if (wantedMode === 'detailed' && mode === 'lightweight') faults.push('this browser does not grant detailed mode');
  const state = paused ? 'paused, nothing is traced' : mode === null ? 'starting' : `${mode} mode`;
  return { text: paused ? 'off' : faults.length > 0 ? '!' : '', title: [`navtrace: ${state}`, ...faults].join('; ') };
}

/** @param {Shown} shown */
export function showBadge(shown) {
  const { text, title } = badgeOf(shown);
  void chrome.action.setBadgeText({ text });
  void chrome.action.setTitle({ title });
}
