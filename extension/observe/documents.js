/**
 * Knows which navigation each document came of, by the browser's id of the document. Pure.
 */

/** @import { NavigationContext } from '../context/traces.js' */

/** How many documents are remembered: those that came last. */
export const MOST_DOCUMENTS = 2000;

/** The documents of all tabs, with those in their frames. */
export class Documents {
  /** @type {Map<string, { context: NavigationContext }>} a frame's document shares the entry of the page that it is in */
  #pages = new Map();

  /**
   * Learns of a page. One that comes back from the back-forward cache is the same document, with its frames, and another navigation.
   *
   * @param {string} documentId
   * @param {NavigationContext} context
   */
  committed(documentId, context) {
    const page = this.#pages.get(documentId) ?? { context };
    page.context = context;
    this.#keep(documentId, page);
  }

  /**
   * Learns of a frame's document, which belongs to the navigation of its page.
   *
   * @param {string} documentId
   * @param {string | undefined} parentDocumentId
   */
  framed(documentId, parentDocumentId) {
    const page = this.#pages.get(parentDocumentId ?? '');
    if (page !== undefined) this.#keep(documentId, page);
  }

  /**
   * Finds the context of the navigation that a document came of.
   *
   * @param {string | undefined} documentId
   * @returns {NavigationContext | undefined}
   */
  find(documentId) {
    return documentId === undefined ? undefined : this.#pages.get(documentId)?.context;
  }

  /** @returns {NavigationContext[]} the contexts that documents have */
  contexts() {
    return [...this.#pages.values()].map(({ context }) => context);
  }

  /**
   * Has documents go on with other contexts.
   *
   * @param {Map<string, NavigationContext>} successors by the span ids of what they have now
   */
  succeed(successors) {
    for (const page of this.#pages.values()) page.context = successors.get(page.context.spanId) ?? page.context;
  }

  /**
   * @param {string} documentId
   * @param {{ context: NavigationContext }} page
   */
  #keep(documentId, page) {
    this.#pages.delete(documentId);
    this.#pages.set(documentId, page);
    if (this.#pages.size > MOST_DOCUMENTS) this.#pages.delete(/** @type {string} */ (this.#pages.keys().next().value));
  }
}
