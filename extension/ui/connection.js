/**
 * The connection of the popup or the options page to the worker.
 */

/** @import { Command, Reply } from '../pages/messages.js' */

/** Bounds of the delay before a reconnection, in milliseconds. */
const FIRST_DELAY = 200;
const MAX_DELAY = 3000;

/**
 * Connects to the worker, and reconnects whenever the worker ends.
 *
 * @param {'popup' | 'options'} name
 * @param {Command} greeting the first command on each connection
 * @param {(message: Reply) => void} receive
 * @returns {(command: Command) => void} sends a command, or drops it while there is no connection
 */
export function connect(name, greeting, receive) {
  /** @type {chrome.runtime.Port | null} */
  let port = null;
  let delay = FIRST_DELAY;
  const reconnect = () => {
    port = null;
    setTimeout(open, delay);
    delay = Math.min(delay * 2, MAX_DELAY);
  };
  const open = () => {
    try {
      port = chrome.runtime.connect({ name });
    } catch {
      // The extension was reloaded, and this page will be closed.
      return reconnect();
    }
    port.onMessage.addListener((/** @type {Reply} */ message) => {
      delay = FIRST_DELAY;
      receive(message);
    });
    port.onDisconnect.addListener(reconnect);
    return port.postMessage(greeting);
  };
  open();
  return (command) => port?.postMessage(command);
}
