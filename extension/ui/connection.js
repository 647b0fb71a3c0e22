/**
 * The connection of the popup or the options page to the worker.
 */

/** @import { Command, Executed, Reply } from '../pages/messages.js' */

/** Bounds of the delay before a reconnection, in milliseconds. */
const FIRST_DELAY = 200;
const MAX_DELAY = 3000;

/**
 * Connects to the worker, and reconnects whenever the worker ends.
 *
 * @param {'popup' | 'options'} name
 * @param {Command} greeting the first command on each connection
 * @param {(message: Exclude<Reply, Executed>) => void} receive
 * @returns {(command: Command) => void} sends a command, again to the next worker if this one ends before it has executed it
 */
export function connect(name, greeting, receive) {
  /** @type {chrome.runtime.Port | null} */
  let port = null;
  let delay = FIRST_DELAY;
  /** @type {Command[]} commands that no worker has executed or refused, oldest first */
  const pending = [];
  /** @param {Command} command */
  const post = (command) => {
    try {
      port?.postMessage(command);
    } catch {
      // The worker has ended; the event of that follows.
    }
  };
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
      if (message.type === 'executed' || message.type === 'refused') {
        const at = pending.findIndex(({ type }) => type === message.command);
        if (at !== -1) pending.splice(at, 1);
      }
      if (message.type !== 'executed') receive(message);
    });
    port.onDisconnect.addListener(reconnect);
    return [greeting, ...pending].forEach(post);
  };
  open();
  return (command) => {
    pending.push(command);
    post(command);
  };
}
