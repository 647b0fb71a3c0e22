/**
 * Puts headers on the requests of the session and of the tabs that exist. A restarted worker continues from the record.
 */

import { attempt } from '../attempt.js';
import { BrowserContexts } from '../context/browser-contexts.js';
import { WORKERS } from '../context/incognito.js';
import { Propagation } from '../context/propagation.js';
import { Traces } from '../context/traces.js';
import { ModeSwitch } from './mode.js';
import { NavigationTracker } from './tracker.js';
import { NewTrace } from './new-trace.js';
import { pageOf } from './page-of.js';
import { readRecord } from './record.js';
import { SessionRules } from './session-rules.js';
import { Tabs } from './tabs.js';

/** @import { Host } from '../channel/host.js' */
/** @import { Session } from '../context/session.js' */
/** @import { Documents } from '../observe/documents.js' */
/** @import { Outbox } from '../observe/outbox.js' */
/** @import { Requests } from '../observe/requests.js' */
/** @import { Injector } from './injector.js' */
/** @import { NavigationListeners } from './mode.js' */
/** @typedef {Awaited<ReturnType<typeof startHeaders>>} HeaderParts */

/** @type {`${chrome.windows.WindowType}`[]} */
const WINDOW_TYPES = ['normal', 'popup', 'panel', 'app', 'devtools'];

/**
 * @param {Session} session @param {Host} host
 * @param {{ injector: Injector, navigations: NavigationListeners }} listeners
 * @param {{ outbox: Outbox, documents: Documents, requests: Requests }} observers
 */
export async function startHeaders(session, host, { injector, navigations }, observers) {
  const rules = new SessionRules();
  const reading = rules.read().then(readRecord);
  // Requests may be waiting for a restarted worker. They get the session's trace as soon as it is known.
  void reading.then((record) => {
    if (record === null) return;
    const { session: context, propagation, kept } = record;
    injector.resume(context, new Propagation(propagation, { paused: kept?.paused }), kept?.hadIncognito);
  });
  const opening = host.openSession(reading);
  const [record, granted, { open, windowIds }] = await Promise.all([reading, isGranted(), listTabs(), opening]);
  const { outbox, documents, requests } = observers;
  const browserContexts = new BrowserContexts(() => void mode.update());
  const events = {
    problem: (/** @type {string} */ message) => host.problem(message),
    sampled: () => requests.sampled(),
    // The rules should be there before the response, and the request waits for the caller.
    clientChanged: () => queueMicrotask(() => void mode.update()),
  };
  const traces = new Traces(session, outbox, events, browserContexts);
  for (const tab of open) {
    session.hosts.shown(tab.url ?? '');
    session.incognito.opened(tab);
    // An earlier worker may have seen a browser context close.
    browserContexts.opened(tab, record !== null);
    browserContexts.shown(tab.id ?? WORKERS, tab.url ?? '');
  }
  traces.contexts.restore(record?.kept?.contexts ?? null);
  for (const { id } of open) if (id !== undefined) traces.contexts.opened(id);
  const contexts = record?.contexts ?? null;
  // The host may have named one meanwhile.
  if (session.test !== null) traces.contexts.testChanged();
  if (contexts !== null) traces.restore(contexts);
  const tabs = new Tabs(session, traces, contexts);
  tabs.opened(open.flatMap(({ id }) => id ?? []), windowIds);
  tabs.moveToContexts();
  requests.findPages((details) => pageOf(tabs, documents, details) ?? traces.rootOf(details.tabId));
  const tracing = { session, traces, tabs };
  const parts = { rules, injector, requests, navigations };
  const mode = new ModeSwitch(tracing, host, parts, { granted, before: record?.mode ?? null });
  const newTrace = new NewTrace(tracing, host, mode, observers);
  await mode.decide();
  return { mode, newTrace, navigations: new NavigationTracker(tracing, mode, newTrace, host, requests) };
}

/** Asks whether listeners of this extension may change requests. The browser registers them in any case, but then never asks them. */
const isGranted = () =>
  attempt('asking for the grant', async () => chrome.permissions.contains({ permissions: ['webRequestBlocking'] }), false);

async function listTabs() {
  const [open, windows] = await Promise.all([
    attempt('listing tabs', async () => chrome.tabs.query({}), []),
    attempt('listing windows', async () => chrome.windows.getAll({ windowTypes: WINDOW_TYPES }), []),
  ]);
  return { open, windowIds: windows.flatMap(({ id }) => id ?? []) };
}
