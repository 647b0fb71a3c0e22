/**
 * Tracks the navigations of one tab. Pure: each event of the browser returns whether the rules must be updated.
 *
 * In lightweight mode a rule cannot tell a main-frame request from another one that it replaces before its response. Both carry the same
 * context, and the second continues the navigation of the first.
 */

import { isBrowsersOwn } from '../observe/details.js';

/** @import { TracedContext, Traces } from '../context/traces.js' */
/**
 * @typedef {object} Change
 * @property {boolean} update whether the rules must be updated now
 * @property {TracedContext[]} ended the navigations that committed ({@link Tab.committed}) or ended without a document (other methods)
 */
/**
 * A document that is not committed yet.
 *
 * @typedef {object} Landing
 * @property {string} url
 * @property {TracedContext | null} context null when the document is not traced
 * @property {TracedContext} previous context of the document before
 */
/** @typedef {Pick<Traces, 'issue' | 'isTarget' | 'rootOf' | 'useSpare' | 'isStale' | 'isMisplaced' | 'browserContexts'> & { clients: Pick<Traces['clients'], 'closed'> }} TabTraces */

/** @param {TracedContext[]} ended @returns {Change} */
const update = (...ended) => ({ update: true, ended });

/** @param {TracedContext[]} ended @returns {Change} */
export const noUpdate = (...ended) => ({ update: false, ended });

/** @param {TracedContext} a @param {TracedContext} b */
export const sameSpan = (a, b) => a.spanId === b.spanId;

/** Compares all of two contexts: a client may have changed all but the span. @param {TracedContext} a @param {TracedContext} b */
export const sameContent = (a, b) => a === b || JSON.stringify(a) === JSON.stringify(b);

/** One tab, or the room kept for one that does not exist yet. */
export class Tab {
  /** Whether the tab is known to exist. */
  exists = false;
  /** Whether a rule may just be putting the next context on its first request, which no listener may ever see. */
  isLeaving = false;
  /** @type {Map<string, TracedContext>} contexts of main-frame requests without a final response */
  #requests = new Map();
  /** @type {{ requestId: string, context: TracedContext } | null} the main-frame request with the latest final response */
  #responded = null;
  /** @type {Landing | null} */
  #landing = null;
  /** Span id of the next context that a prefetch or a prerender has used up last. */
  #spent = '';
  #traces;

  /**
   * @param {number} tabId @param {number} ruleId
   * @param {{ current: TracedContext, next: TracedContext }} contexts `current` is the document's: its navigation's, which the host was told of,
   *   or else the tab's root. `next` is for a navigation to come, and in place before its request is made
   * @param {TabTraces} traces
   */
  constructor(tabId, ruleId, { current, next }, traces) {
    this.tabId = tabId;
    this.ruleId = ruleId;
    this.current = current;
    this.next = next;
    this.#traces = traces;
  }

  /** Finds the context of a main-frame request, up to its navigation's response. @param {string} requestId */
  navigation(requestId) {
    return this.#requests.get(requestId) ?? (this.#responded?.requestId === requestId ? this.#responded.context : undefined);
  }

  /** @returns {TracedContext | undefined} the context of the latest navigation that had a response */
  get latest() {
    return this.#responded?.context;
  }

  /** Whether no navigation was seen so far. */
  get isUnused() {
    return this.#requests.size === 0 && this.#responded === null && this.#landing === null;
  }

  get isLanding() {
    return this.#landing !== null;
  }

  /** @returns {TracedContext[]} the contexts that a navigation's request may have left with */
  carried() {
    return [this.next, this.current, ...this.#requests.values()];
  }

  /** @returns {TracedContext[]} every context that something of this tab may carry */
  live() {
    const landing = this.#landing;
    const contexts = [...this.carried(), this.latest, landing?.context, landing?.previous];
    return contexts.filter((context) => context !== undefined && context !== null);
  }

  /** @returns {TracedContext[]} the navigations without a document so far, each once */
  unfinished() {
    const contexts = [this.#landing?.context, ...this.#requests.values()].filter((context) => context !== undefined && context !== null);
    return [...new Map(contexts.map((context) => [context.spanId, context])).values()];
  }

  /** Issues a new context for the next navigation. */
  refresh(previous = this.latest) {
    this.next = this.#traces.issue(this.tabId, previous);
  }

  /** Issues a new context for the document. */
  refreshCurrent() {
    this.current = this.#traces.issue(this.tabId, this.current);
  }

  /** Starts over in another session, of which no navigation has used a context yet. */
  reset() {
    this.refresh();
    this.current = this.#root;
  }

  /** Moves the tab into a new trace. Returns whether the document has a new context. @param {boolean} isTraced whether the document is traced */
  beginTrace(isTraced) {
    this.refresh(this.current);
    if (this.#landing !== null) return false;
    const continues = this.exists && isTraced;
    if (continues) this.refreshCurrent();
    else this.current = this.#root;
    return continues;
  }

  /**
   * Handles a document that the worker did not see commit: the tab is older than the worker or than the extension.
   *
   * @param {string} url
   */
  found(url) {
    const root = this.#root;
    const before = this.#landing?.previous ?? this.current;
    const isTraced = this.#isTraced(url);
    // An earlier worker may have left the context of the document.
    if (isTraced !== sameSpan(before, root)) return isTraced ? noUpdate(before) : noUpdate();
    const context = isTraced ? this.#traces.issue(this.tabId) : root;
    if (this.#landing === null) this.current = context;
    else this.#landing.previous = context;
    return isTraced ? update(context) : update();
  }

  /** Handles a main-frame request that leaves, or a redirect hop of it. @param {string} requestId @param {TracedContext} context */
  requested(requestId, context) {
    this.#requests.set(requestId, context);
  }

  /**
   * Replaces the next context if a prefetch or a prerender has used it up, which a rule cannot tell from a navigation. Returns whether that is so.
   *
   * @param {string} spanId that its request carries
   */
  spendNext(spanId) {
    const isNavigations = [...this.#requests.values()].some((context) => context.spanId === spanId);
    if (spanId !== this.next.spanId || isNavigations) return false;
    this.#spent = spanId;
    this.refresh();
    return true;
  }

  /** Returns whether a navigation carries what belongs to a prefetch or a prerender, since rules change with a delay. @param {TracedContext} context */
  isSpent(context) {
    return context.spanId === this.#spent;
  }

  /**
   * Handles the final response of a main-frame request. Repeated calls change nothing.
   *
   * @param {string} requestId
   * @param {string | null} url the document's address; null when no document comes of the response: a 204, a 205 or a download
   */
  responded(requestId, url) {
    const context = this.#requests.get(requestId);
    if (url !== null && !this.#traces.isTarget(url)) return this.#respondedUntraced(requestId, url);
    if (context === undefined) return this.#refreshStale() ? update() : noUpdate();
    this.#requests.delete(requestId);
    this.#responded = { requestId, context };
    this.#use(context);
    if (url === null) return update(context);
    this.#land(url, context, context);
    return update();
  }

  /** Handles a main-frame request that ended without a response. @param {string} requestId */
  failed(requestId) {
    const context = this.#requests.get(requestId);
    if (context === undefined) return this.#refreshStale() ? update() : noUpdate();
    this.#requests.delete(requestId);
    if ([...this.#requests.values()].some((other) => sameSpan(other, context))) return noUpdate();
    this.#use(context);
    return update(context);
  }

  /** Handles the commit of a document. @param {string} url */
  committed(url) {
    if (!this.#isTraced(url)) {
      this.#landing = null;
      const root = this.#root;
      const unchanged = sameContent(this.current, root);
      this.current = root;
      return unchanged ? noUpdate() : update();
    }
    if (this.#landing !== null) {
      const { context } = this.#landing;
      this.#landing = null;
      return context === null ? noUpdate() : noUpdate(context);
    }
    // There was no main-frame request: the back-forward cache, a prerendered page that is shown now, the page's own service worker, or a data:
    // or file: address.
    this.current = this.next;
    this.#use(this.next);
    return update(this.current);
  }

  /**
   * Handles a navigation that ended without a document, perhaps after its response.
   *
   * @param {string} url
   * @param {boolean} errorPage whether an error page took the place of the page before
   */
  abandoned(url, errorPage) {
    if (this.#landing?.url !== url) return noUpdate();
    const { context, previous } = this.#landing;
    const ended = context === null ? [] : [context];
    this.#landing = null;
    if (errorPage) return noUpdate(...ended);
    this.current = previous;
    // Another navigation under way makes an update soon, and the document is about to go.
    return this.#requests.size > 0 ? noUpdate(...ended) : update(...ended);
  }

  /** Handles a response that becomes an untraced page, which has no navigation. @param {string} requestId @param {string} url */
  #respondedUntraced(requestId, url) {
    const context = this.#requests.get(requestId);
    this.#requests.delete(requestId);
    const root = this.#root;
    const refreshed = context === undefined && this.#refreshStale();
    if (context === undefined && sameContent(this.current, root)) return refreshed ? update() : noUpdate();
    this.#land(url, null, root);
    if (context === undefined) return update();
    this.#use(context);
    return update(context);
  }

  /** @returns {TracedContext} the context of requests that belong to no navigation */
  get #root() {
    return this.#traces.rootOf(this.tabId);
  }

  /** Returns whether a document has a navigation. The browser's own pages and the empty one have none. @param {string} url */
  #isTraced(url) {
    return !isBrowsersOwn(url) && this.#traces.isTarget(url);
  }

  /** @param {string} url @param {TracedContext | null} context @param {TracedContext} current */
  #land(url, context, current) {
    this.#landing = { url, context, previous: this.#landing?.previous ?? this.current };
    this.current = current;
  }

  /** Replaces the next context after a navigation has used it. @param {TracedContext} context */
  #use(context) {
    if (sameSpan(this.next, context) || this.#traces.isStale(this.tabId, this.next)) this.refresh(context);
  }

  /** Replaces the next context if a client has changed its headers since. */
  #refreshStale() {
    if (!this.#traces.isStale(this.tabId, this.next)) return false;
    this.refresh();
    return true;
  }
}
