/**
 * Finds the page that makes a request.
 */

/** @import { TracedContext } from '../context/traces.js' */
/** @import { Documents } from '../observe/documents.js' */
/** @import { Tabs } from './tabs.js' */

/**
 * Returns the context of the page that makes a request, if it has one. The tab alone is not enough: the document before may still make requests
 * when the tab has the next one's response.
 *
 * @param {Pick<Tabs, 'current' | 'browserContexts'>} tabs
 * @param {Documents} documents
 * @param {{ tabId: number, type?: string, initiator?: string, documentId?: string, parentDocumentId?: string }} details
 * @returns {TracedContext | undefined}
 */
export function pageOf(tabs, documents, details) {
  const { tabId, documentId, parentDocumentId } = details;
  if (tabs.browserContexts.hasRules(details)) return tabs.current(tabId);
  return documents.find(documentId) ?? documents.find(parentDocumentId) ?? (tabId === -1 ? undefined : tabs.current(tabId));
}
