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

/** The extension's button. */
export class Badge {
  #text = '';
  #title = '';

  /** Shows what there is to show, unless the button does: the counts of spans change all the time. @param {Shown} shown */
  show(shown) {
    const { text, title } = badgeOf(shown);
    if (text === this.#text && title === this.#title) return;
    this.#text = text;
    this.#title = title;
    void chrome.action.setBadgeText({ text });
    void chrome.action.setTitle({ title });
  }
}
