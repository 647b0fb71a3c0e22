/**
 * Maps documents, by the browser's ids, to the navigations that loaded them. Pure.
 */

import { dropOldest } from '../drop-oldest.js';

/** @import { TracedContext } from '../context/traces.js' */

/** Limit for documents. The oldest are forgotten. */
export const MAX_DOCUMENTS = 2000;

/** The documents of all tabs and of their frames. */
export class Documents {
  /** @type {Map<string, { context: TracedContext }>} a frame's document shares the entry of its main frame's document */
  #entries = new Map();

  /**
   * Adds a main frame's document. A document that comes back from the back-forward cache, with its frames, belongs to a new navigation.
   *
   * @param {string} documentId
   * @param {TracedContext} context
   */
  committed(documentId, context) {
    const entry = this.#entries.get(documentId) ?? { context };
    entry.context = context;
    this.#add(documentId, entry);
  }

  /**
   * Adds a frame's document, which belongs to the navigation of its parent.
   *
   * @param {string} documentId
   * @param {string | undefined} parentDocumentId
   */
  framed(documentId, parentDocumentId) {
    const entry = this.#entries.get(parentDocumentId ?? '');
    if (entry !== undefined) this.#add(documentId, entry);
  }

  /**
   * Returns the context of the navigation that loaded a document.
   *
   * @param {string | undefined} documentId
   * @returns {TracedContext | undefined}
   */
  find(documentId) {
    return this.#entries.get(documentId ?? '')?.context;
  }

  /** @returns {TracedContext[]} */
  contexts() {
    return [...this.#entries.values()].map(({ context }) => context);
  }

  /** Replaces the contexts of documents. @param {Map<string, TracedContext>} replacements by the span ids of the current contexts */
  replaceContexts(replacements) {
    for (const entry of this.#entries.values()) entry.context = replacements.get(entry.context.spanId) ?? entry.context;
  }

  /** @param {string} documentId @param {{ context: TracedContext }} entry */
  #add(documentId, entry) {
    // An entry that is added again becomes the latest one.
    this.#entries.delete(documentId);
    this.#entries.set(documentId, entry);
    dropOldest(this.#entries, MAX_DOCUMENTS);
  }
}
