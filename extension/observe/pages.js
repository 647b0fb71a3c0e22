/**
 * Has pages measured when they are loaded, and again when they are about to be left.
 */

import { measurePage } from './measure.js';

/** @import { Observation } from '../channel/messages.js' */
/** @import { Documents } from './documents.js' */
/** @import { Outbox } from './outbox.js' */

/** More values than any page has. */
const MOST_VALUES = 64;

/**
 * Keeps what is a number with a name: a page's process may have been taken over.
 *
 * @param {unknown} values
 * @returns {Record<string, number>}
 */
function numbersIn(values) {
  const sound = Object.entries(values ?? {}).filter(([name, value]) => name.length < 64 && Number.isFinite(value));
  return Object.fromEntries(sound.slice(0, MOST_VALUES));
}

/** The pages that are shown. */
export class Pages {
  #outbox;
  #documents;
  /** @type {Map<number, string>} the loaded document of each tab */
  #loaded = new Map();

  /**
   * @param {Pick<Outbox, 'observe'>} outbox
   * @param {Documents} documents
   */
  constructor(outbox, documents) {
    this.#outbox = outbox;
    this.#documents = documents;
  }

  /**
   * Measures a page that has been loaded: it is in nobody's way then.
   *
   * @param {number} tabId
   * @param {string} documentId
   */
  loaded(tabId, documentId) {
    this.#loaded.set(tabId, documentId);
    void this.#measure(tabId, documentId);
  }

  /**
   * Measures a page once more before another takes its place.
   *
   * @param {number} tabId
   */
  leaving(tabId) {
    const documentId = this.#loaded.get(tabId);
    this.closed(tabId);
    if (documentId !== undefined) void this.#measure(tabId, documentId);
  }

  /** @param {number} tabId */
  closed(tabId) {
    this.#loaded.delete(tabId);
  }

  /**
   * @param {number} tabId
   * @param {string} documentId
   */
  async #measure(tabId, documentId) {
    const spanId = this.#documents.find(documentId)?.spanId;
    if (spanId === undefined) return;
    try {
      const target = { tabId, documentIds: [documentId] };
      const [measured] = await chrome.scripting.executeScript({ target, func: measurePage, injectImmediately: true });
      if (!measured?.result) return;
      const { vitals, timing } = measured.result;
      this.#outbox.observe({ what: 'page-measured', time: Date.now(), spanId, vitals: numbersIn(vitals), timing: numbersIn(timing) });
    } catch {
      // It has gone meanwhile, or it is one that extensions may not enter.
    }
  }
}
