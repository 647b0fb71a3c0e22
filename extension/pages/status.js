/**
 * Shows the state of the session: on the extension's button, and to the pages that watch it.
 */

/** @import { Host } from '../channel/host.js' */
/** @import { Session } from '../context/session.js' */

/** Returns the badge and the title of the extension's button. @param {Status['current']} status */
function buttonOf({ mode, wantedMode, paused, connected, exporter }) {
  const problem = exporter?.problem ?? null;
  const faults = [];
  if (!connected) faults.push('no host, nothing is exported');
  else if (problem !== null) faults.push(problem);
  if (wantedMode === 'detailed' && mode === 'lightweight') faults.push('this browser does not allow detailed mode');
  const state = paused ? 'paused, nothing is traced' : mode === null ? 'starting' : `${mode} mode`;
  return { text: paused ? 'off' : faults.length > 0 ? '!' : '', title: [`navtrace: ${state}`, ...faults].join('; ') };
}

/** The state of the session and its host. */
export class Status {
  #session;
  #host;
  #button = { text: '', title: '' };
  #changed = () => {};

  /** @param {Session} session @param {Pick<Host, 'state'>} host */
  constructor(session, host) {
    this.#session = session;
    this.#host = host;
  }

  get current() {
    const { paused, chosen, started } = this.#session.kept;
    return { ...this.#host.state, paused, chosen, started };
  }

  /** @param {() => void} changed called after each change */
  watch(changed) {
    this.#changed = changed;
  }

  /** Shows a change. */
  show() {
    const { current } = this;
    // While the browser starts, each call delays the first page.
    if (current.mode !== null || current.reason !== null) this.#showButton(buttonOf(current));
    this.#changed();
  }

  /** Updates the button where it differs: the counts of spans change all the time. @param {ReturnType<typeof buttonOf>} button */
  #showButton({ text, title }) {
    if (text !== this.#button.text) void chrome.action.setBadgeText({ text });
    if (title !== this.#button.title) void chrome.action.setTitle({ title });
    this.#button = { text, title };
  }
}
