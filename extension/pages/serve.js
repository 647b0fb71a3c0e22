/**
 * Serves the extension's own pages, the popup and the options page: sends them views and executes their commands.
 */

import { attempt } from '../attempt.js';
import { askSettings, isChoice, isObject, isStored, store } from '../channel/messages.js';
import { viewOf, viewOfTab } from './view.js';

/** @import { Host } from '../channel/host.js' */
/** @import { Session } from '../context/session.js' */
/** @import { HeaderParts } from '../headers/start.js' */
/** @import { Choices } from './choices.js' */
/** @import { History } from './history.js' */
/** @import { Command, Reply, SettingsView } from './messages.js' */
/** @import { Status } from './status.js' */
/**
 * The parts that commands use. `reply` sends a message to the page that sent the command, `watch` sets the tab that its views are about.
 *
 * @typedef {object} Dependencies
 * @property {Host} host
 * @property {Choices} choices
 * @property {HeaderParts} headers
 * @property {(message: Reply) => void} reply
 * @property {(tabId: number | null) => void} watch
 */
/** @typedef {string | null | void} Refusal a sentence for the user if the command could not be executed */
/** @typedef {(dependencies: Dependencies, command: Record<string, unknown>) => Refusal | Promise<Refusal>} Handler */

/** Shortest interval between two views, in milliseconds. */
export const VIEW_INTERVAL = 100;

const MISMATCH = 'this page belongs to another version of the extension: reload the extension on chrome://extensions';

/** @type {Record<string, Handler>} by command */
const HANDLERS = {
  watch: ({ watch }, { tabId }) => (tabId === null || typeof tabId === 'number' ? watch(tabId) : MISMATCH),
  pause: ({ choices }, { paused }) => (typeof paused === 'boolean' ? choices.pause(paused) : MISMATCH),
  'new-trace': ({ headers }) => headers.newTrace.begin(),
  choose: ({ choices }, command) => {
    if (!isChoice(command)) return MISMATCH;
    const { ratio, targets, resources } = command;
    return choices.choose({ ratio, targets, resources });
  },
  settings: async ({ host, reply }) => {
    const answer = await host.ask(askSettings(), 'settings');
    return typeof answer === 'string' ? answer : reply(settingsViewOf(answer));
  },
  store: async ({ host, reply }, { values }) => {
    if (!areSettingValues(values)) return MISMATCH;
    const answer = await host.ask(store(values), 'settings');
    if (typeof answer === 'string') return answer;
    // A host reads config.toml when it starts.
    host.reconnect();
    reply({ type: 'stored' });
    return reply(settingsViewOf(answer));
  },
  reconnect: ({ host }) => host.reconnect(),
};

/** @param {unknown} value @returns {value is Parameters<typeof store>[0]} */
const areSettingValues = (value) => isObject(value) && Object.values(value).every(isStored);

/** @param {Omit<SettingsView, 'type'>} message @returns {SettingsView} */
const settingsViewOf = ({ file, exists, settings }) => ({ type: 'settings', file, exists, settings });

/** Returns whether a port was opened by one of the extension's own pages. @param {chrome.runtime.Port} port */
const isOwnPage = ({ name, sender }) =>
  (name === 'popup' || name === 'options') &&
  sender?.id === chrome.runtime.id &&
  sender.url?.startsWith(chrome.runtime.getURL('')) === true;

/** @param {chrome.runtime.Port} port @param {Reply} message */
function post(port, message) {
  try {
    port.postMessage(message);
  } catch {
    // The page was closed.
  }
}

/**
 * Starts serving. Registers the listener at once, so that the browser wakes the worker for it. Does nothing while no page watches.
 *
 * @param {Promise<HeaderParts>} ready
 * @param {{ session: Session, host: Host, choices: Choices, status: Status, history: History }} parts
 */
export function servePages(ready, { session, host, choices, status, history }) {
  /** @type {Map<chrome.runtime.Port, number | null>} the tab that each open page watches */
  const watched = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} the next view, or the end of the interval after one. The clock may be set back meanwhile. */
  let due;
  let isChanged = false;

  const show = async () => {
    const { navigations } = await ready;
    for (const [port, tabId] of [...watched]) {
      const tab = await viewOfTab(navigations, history, tabId);
      if (watched.has(port)) post(port, viewOf(session, status.current, tab));
    }
  };
  const showIfChanged = () => {
    due = undefined;
    if (!isChanged) return;
    isChanged = false;
    due = setTimeout(showIfChanged, VIEW_INTERVAL);
    void attempt('showing the state', show, undefined);
  };
  const changed = () => {
    if (watched.size === 0) return;
    isChanged = true;
    due ??= setTimeout(showIfChanged, 0);
  };
  status.watch(changed);
  // A navigation that is not traced causes no other change.
  const updated = (/** @type {number} */ tabId) => {
    if ([...watched.values()].includes(tabId)) changed();
  };

  chrome.runtime.onConnect.addListener((port) => {
    if (!isOwnPage(port)) return port.disconnect();
    let isOpen = true;
    /** @param {number | null} tabId */
    const watch = (tabId) => {
      // The page may have been closed before the worker was ready.
      if (!isOpen) return;
      watched.set(port, tabId);
      history.watch(changed);
      chrome.tabs.onUpdated.addListener(updated);
      // The first view comes at once.
      clearTimeout(due);
      due = undefined;
      changed();
    };
    port.onDisconnect.addListener(() => {
      isOpen = false;
      watched.delete(port);
      if (watched.size > 0) return;
      history.watch(null);
      chrome.tabs.onUpdated.removeListener(updated);
    });
    /** @param {Reply} message */
    const reply = (message) => post(port, message);
    port.onMessage.addListener(async (message) => {
      const headers = await ready;
      const type = isObject(message) && typeof message.type === 'string' ? message.type : '';
      const handler = Object.hasOwn(HANDLERS, type) ? HANDLERS[type] : undefined;
      const refusal = handler === undefined ? MISMATCH : await handler({ host, choices, headers, reply, watch }, message);
      const command = /** @type {Command['type']} */ (type);
      if (typeof refusal === 'string') return reply({ type: 'refused', command, message: refusal });
      reply({ type: 'executed', command });
      return changed();
    });
    return undefined;
  });
}
