/**
 * The line from a page to the worker. A worker that ends is called again.
 */

/** @typedef {import('../control/view.d.ts').View} View */
/** @typedef {import('../control/view.d.ts').Command} Command */
/** @typedef {import('../control/view.d.ts').Refused} Refused */
/** @typedef {import('../control/view.d.ts').SettingsView} SettingsView */
/** @typedef {import('../control/view.d.ts').Stored} Stored */
/** @typedef {View | Refused | SettingsView | Stored} Told */

const FIRST_PAUSE = 200;
const LONGEST_PAUSE = 3000;

/**
 * Connects a page, and keeps it connected.
 *
 * @param {'popup' | 'options'} name
 * @param {Command[]} greeting what is said first on each connection
 * @param {(told: Told) => void} hear
 * @returns {(command: Command) => void} says something; what is said while there is no connection is lost
 */
export function connect(name, greeting, hear) {
  /** @type {chrome.runtime.Port | null} */
  let port = null;
  let pause = FIRST_PAUSE;
  const again = () => {
    port = null;
    setTimeout(open, pause);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  };
  const open = () => {
    try {
      port = chrome.runtime.connect({ name });
    } catch {
      // The extension was reloaded: this page ends with it.
      return again();
    }
    port.onMessage.addListener((/** @type {Told} */ told) => {
      pause = FIRST_PAUSE;
      hear(told);
    });
    port.onDisconnect.addListener(again);
    for (const command of greeting) port.postMessage(command);
  };
  open();
  return (command) => port?.postMessage(command);
}
