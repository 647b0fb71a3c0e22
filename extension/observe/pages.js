/**
 * Has pages measured, and takes what they tell of themselves: {@link ./page.js} runs in each then. That costs every page some milliseconds,
 * so it is done only when it is asked for.
 */

import { attempt } from '../attempt.js';

/** @import { Documents } from './documents.js' */
/** @import { Outbox } from './outbox.js' */

/** More values than any page has. With names like these, a full batch of them still fits into a message. */
const MOST_VALUES = 64;
const VALUE_NAME = /^[a-zA-Z]{1,40}$/;

/**
 * Keeps what is a number with a name: a page's process may have been taken over.
 *
 * @param {unknown} values
 * @returns {Record<string, number>}
 */
function numbersIn(values) {
  const sound = Object.entries(values ?? {}).filter(([name, value]) => VALUE_NAME.test(name) && Number.isFinite(value));
  return Object.fromEntries(sound.slice(0, MOST_VALUES));
}

/** @type {chrome.scripting.RegisteredContentScript} */
const SCRIPT = { id: 'page', matches: ['<all_urls>'], js: ['observe/page.js'], runAt: 'document_start', persistAcrossSessions: false };

/** Has every page measured that is loaded from now on, until the browser ends. */
export const measurePages = () =>
  attempt(
    'measuring pages',
    async () => {
      // A worker before this one may have done it.
      const there = await chrome.scripting.getRegisteredContentScripts({ ids: [SCRIPT.id] });
      if (there.length === 0) await chrome.scripting.registerContentScripts([SCRIPT]);
    },
    undefined,
  );

/**
 * Registers the listener at once, as a worker must that wants to be woken by it.
 *
 * @param {Pick<Outbox, 'observe'>} outbox
 * @param {Documents} documents
 */
export function watchPages(outbox, documents) {
  chrome.runtime.onMessage.addListener((message, { id, documentId }) => {
    const spanId = documents.find(documentId)?.spanId;
    if (id !== chrome.runtime.id || spanId === undefined) return;
    const { vitals, timing } = message ?? {};
    outbox.observe({ what: 'page-measured', time: Date.now(), spanId, vitals: numbersIn(vitals), timing: numbersIn(timing) });
  });
}
