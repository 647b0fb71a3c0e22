/** Scripts of the extension that run in web pages: their registration, and what they tell. */

import { WORKERS } from '../context/incognito.js';

/** @import { IncognitoTabs } from '../context/incognito.js' */
/** @import { Documents } from './documents.js' */
/** @import { Outbox } from './outbox.js' */

/**
 * Runs these scripts in every page that is loaded from now on, until the browser ends.
 *
 * @param {chrome.scripting.RegisteredContentScript[]} scripts
 */
export async function runInPages(scripts) {
  // An earlier worker may have registered them.
  const registered = await chrome.scripting.getRegisteredContentScripts({ ids: scripts.map(({ id }) => id) });
  if (registered.length === 0) await chrome.scripting.registerContentScripts(scripts);
}

/**
 * Turns what scripts tell of their pages into observations, unless the page's tab is not observed. Registers the listener at once, so that the
 * browser wakes the worker for it.
 *
 * @param {string} what the `what` of the messages
 * @param {{outbox: Pick<Outbox, 'observe'>, documents: Documents, incognito: IncognitoTabs, known: Promise<unknown>}} observers with `known` it waits
 *   until the open documents are known: a page tells most things only once, maybe to a worker that starts because of it
 * @param {(message: any, page: {time: number, spanId: string, isTop: boolean}) => Parameters<Outbox['observe']>[0] | undefined} toObservation gets
 *   a message, which may be anything since a page's process may be compromised, and the span id of the page's navigation
 */
export function observePages(what, { outbox, documents, incognito, known }, toObservation) {
  chrome.runtime.onMessage.addListener((message, { id, documentId, tab, frameId }) => {
    if (id !== chrome.runtime.id || message?.what !== what) return;
    const time = Date.now();
    void known.then(() => {
      const spanId = documents.find(documentId)?.spanId;
      const tabId = tab?.id ?? WORKERS;
      if (spanId === undefined || !incognito.observes(tabId)) return;
      const observation = toObservation(message, { time, spanId, isTop: frameId === 0 });
      if (observation) outbox.observe(observation, tabId);
    });
  });
}
