/**
 * Tells of the documents that were open before the worker started, so that their requests have a navigation.
 */

import { attempt } from '../attempt.js';
import { cutUrl } from './details.js';

/** @import { Documents } from './documents.js' */
/** @import { Tracker } from './navigations.js' */
/** @import { Outbox } from './outbox.js' */

/**
 * Finds the open documents of all tabs. A document whose commit the worker has seen meanwhile is left as it is.
 *
 * @param {Pick<Tracker, 'found' | 'continued' | 'observes'>} tracker
 * @param {{ outbox: Pick<Outbox, 'observe'>, documents: Documents }} observers
 */
export async function observeOpenDocuments(tracker, { outbox, documents }) {
  /** @param {number} tabId */
  const find = async (tabId) => {
    const all = await attempt('listing frames', async () => (await chrome.webNavigation.getAllFrames({ tabId })) ?? [], []);
    // Frames in the back-forward cache and of prerendered pages are not shown.
    const frames = all.filter(({ documentLifecycle }) => documentLifecycle === 'active');
    const main = frames.find(({ parentFrameId }) => parentFrameId === -1);
    if (main === undefined || documents.find(main.documentId) !== undefined) return;
    const time = Date.now();
    for (const context of tracker.found(tabId, main.url)) {
      const { spanId } = context;
      const url = cutUrl(main.url);
      if (tracker.observes(tabId)) outbox.observe({ what: 'navigation-committed', time, spanId, tabId, url, started: time, transition: 'already-open' }, tabId);
      documents.committed(main.documentId, tracker.continued(tabId, main.url, context));
    }
    // The browser lists a frame before the frames in it.
    for (const { documentId, parentDocumentId } of frames) if (parentDocumentId !== undefined) documents.framed(documentId, parentDocumentId);
  };
  const tabs = await attempt('listing tabs', async () => chrome.tabs.query({}), []);
  await Promise.all(tabs.map(async ({ id }) => (id === undefined ? undefined : find(id))));
}
