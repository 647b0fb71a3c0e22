/**
 * Serves the extension's own pages, the popup and the options: shows them how it stands, and does what they ask for.
 */

import { isChoice, isObject } from '../channel/messages.js';
import { attempt } from '../attempt.js';
import { areValues, lastingSettings, storeSettings } from './settings.js';

/** @import { Host } from '../channel/host.js' */
/** @import { Session } from '../context/session.js' */
/** @import { Headers } from '../headers/start.js' */
/** @import { Choices } from './choices.js' */
/** @import { History } from './history.js' */
/** @import { Status } from './status.js' */
/** @import { Command, TabView, View } from './view.js' */
/** @typedef {{ port: chrome.runtime.Port, tabId: number | null }} Watcher */
/**
 * What a command needs: the host, the user's choices, the headers, the port that asked, and how to watch a tab from there.
 *
 * @typedef {{ host: Host, choices: Choices, headers: Headers, port: chrome.runtime.Port, watch: (tabId: number | null) => void }} Desk
 */
/** @typedef {(desk: Desk, command: Record<string, unknown>) => Promise<string | null> | string | null} Handler gives why it can't be done */

/** The least time between two views, in milliseconds. */
export const VIEW_INTERVAL = 100;

const MALFORMED = 'this page and its extension do not fit together: reload the extension on chrome://extensions';

/**
 * What each command does.
 *
 * @type {Record<string, Handler>}
 */
const HANDLERS = {
  watch: ({ watch }, { tabId }) => {
    if (tabId !== null && typeof tabId !== 'number') return MALFORMED;
    watch(tabId);
    return null;
  },
  pause: ({ choices }, { paused }) => {
    if (typeof paused !== 'boolean') return MALFORMED;
    choices.pause(paused);
    return null;
  },
  'new-trace': async ({ headers }) => {
    await headers.newTrace.begin();
    return null;
  },
  choose: ({ choices }, command) => {
    if (!isChoice(command)) return MALFORMED;
    const { ratio, targets } = command;
    return choices.choose({ ratio, targets });
  },
  settings: async ({ host, port }) => {
    const answer = await lastingSettings(host);
    if (typeof answer === 'string') return answer;
    post(port, answer);
    return null;
  },
  store: async ({ host, port }, { values }) => {
    if (!areValues(values)) return MALFORMED;
    const answer = await storeSettings(host, values);
    if (typeof answer === 'string') return answer;
    post(port, { type: 'stored' });
    post(port, answer);
    return null;
  },
  reconnect: ({ host }) => {
    host.reconnect();
    return null;
  },
};

/**
 * Tells whether a port is one of this extension's own pages.
 *
 * @param {chrome.runtime.Port} port
 */
const isOwnPage = ({ name, sender }) =>
  (name === 'popup' || name === 'options') &&
  sender?.id === chrome.runtime.id &&
  sender.url?.startsWith(chrome.runtime.getURL('')) === true;

/**
 * @param {Headers['navigations']} navigations
 * @param {History} history
 * @param {number | null} tabId
 * @returns {Promise<TabView | null>}
 */
async function viewOfTab(navigations, history, tabId) {
  if (tabId === null) return null;
  /** @type {chrome.tabs.Tab | null} */
  let tab = null;
  try {
    tab = await chrome.tabs.get(tabId);
  } catch {
    // It was closed.
  }
  return tab === null ? null : { id: tabId, ...navigations.contextOf(tabId, tab.url ?? ''), navigations: history.of(tabId) };
}

/**
 * @param {Session} session
 * @param {Status['current']} status
 * @param {TabView | null} tab
 * @returns {View}
 */
function viewOf(session, status, tab) {
  const { connected, version, reason, exporter, configured, started, mode, wantedMode, offTheRecord, paused, chosen, problems } = status;
  const { traceId, spanId, flags } = session.context;
  const { settings } = session.propagation;
  return {
    type: 'view',
    version: chrome.runtime.getManifest().version,
    mode,
    wantedMode,
    offTheRecord,
    paused,
    host: { state: connected ? 'connected' : reason === null ? 'starting' : 'missing', version, reason },
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
      ratio: configured?.ratio ?? settings.sampler.ratio,
      parentBased: configured?.parentBased ?? settings.sampler.parentBased,
      targets: configured?.targets ?? [],
      exclude: configured?.exclude ?? [],
    },
    tab,
    problems,
  };
}

/**
 * Registers the listener at once, as a worker must that wants to be woken by it. While no page watches, nothing is done.
 *
 * @param {Promise<Headers>} ready
 * @param {{ session: Session, host: Host, choices: Choices, status: Status, history: History }} parts
 */
export function watchConnections(ready, { session, host, choices, status, history }) {
  /** @type {Set<Watcher>} */
  const watchers = new Set();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let due;
  let shown = -Infinity;

  const show = async () => {
    due = undefined;
    shown = Date.now();
    const { navigations } = await ready;
    for (const watcher of [...watchers]) {
      const tab = await viewOfTab(navigations, history, watcher.tabId);
      if (watchers.has(watcher)) post(watcher.port, viewOf(session, status.current, tab));
    }
  };
  const changed = () => {
    if (watchers.size > 0) due ??= setTimeout(() => void attempt('showing the state', show, undefined), shown + VIEW_INTERVAL - Date.now());
  };
  status.watch(changed);

  /** @param {Watcher} watcher */
  const add = (watcher) => {
    watchers.add(watcher);
    history.watch(changed);
  };
  /** @param {Watcher} watcher */
  const remove = (watcher) => {
    watchers.delete(watcher);
    if (watchers.size === 0) history.watch(null);
  };

  chrome.runtime.onConnect.addListener((port) => {
    if (!isOwnPage(port)) return port.disconnect();
    /** @type {Watcher} */
    const watcher = { port, tabId: null };
    let isOpen = true;
    /** @param {number | null} tabId */
    const watch = (tabId) => {
      // It may be closed before the worker is ready.
      if (!isOpen) return;
      watcher.tabId = tabId;
      add(watcher);
      // At once, whenever the last one was.
      shown = -Infinity;
      clearTimeout(due);
      due = undefined;
      changed();
    };
    port.onDisconnect.addListener(() => {
      isOpen = false;
      remove(watcher);
    });
    port.onMessage.addListener((message) => {
      void ready.then(async (headers) => {
        const type = isObject(message) && typeof message.type === 'string' ? message.type : '';
        const handler = Object.hasOwn(HANDLERS, type) ? HANDLERS[type] : undefined;
        const refused = handler === undefined ? MALFORMED : await handler({ host, choices, headers, port, watch }, message);
        if (refused !== null) post(port, { type: 'refused', command: /** @type {Command['type']} */ (type), message: refused });
        else changed();
      });
    });
    return undefined;
  });
}

/**
 * @param {chrome.runtime.Port} port
 * @param {object} message
 */
function post(port, message) {
  try {
    port.postMessage(message);
  } catch {
    // The page was closed.
  }
}
